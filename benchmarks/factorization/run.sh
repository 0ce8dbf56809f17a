#!/bin/sh
# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# usage: run.sh MODEL.safetensors
# Measures the linear layers of all-MiniLM-L6-v2 for benchmarks/factorization/results.
set -eu
cd "$(dirname "$0")/../.."
mkdir -p benchmarks/factorization/results
exec build/bin/factorization-error "$1" \
  --names '^encoder\.layer\.[0-9]+\..*(query|key|value|dense)\.weight$' \
  --blocks 1,2,3,4,6,8,12,16 --keep 0.1,0.25,0.5,0.75,0.9 \
  --output benchmarks/factorization/results/minilm.json
