# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The command line: `structured import`, `compress`, `checkpoint`."""

import argparse
import dataclasses
import json
import math
import os
import sys
from pathlib import Path

import numpy as np

from . import calibration, evaluation, minilm, report, runtime
from .checkpoints import cli as checkpoints
from .errors import StructuredError
from .files import write_json, write_npz, write_text
from .importer import ImportedModel, import_onnx
from .pipeline import Compression, Workspace

#: What `structured compress minilm` runs the model on.
EXAMPLE_SENTENCE = "The harbour master counts the boats twice, once at dusk and once at dawn."


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except StructuredError as error:
        print(f"structured: error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"structured: error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("structured: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="structured", description="Compress and compile models by structured layers.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    importing = commands.add_parser("import", help="ONNX file -> linalg IR and safetensors")
    importing.add_argument("model", type=Path, help="ONNX file")
    importing.add_argument("-o", "--out", type=Path, required=True, help="output directory")
    importing.set_defaults(command=_import)

    compress = commands.add_parser(
        "compress", help="compress, compile, run and compare a model",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    compress.add_argument("model", help="ONNX file, import directory, or 'minilm'")
    compress.add_argument("-o", "--out", type=Path, required=True,
                          help="job directory; a second run there goes on where the first stopped")
    compress.add_argument("--keep", type=fraction, default=0.5,
                          help="fraction of each layer's parameters to keep")
    compress.add_argument("--max-error", type=float, default=0.0,
                          help="bound on each layer's relative error, instead of --keep")
    compress.add_argument("--structure", choices=["blast", "dense"], default="blast",
                          help="what layers become")
    compress.add_argument("--blocks", type=positive, default=4, help="blocks per side")
    compress.add_argument("--layers", default="", metavar="REGEX",
                          help="names of the layers to compress (found anywhere in the name)")
    compress.add_argument("--min-parameters", type=int, default=0,
                          help="layers with fewer parameters stay dense")
    compress.add_argument("--plan", type=Path, help="plan file to follow (JSON)")
    compress.add_argument("--iterations", type=positive, default=50,
                          help="of the factorization, per layer")
    compress.add_argument("--allocate", choices=["uniform", "global"], default="uniform",
                          help="keep the fraction of each layer, or of all together")
    compress.add_argument("--candidate-blocks", type=positive, nargs="+", default=(),
                          help="with --allocate global: blocks per side to choose from")
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
    model = import_onnx(options.model, options.out)
    print(f"{model.mlir}: {len(model.inputs)} inputs, {len(model.outputs)} outputs, "
          f"{len(model.parameters)} weights")


def _compress(options: argparse.Namespace) -> None:
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
    compressed = workspace.compressed(model, compression)
    inputs = _inputs(model, options)
    workspace.say("run and compare")
    result = _compare({"compiled, dense": dense, "compiled, compressed": compressed.module},
                      onnx, inputs, options)
    sums = report.totals(compressed.layers, count_parameters(model.weights))
    result |= {"model": options.model, "totals": sums, "layers": compressed.layers}
    text = _markdown(result)
    write_json(options.out / "report.json", result)
    write_text(options.out / "report.md", text)
    print(text)


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
    return workspace.import_model(path), path


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
    if name != "minilm":
        return workspace.importance(model, compression, inputs,
                                    lambda outputs, _: outputs[0])
    return workspace.importance(
        model, compression, workspace.directory / "calibration" / "tokens.npz",
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
        f"# {result['model']}", "## Layers", report.layer_table(result["layers"]),
        "Multiply-adds are per token. Relative error: ‖W − Ŵ‖_F / ‖W‖_F.",
        "## Totals", report.totals_table(result["totals"]),
        f"## Output error against {result['original']}",
        report.table(["model", "output", "largest absolute", "relative (Frobenius)"], errors),
        f"## Time of one call, {result['threads']} threads, same run, interleaved",
        report.timing_table(timings)]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
