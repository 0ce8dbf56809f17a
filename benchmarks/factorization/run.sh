#!/bin/sh
# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# usage: run.sh MODEL.safetensors
# Measures the linear layers of all-MiniLM-L6-v2 for results/minilm.json: every
# block count at half the parameters, and other fractions with 4 blocks.
set -eu
cd "$(dirname "$0")/../.."
results=benchmarks/factorization/results
layers='^encoder\.layer\.[0-9]+\..*(query|key|value|dense)\.weight$'
mkdir -p "$results"
build/bin/factorization-error "$1" --names "$layers" \
  --blocks 1,2,3,4,6,8,12,16 --keep 0.5 --output "$results/minilm.json"
build/bin/factorization-error "$1" --names "$layers" \
  --blocks 4 --keep 0.1,0.25,0.75,0.9 --append "$results/minilm.json"
