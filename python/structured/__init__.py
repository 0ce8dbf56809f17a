# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Structured: import, compress, compile and run models with structured layers.

Modules:
  importer   ONNX file -> linalg IR and a safetensors weights file
  minilm     all-MiniLM-L6-v2 as an ONNX file, its tokenizer and pooling
  pipeline   the compiler's tools, one function per step
  compiler   the compiler in this process: models, passes, diagnostics
  runtime    compiled modules called with NumPy arrays
  distribute the layers' factorization on many workers
  factors    factor files back to dense weights
  mainjob    all-MiniLM-L6-v2 end to end
  driver     the command line (`structured`, `python -m structured`)
  evaluation errors, similarities and timings of a model against another
  report     tables in Markdown
"""

__version__ = "0.1.0"
