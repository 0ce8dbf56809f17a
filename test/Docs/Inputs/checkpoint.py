# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes vit.safetensors, a checkpoint of model.py's model with two BLAST layers.

    checkpoint.py FOLDER_OF_published.py
"""

import sys

import numpy as np
from safetensors.numpy import save_file

sys.path.insert(0, sys.argv[1])
from published import named, random_blast

random = np.random.default_rng(1)
save_file({**named("model.encoder.layer.0.up", random_blast(random, 4, 2, 32, 32, 20)),
           **named("model.encoder.layer.0.down", random_blast(random, 2, 4, 32, 32, 20)),
           "model.classifier.weight": random.standard_normal((64, 32)).astype("f4")},
          "vit.safetensors")
