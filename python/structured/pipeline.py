# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From a model file to compiled modules: the compiler's tools, step by step.

Each step leaves files in the workspace and, last of all, a stamp that records
what it was made from. A step whose stamp still fits is not run again, so a job
that was interrupted (kill -9 included) goes on where it stopped; within the
factorization, structured-factorize resumes layer by layer.
"""

import dataclasses
import json
import os
import sys
import time
from pathlib import Path
from typing import Callable, Mapping, Sequence

import numpy as np

from . import calibration, evaluation, runtime, tools
from .checkpoints.matrices import cheaper_dense
from .errors import StructuredError
from .files import write_text
from .importer import ImportedModel, import_model


#: Iterations of the trial factorizations of an allocation, of BLAST and of GBLR:
#: enough to compare errors.
TRIAL_ITERATIONS, GBLR_TRIAL_ITERATIONS = 8, 1

#: Halvings of the interval of kept fractions in a search.
SEARCH_STEPS = 5


@dataclasses.dataclass(frozen=True)
class Compression:
    """What `structured-plan` and `structured-factorize` are asked to do.

    keep            fraction of each layer's parameters to keep, in (0, 1)
    max_error       bound on each layer's relative Frobenius error; if not 0, it
                    chooses the ranks and budgets instead of `keep`
    structure       blast, gblr or dense
    blocks          blocks per side
    layers          regular expression, found anywhere in the layer's name
    min_parameters  smaller layers stay dense
    plan            a plan file to follow instead of all of the above
    iterations      of the factorization of each BLAST layer
    allocate        uniform, or global: `keep` of all layers together, shared by
                    measured errors
    candidate_blocks  blocks per side to choose from under `global`; `blocks` if empty
    candidate_structures  of blast and gblr, to choose from under `global`;
                    `structure` if empty
    budget          what `keep` is a fraction of under `global`: parameters or
                    multiply-adds
    max_loss        under `global`: bound on Σ importance · (relative error)²; if not
                    0, instead of `keep`
    importance      JSON file of the weight of each layer's squared error under `global`
    moments         second moments of the layers' inputs (`Workspace.moments`): the
                    error of the layers' outputs becomes small, not the weights'
    damping         added to the moments' diagonal, relative to its mean
    """

    keep: float = 0.5
    max_error: float = 0.0
    structure: str = "blast"
    blocks: int = 4
    layers: str = ""
    min_parameters: int = 0
    plan: Path | None = None
    iterations: int = 50
    allocate: str = "uniform"
    candidate_blocks: tuple[int, ...] = ()
    candidate_structures: tuple[str, ...] = ()
    budget: str = "parameters"
    max_loss: float = 0.0
    importance: Path | None = None
    moments: Path | None = None
    damping: float = 0.01


@dataclasses.dataclass(frozen=True)
class CompressedModel:
    """A compiled compressed model: model.so, its layers' report and plan."""

    directory: Path

    @property
    def module(self) -> Path:
        return self.directory / "model.so"

    @property
    def layers(self) -> list[dict]:
        """One entry per recognised layer, in the model's order, with the reason
        why it stayed dense, if any; docs/Driver.md lists the keys."""
        entries = {entry["layer"]: entry for entry in
                   json.loads((self.directory / "layers.json").read_text())}
        return [{"reason": planned.get("reason", "")}
                | self._as_papers_count(entries[planned["layer"]])
                for planned in self._plan["layers"]]

    @property
    def allocation(self) -> dict:
        """How the budget was shared (docs/Plan.md); empty if it was not."""
        return self._plan.get("allocation", {})

    @property
    def _plan(self) -> dict:
        return json.loads((self.directory / "plan.json").read_text())

    def _as_papers_count(self, layer: dict) -> dict:
        """With `paper_multiply_adds` (checkpoints/report.py), and a GBLR layer's
        total rank."""
        layer = layer | {"paper_multiply_adds": layer["multiply_adds"]}
        if layer["structure"] != "gblr":
            return layer
        import safetensors
        source = layer.get("shares_factors_of", layer["layer"])
        with safetensors.safe_open(self.directory / "factors.safetensors", "np") as file:
            components = file.get_tensor(f"{source}.gblr.components")
        count, saved = cheaper_dense(components)
        return layer | {"rank": int(components[:, 4].sum()), "components_cheaper_dense": count,
                        "paper_multiply_adds": layer["multiply_adds"] - saved}


class Workspace:
    """The directory of one job, with its steps.

    import/     model.mlir, weights.safetensors, model.json
    dense/      model.mlir (raised), model.so, model.safetensors
    calibration/  model.mlir (with moments), model.so, moments.safetensors
    curves/NAME/  curves.json, of each set of structures
    search/KEEP/  the compressions that a search tried, and error.json
    NAME/       of each compression: model.mlir, plan.json, layers.json,
                factors.safetensors, model.so, model.safetensors
    """

    def __init__(self, directory: Path):
        self.directory = directory
        self._start = time.monotonic()
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StructuredError(f"{directory}: cannot write: {error.strerror}") from error

    def say(self, text: str) -> None:
        """Shows progress on standard error."""
        print(f"[{time.monotonic() - self._start:7.1f} s] {text}", file=sys.stderr, flush=True)

    def import_model(self, path: Path) -> ImportedModel:
        directory = self.directory / "import"
        files = [directory / f for f in ("model.mlir", "weights.safetensors", "model.json")]
        self._step(f"import {path.name}", [path], files, ["structured-opt"],
                   lambda: import_model(path, directory))
        return ImportedModel.load(directory)

    def dense(self, model: ImportedModel) -> Path:
        """Compiles the model as it is; returns the module."""
        raised = self.directory / "dense" / "model.mlir"
        self._raise(model, raised)
        return self._compile("compile the dense model", raised, [model.weights])

    def compressed(self, model: ImportedModel, options: Compression,
                   name: str = "compressed") -> CompressedModel:
        """Plans, factorizes and compiles the model under `directory`/`name`."""
        compressed = self._factorize(model, options, name)
        self._compile(f"compile ({name})", compressed.directory / "model.mlir",
                      [model.weights, compressed.directory / "factors.safetensors"])
        return compressed

    def _factorize(self, model: ImportedModel, options: Compression,
                   name: str) -> CompressedModel:
        raised = self.directory / "dense" / "model.mlir"
        self._raise(model, raised)
        directory = self.directory / name
        mlir, factors = directory / "model.mlir", directory / "factors.safetensors"
        curves = self._curves(model, options)
        inputs = [raised, model.weights] + [
            path for path in (options.plan, options.moments, options.importance, curves) if path]
        calibrated = {"moments": options.moments, "damping": options.damping} \
            if options.moments else {}
        arguments = [
            str(raised), _plan_pass(options, model.weights, directory / "plan.json", curves),
            tools.pass_argument("structured-factorize", weights=model.weights, output=factors,
                  work_dir=directory / "work", iterations=options.iterations,
                  report=directory / "layers.json", progress="true", **calibrated)]
        self._step(f"factorize ({name})", inputs,
                   [mlir, factors, directory / "layers.json"], ["structured-opt"],
                   lambda: _optimize(arguments, mlir, show_progress=True), arguments)
        return CompressedModel(directory)

    def _curves(self, model: ImportedModel, options: Compression) -> Path | None:
        """The file of the layers' measured error curves, for an allocation: of any
        budget and importance."""
        if options.plan or options.allocate != "global":
            return None
        raised = self.directory / "dense" / "model.mlir"
        structures = options.candidate_structures or (options.structure,)
        blocks = options.candidate_blocks or (options.blocks,)
        name = "-".join([*structures, *(map(str, blocks) if "blast" in structures else ()),
                         *(["calibrated"] if options.moments else [])])
        output = self.directory / "curves" / name / "curves.json"
        trials: dict[str, object] = {
            "weights": model.weights, "iterations": TRIAL_ITERATIONS,
            "gblr_iterations": GBLR_TRIAL_ITERATIONS, "write_curves": output, "progress": "true"}
        if options.moments:
            trials |= {"moments": options.moments, "damping": options.damping}
        # The same for every budget: the curves do not depend on it.
        plan = _plan_pass(dataclasses.replace(options, keep=0.5, max_loss=1.0, importance=None,
                                              budget="parameters"), None, None, None, trials)
        self._step(f"measure the layers' error curves ({name})",
                   [raised, model.weights, *([options.moments] if options.moments else [])],
                   [output], ["structured-opt"],
                   lambda: tools.run("structured-opt", str(raised), plan, "-o", os.devnull,
                                     show_progress=True), [plan])
        return output

    def search(self, model: ImportedModel, options: Compression, max_output_error: float,
               inputs: Path, embed: Callable[[list[np.ndarray], dict[str, np.ndarray]], np.ndarray],
               steps: int = SEARCH_STEPS) -> tuple[CompressedModel, list[dict]]:
        """The smallest compressed model found whose measured relative error of what
        `embed` returns, over all calibration inputs, is at most `max_output_error`;
        and what was tried: `keep`, `output_error`, `directory`.

        Halves the interval between the cheapest plan and the dense model `steps`
        times; each fraction is planned (`options.allocate` is global), factorized,
        compiled and run. `importance` takes the same `inputs` and `embed`.
        StructuredError if none of them is within the bound.
        """
        dense = self.dense(model)
        low, high = self._least_fraction(model, options), 1.0
        best, tried = None, []
        for step in range(1, steps + 1):
            keep = round((low + high) / 2, 4)
            name = f"search/keep-{keep:g}"
            self.say(f"search {step}/{steps}: keep {keep:g}")
            compressed = self.compressed(model, dataclasses.replace(options, keep=keep), name)
            error = self._output_error(model, dense, compressed, inputs, embed, name)
            tried.append({"keep": keep, "output_error": error,
                          "directory": str(compressed.directory)})
            within = error <= max_output_error
            self.say(f"search {step}/{steps}: keep {keep:g}: output error {error:.4f}, "
                     f"{'within' if within else 'above'} {max_output_error:g}")
            if within:
                best, high = compressed, keep
            else:
                low = keep
        if best is None:
            raise StructuredError(
                f"no compression found with an output error of at most {max_output_error:g}: "
                f"keeping {tried[-1]['keep']:g}, it is {tried[-1]['output_error']:.4g}")
        return best, tried

    def _least_fraction(self, model: ImportedModel, options: Compression) -> float:
        """The fraction of the budget that the cheapest plan takes."""
        raised = self.directory / "dense" / "model.mlir"
        self._raise(model, raised)
        curves = self._curves(model, options)
        output = self.directory / "search" / "least.json"
        plan = _plan_pass(dataclasses.replace(options, keep=0.5, max_loss=sys.float_info.max),
                          model.weights, output, curves)
        self._step("plan the cheapest model",
                   [raised, curves, *([options.importance] if options.importance else [])],
                   [output], ["structured-opt"],
                   lambda: tools.run("structured-opt", str(raised), plan, "-o", os.devnull), [plan])
        allocation = json.loads(output.read_text())["allocation"]
        if not allocation["dense_cost"]:
            raise StructuredError("there is no layer to compress")
        return allocation["cost"] / allocation["dense_cost"]

    def _output_error(self, model: ImportedModel, dense: Path, compressed: CompressedModel,
                      inputs: Path, embed: Callable, name: str) -> float:
        """The relative error of what `embed` returns over all calibration inputs."""
        output = compressed.directory / "error.json"

        def measure() -> None:
            calls = list(calibration.batches(calibration.read_inputs(inputs, model.inputs),
                                             model.inputs))
            original, result = (
                np.concatenate([embed(module(**call), call) for call in calls])
                for module in map(runtime.Module.load, (dense, compressed.module)))
            write_text(output, json.dumps(
                {"output_error": evaluation.relative_error(result, original)}))

        self._step(f"measure the output's error ({name})", [dense, compressed.module, inputs],
                   [output], [], measure)
        return json.loads(output.read_text())["output_error"]

    def moments(self, model: ImportedModel, inputs: Path, mask: str = "") -> Path:
        """Second moments of the layers' inputs over the calibration inputs in an
        .npz file (`calibration.read_inputs`); returns the safetensors file.
        Tokens count whose element of the input `mask`, if given, is not 0."""
        raised = self.directory / "dense" / "model.mlir"
        self._raise(model, raised)
        directory = self.directory / "calibration"
        mlir, manifest = directory / "model.mlir", directory / "manifest.json"
        arguments = [str(raised), "--cse",
                     tools.pass_argument("structured-collect-moments", mask=mask, write=manifest)]
        self._step("add moments to the dense model", [raised], [mlir, manifest],
                   ["structured-opt"], lambda: _optimize(arguments, mlir), arguments)
        module = self._compile("compile the model with moments", mlir, [model.weights])
        output = directory / "moments.safetensors"

        def run() -> None:
            arrays = calibration.read_inputs(inputs, model.inputs)
            count = calibration.collect(runtime.Module.load(module), manifest,
                                        calibration.batches(arrays, model.inputs), output)
            self.say(f"second moments of {count} tokens")

        self._step(f"calibrate on {inputs.name}", [module, manifest, inputs], [output], [], run)
        return output

    def importance(self, model: ImportedModel, options: Compression, inputs: Path,
                   embed: Callable[[list[np.ndarray], dict[str, np.ndarray]], np.ndarray],
                   samples: int = 16) -> Path:
        """The weight of each layer's squared error for `Compression.importance`,
        measured (`calibration.measure_importance`) on evenly spread calibration
        inputs with the BLAST factors that `options` without allocation give. `embed`
        takes the model's outputs and inputs and returns what is to be kept."""
        dense = self.dense(model)
        # What an error costs depends little on the structure that makes it. One
        # block, low rank, divides every layer that a candidate fits.
        choosing = options.candidate_blocks or options.candidate_structures \
            or options.structure == "gblr"
        blocks = 1 if choosing else options.blocks
        uniform = self._factorize(
            model, dataclasses.replace(options, allocate="uniform", importance=None,
                                       structure="blast", blocks=blocks, candidate_blocks=(),
                                       candidate_structures=(), budget="parameters", max_loss=0.0),
            f"calibration/keep-{options.keep:g}-blocks-{blocks}")
        factors, output = uniform.directory / "factors.safetensors", \
            uniform.directory / "importance.json"

        def measure() -> None:
            calls = list(calibration.batches(calibration.read_inputs(inputs, model.inputs),
                                             model.inputs))
            calls = calls[::max(1, len(calls) // samples)]
            write_text(output, json.dumps(calibration.measure_importance(
                dense, factors, uniform.layers,
                lambda module: np.concatenate([embed(module(**call), call) for call in calls])),
                indent=1))

        self._step(f"measure the layers' importance (keep {options.keep:g})",
                   [dense, factors, inputs], [output], [], measure, [str(samples)])
        return output

    def _raise(self, model: ImportedModel, raised: Path) -> None:
        self._step("recognise linear layers", [model.mlir], [raised], ["structured-opt"],
                   lambda: _optimize([str(model.mlir), "--structured-raise-linear"], raised))

    def _compile(self, title: str, mlir: Path, weights: Sequence[Path]) -> Path:
        module = mlir.with_suffix(".so")
        arguments = [str(mlir), *(f"--weights={w}" for w in weights), "-o", str(module)]
        self._step(title, [mlir, *weights], [module, module.with_suffix(".safetensors")],
                   ["structured-compile"],
                   lambda: tools.run("structured-compile", *arguments), arguments)
        return module

    def _step(self, title: str, inputs: Sequence[Path], outputs: Sequence[Path],
              executables: Sequence[str], action: Callable[[], object],
              arguments: Sequence[str] = ()) -> None:
        """Runs `action` unless the stamp beside the first output still fits."""
        made_from = [_identity(path) for path in inputs]
        made_from += [_identity(Path(tools.find_tool(name))) for name in executables]
        text = json.dumps({"arguments": list(arguments), "made_from": made_from}, indent=1)
        stamp = outputs[0].with_name(f".{outputs[0].name}.stamp")
        if all(o.is_file() for o in outputs) and stamp.is_file() and stamp.read_text() == text:
            self.say(f"{title}: up to date")
            return
        self.say(title)
        stamp.unlink(missing_ok=True)
        outputs[0].parent.mkdir(parents=True, exist_ok=True)
        action()
        write_text(stamp, text)


def _optimize(arguments: Sequence[str], output: Path, show_progress: bool = False) -> None:
    """Runs structured-opt; `output` appears only when it is whole."""
    temporary = output.with_name(f"{output.name}.tmp")
    tools.run("structured-opt", *arguments, "--mlir-print-debuginfo", "-o", str(temporary),
              show_progress=show_progress)
    os.replace(temporary, output)


def _identity(path: Path) -> list:
    """Path, size and modification time; StructuredError if there is no file."""
    try:
        status = path.stat()
    except OSError as error:
        raise StructuredError(f"{path}: {error.strerror}") from error
    return [str(path), status.st_size, status.st_mtime_ns]


def _plan_pass(options: Compression, weights: Path | None, written: Path | None,
               curves: Path | None, trials: Mapping[str, object] = {}) -> str:
    """The argument that plans: by the error curves of a file if allocation is
    global, or by `trials`, the options of measuring them."""
    if options.plan:
        return tools.pass_argument("structured-plan", read=options.plan, write=written)
    choices: dict[str, object] = {
        "keep": options.keep, "max_error": options.max_error, "structure": options.structure,
        "blocks": options.blocks, "layers": options.layers,
        "min_parameters": options.min_parameters, "allocate": options.allocate,
        "budget": options.budget, "max_loss": options.max_loss}
    if options.candidate_structures:
        choices["candidate_structures"] = ",".join(options.candidate_structures)
    if options.candidate_blocks:
        choices["candidate_blocks"] = ",".join(map(str, options.candidate_blocks))
    for name, path in (("importance", options.importance), ("read_curves", curves),
                       ("write", written), ("weights", weights)):
        if path:
            choices[name] = path
    return tools.pass_argument("structured-plan", **choices, **trials)
