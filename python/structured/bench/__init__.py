# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""structured-bench: how long layers take, ours and others', on this machine.

`python -m structured.bench --help`; docs/Benchmark.md.
"""
