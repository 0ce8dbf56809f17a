#!/bin/sh
# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# usage: run-gblr.sh MODEL.safetensors
# Measures, for docs/Gblr.md, the structures at equal parameters on the linear
# layers of all-MiniLM-L6-v2 (results/gblr-minilm.json) and on matrices of
# planted structure (results/gblr-planted-KIND.json), and writes the tables into
# that page and the figure docs/figures/gblr-error.svg.
set -eu
cd "$(dirname "$0")/../.."
results=benchmarks/factorization/results
layers='^encoder\.layer\.[0-9]+\..*(query|key|value|dense)\.weight$'
structures=svd,sparse-low-rank,gblr-energy-runs,gblr,gblr-fine
mkdir -p "$results"
# Truncated SVD, block SVD and BLAST at half the parameters are in minilm.json.
# Half a matrix is what 2:4 sparsity keeps.
build/bin/factorization-error "$1" --names "$layers" --structures 2:4 \
  --output "$results/gblr-minilm.json"
build/bin/factorization-error "$1" --names "$layers" \
  --structures block-svd,blast-als --blocks 2,16 --keep 0.25,0.75 \
  --append "$results/gblr-minilm.json"
build/bin/factorization-error "$1" --names "$layers" \
  --structures "$structures" --keep 0.25,0.5,0.75 \
  --append "$results/gblr-minilm.json"
# The fractions at which the planted structure is exact.
for planted in gblr:0.08 block-sparse:0.26 block-low-rank:0.125 banded:0.25; do
  kind=${planted%%:*} keep=${planted##*:}
  build/bin/factorization-error "planted:$kind" --keep "$keep" \
    --structures "$structures" --output "$results/gblr-planted-$kind.json"
  build/bin/factorization-error "planted:$kind" --keep "$keep" \
    --structures block-svd,blast-als --blocks 2,4,8 \
    --append "$results/gblr-planted-$kind.json"
  build/bin/factorization-error "planted:$kind" --keep "$keep" \
    --structures blast-als --blocks 16 \
    --append "$results/gblr-planted-$kind.json"
done
"${PYTHON:-python3}" benchmarks/factorization/plot_gblr.py "$results" docs
