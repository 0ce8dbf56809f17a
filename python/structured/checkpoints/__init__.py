# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checkpoints of the published structured models, to factor files and back.

`structured checkpoint inspect|import|compile|export|report`; see docs/Checkpoints.md.

    blast     BLAST (NeurIPS 2024): B, C, D, in each order they are found in
    gblr      Gaudi-GBLR (ICLR 2024): linear layers and both convolutions
    lowrank   two matrices; Monarch's two block-diagonal ones
    layouts   all of them, found by their keys
    build     a dense model compiled with a checkpoint's factors
    store     what tensors are read from: safetensors and PyTorch files
    report    parameters and multiply-adds, pictures of GBLR layouts
"""
