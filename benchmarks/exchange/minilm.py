#!/usr/bin/env python3
# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""all-MiniLM-L6-v2 in other toolchains: numbers compared, calls timed in one run.

Out: the dense model, BLAST and GBLR factors at half the parameters as ONNX in
onnxruntime and as plain linalg in IREE, each compared with our module of the same
factors. In: the model as StableHLO (by torch-mlir) and, with PyTorch and
transformers, as a torch.export program, each imported, compiled and compared with
our module of the ONNX import. Fails above the tolerances of the main job.

    benchmarks/exchange/minilm.py --out build/exchange

Needs python/requirements.txt and requirements-models.txt, with PYTHONPATH=python.
The factorization of GBLR takes some minutes; it is kept in the directory.
"""

import argparse
import datetime
import importlib.metadata
import importlib.util
import subprocess
import sys
import time
from pathlib import Path

import iree.compiler
import iree.runtime
import numpy as np
import safetensors.numpy

from structured import driver, evaluation, importer, mainjob, minilm, runtime, tools
from structured.files import write_json
from structured.linalg_export import IREE_SCOPE, ExportedLinalg, export_linalg
from structured.onnx_export import export_onnx
from structured.pipeline import Compression, Workspace
from structured.stablehlo_import import import_stablehlo

PACKAGES = ("iree-base-compiler", "jax", "onnxruntime", "torch", "transformers")


def iree_function(exported: ExportedLinalg):
    """The model, compiled by IREE for this CPU; also the seconds that took."""
    start = time.monotonic()
    code = iree.compiler.compile_file(
        str(exported.mlir), target_backends=["llvm-cpu"],
        extra_args=["--iree-llvmcpu-target-cpu=host"])
    seconds = time.monotonic() - start
    config = iree.runtime.Config("local-task")
    index = iree.runtime.ParameterIndex()
    index.load(str(exported.weights))
    modules = iree.runtime.load_vm_modules(
        iree.runtime.create_io_parameters_module(config.vm_instance,
                                                 index.create_provider(IREE_SCOPE)),
        iree.runtime.VmModule.copy_buffer(config.vm_instance, code), config=config)
    return (lambda inputs: modules[-1].main(*(inputs[name] for name in exported.inputs))
            .to_host()), seconds


def stablehlo_file(onnx: Path, directory: Path) -> tuple[Path, Path]:
    """The model as StableHLO, its weights as named arguments; and their file."""
    model = importer.load_onnx(onnx)
    weights = importer.lift_weights(model, onnx)
    model = importer.infer_shapes(model, onnx)
    text = importer._torch_dialect(model, onnx)
    torch_ir, path = directory / "torch.mlir", directory / "minilm.stablehlo.mlir"
    torch_ir.write_text(text)
    subprocess.run([tools.torch_mlir_opt(), torch_ir, "--torch-onnx-to-torch-backend-pipeline",
                    "--torch-backend-to-stablehlo-backend-pipeline", "-o", path], check=True)
    # The pipeline drops the arguments' names: put them back as locations.
    lines = path.read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if "func.func @main(" in line)
    names = [value.name for value in model.graph.input]
    head, tail = lines[at].split(") -> ", 1)
    for index, name in reversed(list(enumerate(names))):
        end = head.index(", %arg", head.index(f"%arg{index}:")) if index + 1 < len(names) \
            else len(head)
        head = f'{head[:end]} loc("{name}"){head[end:]}'
    lines[at] = f"{head}) -> {tail}"
    path.write_text("\n".join(lines))
    file = directory / "weights.safetensors"
    safetensors.numpy.save_file({name: w.load() for name, w in weights.items()}, file)
    return path, file


def torch_program():
    """The model of the transformers package as a torch.export program."""
    import torch
    import transformers

    class Hidden(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = transformers.BertModel.from_pretrained(
                minilm.model_directory(), attn_implementation="eager").eval()

        def forward(self, input_ids, attention_mask, token_type_ids):
            return self.bert(input_ids=input_ids, attention_mask=attention_mask,
                             token_type_ids=token_type_ids).last_hidden_state

    # Three tensors: export takes one that is passed three times for one input.
    examples = tuple(torch.ones(1, 128, dtype=torch.long) for _ in range(3))
    with torch.no_grad():
        return torch.export.export(Hidden(), examples)


def compile_import(model: importer.ImportedModel) -> tuple[runtime.Module, int]:
    """The compiled module, and the number of linear layers recognised."""
    raised = model.directory / "raised.mlir"
    tools.run("structured-opt", str(model.mlir), "--structured-raise-linear", "-o", str(raised))
    module = model.directory / "compiled.so"
    tools.run("structured-compile", str(raised), f"--weights={model.weights}", "-o", str(module))
    return runtime.Module.load(module), raised.read_text().count("structured.linear ")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/exchange"))
    parser.add_argument("--structures", nargs="*", choices=["blast", "gblr"],
                        default=["blast", "gblr"])
    parser.add_argument("--repeat", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    workspace = Workspace(options.out)
    runtime.set_num_threads(options.threads)
    model, onnx = driver.open_model("minilm", workspace)
    layers = "encoder[.]layer"
    sentences = [driver.EXAMPLE_SENTENCE, "No boat is missing.", "They count boats every day."]
    calls = [minilm.tokenize([sentence]) for sentence in sentences]
    cells, timed = [], {}

    def compare(name: str, function, ours, tolerance: float, **facts) -> None:
        error = max(evaluation.max_error(function(call), ours(call)) for call in calls)
        print(f"{name}: largest difference {error:.2g}", file=sys.stderr)
        if not error <= tolerance:
            sys.exit(f"{name}: above the tolerance {tolerance:g}")
        cells.append({"name": name, "max_difference": error, "tolerance": tolerance} | facts)

    dense = runtime.Module.load(workspace.dense(model))
    variants = {"dense": (lambda call: dense(**call)[0], onnx,
                          options.out / "dense/model.mlir", [model.weights])}
    for structure in options.structures:
        compressed = workspace.compressed(
            model, Compression(keep=0.5, blocks=4, structure=structure, layers=layers), structure)
        factors = compressed.directory / "factors.safetensors"
        exported = options.out / f"{structure}.onnx"
        print(export_onnx(onnx, factors, exported), file=sys.stderr)
        module = runtime.Module.load(compressed.module)
        variants[structure] = (lambda call, module=module: module(**call)[0], exported,
                               compressed.directory / "model.mlir", [model.weights, factors])
    for name, (ours, file, mlir, weights) in variants.items():
        tolerance = mainjob.DENSE_TOLERANCE if name == "dense" else mainjob.COMPRESSED_TOLERANCE
        session = driver.onnx_session(file, options.threads)
        run = lambda call, session=session: session.run(None, call)[0]
        compare(f"{name}, onnxruntime", run, ours, tolerance)
        compiled, seconds = iree_function(export_linalg(
            mlir, weights, options.out / f"iree-{name}", iree_parameters=True))
        compare(f"{name}, IREE", compiled, ours, tolerance, compile_seconds=round(seconds, 1))
        timed |= {f"{name}, ours": ours, f"{name}, onnxruntime": run}
        if name != "gblr":  # seconds a call
            timed[f"{name}, IREE"] = compiled
    reference = variants["dense"][0]
    path, weights = stablehlo_file(onnx, options.out)
    imports = {"StableHLO": import_stablehlo(path, options.out / "stablehlo", weights)}
    if importlib.util.find_spec("transformers") and importlib.util.find_spec("torch"):
        from structured.torch_import import import_torch
        imports["torch.export"] = import_torch(torch_program(), options.out / "torch")
    for name, imported in imports.items():
        module, count = compile_import(imported)
        compare(f"dense, imported from {name}", lambda call: module(**call)[0], reference,
                mainjob.DENSE_TOLERANCE, linear_layers=count)
    timings = evaluation.time_interleaved(
        {name: (lambda function=function: function(calls[0])) for name, function in timed.items()},
        options.repeat)
    versions = {name: importlib.metadata.version(name) for name in PACKAGES
                if importlib.util.find_spec(name.split("-")[0])}
    write_json(options.out / "results.json", {
        "machine": evaluation.machine(), "date": datetime.date.today().isoformat(),
        "command": " ".join(["benchmarks/exchange/minilm.py", *sys.argv[1:]]),
        "threads": options.threads, "versions": versions, "cells": cells,
        "milliseconds": {name: {"min": round(1e3 * t.minimum, 2),
                                "median": round(1e3 * t.median, 2)}
                         for name, t in timings.items()}})
    for cell in cells:
        print(cell)
    for name, timing in timings.items():
        print(f"{name}: min {1e3 * timing.minimum:.2f} ms, median {1e3 * timing.median:.2f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
