# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles a dense model with the factors and tensors of a checkpoint."""

import math
import re
from pathlib import Path
from typing import Sequence

from .. import tools
from ..errors import StructuredError
from ..files import LazyTensor, staged_directory
from ..importer import ImportedModel
from . import layouts
from .store import Store

#: Lowers convolutions by im2col.
IM2COL = Path(__file__).with_name("im2col.mlir")


def compile_model(model: ImportedModel, factors: Path, others: Path | None, directory: Path,
                  im2col: bool = False) -> tuple[Path, list[str]]:
    """Writes model.so and model.safetensors into the directory, and beside them
    model.mlir, the model with its structured layers.

    Tensors of `others` take the place of the model's of the same name. Returns
    the module and the names of those that the model does not have. Raises
    StructuredError if the model lacks a layer of the factor file, or a tensor
    has another shape or element type than the model's.
    """
    stored = Store.open([factors])
    layers = layouts.factor_layers(stored)
    trained = Store.open([others]) if others else Store()
    dense = Store.open([model.weights])
    for layer, origin in layouts.origins_of(stored).items():
        if f"{layer}.weight" in dense and origin.get("kind", "linear") != "linear":
            _check_columns(stored, dense, layer, origin)
    weights = [_replacement(dense, trained, name) for name in dense.tensors]
    with staged_directory(directory) as stage:
        mlir, module = stage / "model.mlir", stage / "model.so"
        lowering = [f"--transform-preload-library=transform-library-paths={IM2COL}",
                    "--transform-interpreter"] if im2col else []
        tools.run("structured-opt", str(model.mlir), *lowering, "--structured-raise-linear",
                  tools.pass_argument("structured-substitute", factors=factors),
                  "-o", str(mlir))
        missing = set(layers) - set(_structured_layers(mlir))
        if missing:
            raise StructuredError(f"{model.mlir}: the model has no layer "
                                  + ", ".join(f"'{name}'" for name in sorted(missing))
                                  + f" of {factors}; import's --rename changes names")
        file = stage / "weights.safetensors"
        layouts.write_tensors(file, weights)
        tools.run("structured-compile", str(mlir), f"--weights={file}", f"--weights={factors}",
                  "-o", str(module))
        file.unlink()
    return directory / "model.so", [name for name in trained.tensors if name not in dense]


def _check_columns(stored: Store, dense: Store, layer: str, origin: dict) -> None:
    """StructuredError if the columns of a convolution's factors are in another
    order than those of the model's kernel, as far as its shape tells:
    [oc,ic,k1,k2] is channels first, [k1,k2,ic,oc] channels last."""
    shape, (m, n) = dense.shape(f"{layer}.weight"), origin.get("shape", (0, 0))
    if (len(shape) != 4 or math.prod(shape) != m * n
            or (shape[0] == m) == (shape[3] == m)):
        return
    first = shape[0] == m
    taps = shape[2] * shape[3] if first else shape[0] * shape[1]
    if taps > 1 and (origin.get("channels_first", False), origin.get("taps", taps)) != (
            first, taps):
        option = f"with --channels-first --taps {taps}" if first else "without --channels-first"
        raise StructuredError(
            f"{stored.files[0]}: layer '{layer}': the columns are not in the order of the "
            f"model's kernel {list(shape)}; import the checkpoint {option}")


def _replacement(dense: Store, trained: Store, name: str) -> LazyTensor:
    """The trained tensor of that name if there is one, else the model's."""
    if name not in trained:
        return dense.lazy(name)
    here, there = dense.tensors[name], trained.tensors[name]
    if (here.shape, here.dtype) != (there.shape, there.dtype):
        raise StructuredError(
            f"{trained.where(name)} is {there.dtype.name} {list(there.shape)}, the model's "
            f"{here.dtype.name} {list(here.shape)}")
    return trained.lazy(name)


def _structured_layers(mlir: Path) -> Sequence[str]:
    """The names of the structured layers in a file of structured-opt."""
    return re.findall(r'structured\.(?:blast|gblr)\.matmul\b.*?\blayer = "([^"]*)"',
                      mlir.read_text(encoding="utf-8"))
