# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Second moments of the layers' inputs, collected by running the dense model.

`structured-collect-moments` makes a model return XᵀX of every layer's inputs X
[tokens, n] besides its results. Here that model is run on calibration inputs and
the sums over all tokens become the means E[x xᵀ] that `structured-factorize`
weights errors with. docs/Calibration.md describes the files.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Callable, Iterator, Sequence

import numpy as np

from . import evaluation, factors, runtime
from .errors import StructuredError


def read_sentences(path: Path) -> list[str]:
    """The lines of a text file, without empty ones; StructuredError if there is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StructuredError(f"{path}: cannot read: {error}") from error
    sentences = [line.strip() for line in lines if line.strip()]
    if not sentences:
        raise StructuredError(f"{path}: the calibration set is empty: no line has text")
    return sentences


def read_inputs(path: Path, values: list[dict]) -> dict[str, np.ndarray]:
    """The calibration inputs in an .npz file: for each of the model's inputs
    `values` an array of its dtype whose first dimension counts samples, a
    multiple of the model's batch.

    StructuredError for anything else, for no samples, and for NaN and infinity.
    """
    try:
        with np.load(path) as arrays:
            inputs = {value["name"]: arrays[value["name"]] for value in values}
    except (OSError, ValueError, KeyError) as error:
        raise StructuredError(f"{path}: {error}") from error
    counts = set()
    for value in values:
        name, array = value["name"], inputs[value["name"]]
        batch, *rest = value["shape"] or [0]
        if batch < 1 or any(size < 0 for size in rest):
            raise StructuredError(f"{path}: the model's input '{name}' has the shape "
                                  f"{value['shape']}; calibration takes static ones")
        if str(array.dtype) != value["dtype"] or list(array.shape[1:]) != rest \
                or array.shape[0] % batch:
            raise StructuredError(
                f"{path}: '{name}' is {array.dtype} {list(array.shape)}, the model takes "
                f"{value['dtype']} {[batch, *rest]} or multiples of its first dimension")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise StructuredError(f"{path}: '{name}' has a NaN or infinity")
        counts.add(array.shape[0] // batch)
    if counts == {0}:
        raise StructuredError(f"{path}: the calibration set is empty")
    if len(counts) != 1:
        raise StructuredError(f"{path}: the inputs have different numbers of samples")
    return inputs


def batches(inputs: dict[str, np.ndarray],
            values: list[dict]) -> Iterator[dict[str, np.ndarray]]:
    """The model's inputs, one call's after the other's, of what `read_inputs` read."""
    sizes = {value["name"]: value["shape"][0] for value in values}
    count = len(inputs[values[0]["name"]]) // sizes[values[0]["name"]]
    for i in range(count):
        yield {name: array[i * sizes[name]:(i + 1) * sizes[name]]
               for name, array in inputs.items()}


def collect(model: Callable[..., list[np.ndarray]], manifest: Path,
            calls: Iterator[dict[str, np.ndarray]], output: Path) -> int:
    """Runs `model`, which `structured-collect-moments` has changed and described
    in `manifest`, once per element of `calls`; writes E[x xᵀ] [n, n] of each layer
    L as `L.moment` (f32) to the safetensors file `output`, whole or not at all.
    Returns the number of samples (tokens), which the file's metadata records as
    `samples`.

    Sums are f64. One call's moments are in memory at a time. StructuredError if
    a layer's moments are not finite or no token counts.
    """
    import safetensors.numpy
    description = json.loads(manifest.read_text())
    entries, mask = description["moments"], description["mask"]
    sums = [np.zeros((entry["features"],) * 2) for entry in entries]
    samples = [0] * len(entries)
    for number, inputs in enumerate(calls):
        results = model(**inputs)
        for index, entry in enumerate(entries):
            moment = results[entry["result"]]
            if not np.isfinite(moment).all():
                raise StructuredError(f"layer '{entry['layers'][0]}': its inputs have a NaN or "
                                      f"are too large in calibration call {number}")
            sums[index] += moment
            samples[index] += (np.count_nonzero(inputs[mask]) if mask else entry["tokens"])
    if not all(samples):
        raise StructuredError("the calibration set is empty: no token counts")
    tensors = {f"{layer}.moment": (total / count).astype(np.float32)
               for entry, total, count in zip(entries, sums, samples)
               for layer in entry["layers"]}
    temporary = output.with_name(f"{output.name}.tmp.{os.getpid()}")
    try:
        safetensors.numpy.save_file(tensors, temporary, {"samples": str(min(samples))})
        os.replace(temporary, output)
    except (OSError, safetensors.SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        raise StructuredError(f"{output}: cannot write: {error}") from error
    return min(samples)


def measure_importance(module: Path, factor_file: Path, layers: Sequence[dict],
                       run: Callable[[runtime.Module], np.ndarray]) -> dict[str, float]:
    """What an error of each layer costs end to end: with one layer at a time replaced
    by its factors, the squared relative error of what `run` returns, divided by the
    squared relative error of the layer's outputs.

    `module` is the compiled dense model: only its weights are replaced. `factor_file`
    and `layers` (with `output_error`) are what `structured-factorize` wrote with
    `moments`; layers that it left dense are left out.
    """
    import safetensors.numpy
    stored = safetensors.numpy.load_file(module.with_suffix(".safetensors"))
    original = run(runtime.Module.load(module))
    errors = {layer["layer"]: layer["output_error"] for layer in layers
              if "output_error" in layer}
    result = {}
    with tempfile.TemporaryDirectory(dir=module.parent) as directory:
        changed = Path(directory) / "weights.safetensors"
        for name, weight in factors.dense_weights(factor_file).items():
            layer = name.removesuffix(".weight")
            # The module may keep a weight transposed, under another name; which of
            # the two the matrix is like says so.
            replaced = {}
            for key in (name, f"{name}#perm10"):
                if key in stored:
                    replaced[key] = _oriented_like(stored[key], weight)
            if not replaced:
                raise StructuredError(f"{module}: has no weight '{name}' to replace")
            safetensors.numpy.save_file(stored | replaced, changed)
            error = evaluation.relative_error(run(runtime.Module.load(module, changed)),
                                              original)
            result[layer] = (error / errors[layer]) ** 2 if errors[layer] > 0 else 0.0
    return result


def _oriented_like(stored: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """`weight` or its transpose, whichever is nearer to `stored`, in its dtype."""
    candidates = [matrix for matrix in (weight, weight.T) if matrix.shape == stored.shape]
    if not candidates:
        raise StructuredError(f"a weight {list(stored.shape)} cannot be replaced by one "
                              f"{list(weight.shape)}")
    nearest = min(candidates, key=lambda matrix: np.linalg.norm(stored - matrix))
    return np.ascontiguousarray(nearest, stored.dtype)
