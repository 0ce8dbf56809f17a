# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The command line: `structured import`, `compress`, `export`, `checkpoint`."""

import argparse
import dataclasses
import json
import math
import os
import sys
from pathlib import Path
from typing import Callable

import numpy as np

from . import calibration, evaluation, minilm, report, runtime
from .checkpoints import cli as checkpoints
from .errors import StructuredError, run_command
from .files import write_json, write_npz, write_text
from .importer import OTHER_SUFFIXES, ImportedModel, import_model
from .linalg_export import export_linalg
from .onnx_export import export_onnx
from .pipeline import Compression, Workspace

#: What `structured compress minilm` runs the model on.
EXAMPLE_SENTENCE = "The harbour master counts the boats twice, once at dusk and once at dawn."


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    return run_command("structured", lambda: options.command(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="structured", description="Compress and compile models by structured layers.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    importing = commands.add_parser("import", help="model file -> linalg IR and safetensors")
    importing.add_argument("model", type=Path,
                           help="ONNX file, torch.export program (.pt2), or StableHLO (.mlir, "
                                ".mlirbc, .stablehlo)")
    importing.add_argument("-o", "--out", type=Path, required=True, help="output directory")
    importing.add_argument("--weights", type=Path, metavar="FILE",
                           help="with StableHLO: the arguments that are weights, by name "
                                "(safetensors or .npz)")
    importing.set_defaults(command=_import)

    exporting = commands.add_parser("export", help="compressed model -> other formats")
    formats = exporting.add_subparsers(required=True, metavar="FORMAT")
    onnx = formats.add_parser("onnx", help="ONNX file + factors -> ONNX file")
    onnx.add_argument("model", type=Path, help="the original ONNX file")
    onnx.add_argument("factors", type=Path, help="factor file")
    onnx.add_argument("-o", "--out", type=Path, required=True, help="ONNX file to write")
    onnx.set_defaults(command=_export_onnx)
    linalg = formats.add_parser("linalg", help="model.mlir + weights -> plain linalg")
    linalg.add_argument("model", type=Path, help="MLIR file, such as compressed/model.mlir")
    linalg.add_argument("--weights", type=Path, nargs="+", default=[], metavar="FILE",
                        help="safetensors files of its weights and factors")
    linalg.add_argument("--iree-parameters", action="store_true",
                        help="weights as IREE's parameters, instead of arguments")
    linalg.add_argument("-o", "--out", type=Path, required=True, help="output directory")
    linalg.set_defaults(command=_export_linalg)

    compress = commands.add_parser(
        "compress", help="compress, compile, run and compare a model",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    compress.add_argument("model", help="model file, import directory, or 'minilm'")
    compress.add_argument("-o", "--out", type=Path, required=True,
                          help="job directory; a second run there goes on where the first stopped")
    compress.add_argument("--keep", type=fraction, default=0.5,
                          help="fraction of each layer's parameters to keep")
    compress.add_argument("--max-error", type=float, default=0.0,
                          help="bound on each layer's relative error, instead of --keep")
    compress.add_argument("--max-output-error", type=float, default=0.0, metavar="E",
                          help="with --calibrate, instead of --keep: find the smallest model whose "
                               "output's measured relative error is at most E, by allocation")
    compress.add_argument("--structure", choices=["blast", "gblr", "dense"], default="blast",
                          help="what layers become")
    compress.add_argument("--blocks", type=positive, default=4, help="blocks per side")
    compress.add_argument("--layers", default="", metavar="REGEX",
                          help="names of the layers to compress (found anywhere in the name)")
    compress.add_argument("--min-parameters", type=int, default=0,
                          help="layers with fewer parameters stay dense")
    compress.add_argument("--plan", type=Path, help="plan file to follow (JSON)")
    compress.add_argument("--iterations", type=positive, default=50,
                          help="of the factorization, per BLAST layer")
    compress.add_argument("--allocate", choices=["uniform", "global"], default="uniform",
                          help="keep the fraction of each layer, or of all together")
    compress.add_argument("--candidate-blocks", type=positive, nargs="+", default=(),
                          help="with --allocate global: blocks per side to choose from")
    compress.add_argument("--candidate-structures", choices=["blast", "gblr"], nargs="+",
                          default=(), help="with --allocate global: structures to choose from; "
                                           "default: --structure")
    compress.add_argument("--budget", choices=["parameters", "multiply-adds"],
                          default="parameters",
                          help="with --allocate global: what --keep is a fraction of")
    compress.add_argument("--max-loss", type=float, default=0.0, metavar="L",
                          help="with --allocate global, instead of --keep: bound on the sum of "
                               "importance times squared relative error")
    compress.add_argument("--importance", type=Path, metavar="JSON",
                          help="with --allocate global: weights of the layers' errors; default: "
                               "measured on the calibration inputs, or 1 each without them")
    compress.add_argument("--calibrate", type=Path, metavar="FILE",
                          help="calibration inputs: factorize for small errors of the layers' "
                               "outputs on them; an .npz file, for minilm a text file with a "
                               "sentence a line")
    compress.add_argument("--mask", default="", metavar="INPUT",
                          help="with --calibrate: input whose zeros are tokens to leave out")
    compress.add_argument("--damping", type=float, default=0.01,
                          help="added to the diagonal of the second moments, relative to its mean")
    compress.add_argument("--inputs", type=Path, metavar="NPZ",
                          help="inputs to compare the results on; default: random")
    compress.add_argument("--threads", type=positive, default=os.cpu_count())
    compress.add_argument("--repeat", type=positive, default=20, help="timed calls of each model")
    compress.set_defaults(command=_compress)

    checkpoints.add_commands(commands)
    return parser


def fraction(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return value


def _import(options: argparse.Namespace) -> None:
    model = import_model(options.model, options.out, options.weights)
    print(f"{model.mlir}: {len(model.inputs)} inputs, {len(model.outputs)} outputs, "
          f"{len(model.parameters)} weights")


def _export_onnx(options: argparse.Namespace) -> None:
    result = export_onnx(options.model, options.factors, options.out)
    print(f"{result.path}: {result.blast} products by BLAST factors, {result.gblr} by padded GBLR "
          f"factors, {result.dense} by the dense matrices of GBLR layers")


def _export_linalg(options: argparse.Namespace) -> None:
    result = export_linalg(options.model, options.weights, options.out, options.iree_parameters)
    print(f"{result.mlir}: {len(result.inputs)} inputs, {len(result.parameters)} weights")


def _compress(options: argparse.Namespace) -> None:
    _check_search(options)
    workspace = Workspace(options.out)
    model, onnx = open_model(options.model, workspace)
    options.moments = calibrate(options.calibrate, options.model, model, workspace,
                                options.mask) if options.calibrate else None
    compression = Compression(**{field.name: getattr(options, field.name)
                                 for field in dataclasses.fields(Compression)})
    if options.allocate == "global" and options.calibrate and not options.importance:
        compression = dataclasses.replace(compression, importance=importance(
            options.model, model, workspace, compression, options.calibrate))
    dense = workspace.dense(model)
    tried = []
    if options.max_output_error:
        compressed, tried = workspace.search(model, compression, options.max_output_error,
                                             *_measured(options.model, workspace,
                                                        options.calibrate))
    else:
        compressed = workspace.compressed(model, compression)
    inputs = _inputs(model, options)
    workspace.say("run and compare")
    result = _compare({"compiled, dense": dense, "compiled, compressed": compressed.module},
                      onnx, inputs, options)
    sums = report.totals(compressed.layers, count_parameters(model.weights))
    result |= {"model": options.model, "totals": sums, "layers": compressed.layers,
               "directory": str(compressed.directory)}
    if compressed.allocation:
        result["allocation"] = compressed.allocation
    if tried:
        result["search"] = {"max_output_error": options.max_output_error, "tried": tried}
    text = _markdown(result)
    write_json(options.out / "report.json", result)
    write_text(options.out / "report.md", text)
    print(text)


def _check_search(options: argparse.Namespace) -> None:
    """Sets what --max-output-error implies; StructuredError for what excludes it."""
    if not options.max_output_error:
        return
    if not options.max_output_error > 0:
        raise StructuredError("--max-output-error must be positive, not "
                              f"{options.max_output_error:g}")
    if not options.calibrate:
        raise StructuredError("--max-output-error needs --calibrate: the inputs to measure it on")
    for name in ("plan", "max_error", "max_loss"):
        if getattr(options, name):
            raise StructuredError("--max-output-error cannot be combined with "
                                  f"--{name.replace('_', '-')}")
    options.allocate = "global"


def open_model(name: str, workspace: Workspace) -> tuple[ImportedModel, Path | None]:
    """The imported model, and the ONNX file to compare with if there is one."""
    path = Path(name)
    if path.is_dir():
        return ImportedModel.load(path), None
    if name == "minilm":
        path = workspace.directory / "minilm.onnx"
        if not path.is_file():
            workspace.say("write all-MiniLM-L6-v2 as ONNX")
            minilm.write_onnx(path)
    original = path if path.suffix not in OTHER_SUFFIXES else None
    return workspace.import_model(path), original


def calibrate(path: Path, name: str, model: ImportedModel, workspace: Workspace,
              mask: str = "") -> Path:
    """The file of second moments of the calibration inputs in `path`."""
    if name != "minilm":
        return workspace.moments(model, path, mask)
    tokens = workspace.directory / "calibration" / "tokens.npz"
    sentences = calibration.read_sentences(path)
    arrays = minilm.tokenize(sentences, model.inputs[0]["shape"][1])
    write_npz(tokens, arrays)
    return workspace.moments(model, tokens, "attention_mask")


def importance(name: str, model: ImportedModel, workspace: Workspace,
               compression: Compression, inputs: Path | None = None) -> Path:
    """The file of the layers' importance, measured on the calibration inputs: those
    in `inputs`, for minilm those of `calibrate`; there, for the embeddings."""
    return workspace.importance(model, compression, *_measured(name, workspace, inputs))


def _measured(name: str, workspace: Workspace, inputs: Path | None
              ) -> tuple[Path | None, Callable[[list, dict], np.ndarray]]:
    """What errors of the model are measured on and of: the calibration inputs and
    a function of the model's outputs and inputs. It is the first output, for
    minilm the embeddings."""
    if name != "minilm":
        return inputs, lambda outputs, _: outputs[0]
    return (workspace.directory / "calibration" / "tokens.npz",
            lambda outputs, call: minilm.embed(outputs[0], call["attention_mask"]))


def _inputs(model: ImportedModel, options: argparse.Namespace) -> dict[str, np.ndarray]:
    """The inputs to compare on: given, a sentence, or random ones."""
    if options.inputs:
        try:
            with np.load(options.inputs) as arrays:
                return {value["name"]: arrays[value["name"]] for value in model.inputs}
        except (OSError, ValueError, KeyError) as error:
            raise StructuredError(f"{options.inputs}: {error}") from error
    if options.model == "minilm":
        return minilm.tokenize([EXAMPLE_SENTENCE], model.inputs[0]["shape"][1])
    random = np.random.default_rng(0)
    return {value["name"]: _random_array(random, value) for value in model.inputs}


def _random_array(random: np.random.Generator, value: dict) -> np.ndarray:
    """Standard normal floats; integers are 0 or 1, valid as masks and indices.

    Dynamic dimensions are 1.
    """
    shape = [max(size, 1) if size == -1 else size for size in value["shape"]]
    dtype = np.dtype(value["dtype"])
    if dtype.kind == "f":
        return random.standard_normal(shape).astype(dtype)
    return random.integers(0, 2, shape).astype(dtype)


def count_parameters(weights: Path) -> int:
    """The number of elements in a safetensors file."""
    with open(weights, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(math.prod(tensor["shape"]) for name, tensor in header.items()
               if name != "__metadata__")


def onnx_session(path: Path, threads: int):
    """An onnxruntime session on the CPU with `threads` threads."""
    import onnxruntime
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])


def _compare(modules: dict[str, Path], onnx: Path | None, inputs: dict[str, np.ndarray],
             options: argparse.Namespace) -> dict:
    """Errors against the original's outputs and times, from one run."""
    runtime.set_num_threads(options.threads)
    loaded = {name: runtime.Module.load(path) for name, path in modules.items()}
    calls = {name: (lambda module=module: module(**inputs)) for name, module in loaded.items()}
    if onnx:
        session = onnx_session(onnx, options.threads)
        calls = {"onnxruntime": lambda: session.run(None, inputs)} | calls
    outputs = {name: call() for name, call in calls.items()}
    original = next(iter(outputs))
    timings = evaluation.time_interleaved(calls, options.repeat)
    return {
        "original": original, "threads": options.threads,
        "errors": {name: [{"max": evaluation.max_error(a, b),
                           "relative": evaluation.relative_error(a, b)}
                          for a, b in zip(results, outputs[original])]
                   for name, results in outputs.items() if name != original},
        "seconds": {name: dataclasses.asdict(t) for name, t in timings.items()},
    }


def _markdown(result: dict) -> str:
    errors = [[name, index, f"{error['max']:.3g}", f"{error['relative']:.3g}"]
              for name, outputs in result["errors"].items()
              for index, error in enumerate(outputs)]
    timings = {name: evaluation.Timing(**t) for name, t in result["seconds"].items()}
    return "\n\n".join([
        f"# {result['model']}", *_search_section(result),
        "## Layers", report.layer_table(result["layers"]),
        "Multiply-adds are per token; as the papers count, relative to the dense layer's. "
        "Relative error: ‖W − Ŵ‖_F / ‖W‖_F.",
        *_allocation_section(result), "## Totals", report.totals_table(result["totals"]),
        f"## Output error against {result['original']}",
        report.table(["model", "output", "largest absolute", "relative (Frobenius)"], errors),
        f"## Time of one call, {result['threads']} threads, same run, interleaved",
        report.timing_table(timings)]) + "\n"


def _search_section(result: dict) -> list[str]:
    search = result.get("search")
    if not search:
        return []
    rows = [[f"{tried['keep']:g}", f"{tried['output_error']:.4f}",
             "chosen" if tried["directory"] == result["directory"] else
             "within" if tried["output_error"] <= search["max_output_error"] else "above"]
            for tried in search["tried"]]
    return [f"## Search: output error at most {search['max_output_error']:g}",
            report.table(["keep", "output error", ""], rows)]


def _allocation_section(result: dict) -> list[str]:
    allocation = result.get("allocation")
    if not allocation:
        return []
    bound = (f"a loss of at most {allocation['max_loss']:g}" if "max_loss" in allocation
             else f"at most {allocation['max_cost']:,}")
    return [f"Allocated together: {allocation['cost']:,} of {allocation['dense_cost']:,} "
            f"{allocation['budget']} (planned), for {bound}. Expected loss, Σ importance · "
            f"error²: {allocation['expected_loss']:.4g}."]


if __name__ == "__main__":
    sys.exit(main())
