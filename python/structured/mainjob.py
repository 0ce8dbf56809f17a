# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The main job: all-MiniLM-L6-v2, dense and as BLAST, on real sentences.

Imports and compiles the dense model, factorizes and compiles it at several kept
fractions, and runs every module on the sentence pairs. Each module must equal
onnxruntime on the same weights (for a compressed model, the dense matrices that
its factors stand for). Then the tables: sizes, embeddings and similarities
against the original's, times. OUT/results.md and OUT/results.json hold them. It
can be interrupted and run again: finished steps are not repeated.

    python -m structured.mainjob --out build/main-job
"""

import argparse
import csv
import dataclasses
import statistics
import sys
from pathlib import Path

import numpy as np

from . import driver, evaluation, factors, minilm, report, runtime
from .errors import StructuredError
from .files import write_json, write_text
from .pipeline import Compression, Workspace

#: Sentence pairs written for this project: paraphrases, related, unrelated.
PAIRS = Path(__file__).with_name("sentence_pairs.tsv")

#: Largest absolute difference allowed between a compiled model and onnxruntime;
#: hidden states reach 6. In f32 a compressed model rounds more than the dense
#: matrices that its factors stand for, as the factors' products cancel: the sum
#: of their absolute values is up to 90 times the matrix, in Frobenius norm.
DENSE_TOLERANCE = 1e-4
COMPRESSED_TOLERANCE = 1e-3


@dataclasses.dataclass(frozen=True)
class BuiltModel:
    """A compiled model and the ONNX file that it must equal within `tolerance`."""

    module: Path
    reference: Path
    tolerance: float
    totals: dict[str, int]
    weights_error: float  # mean over the layers of ‖W − Ŵ‖_F / ‖W‖_F


@dataclasses.dataclass(frozen=True)
class Results:
    """What one model makes of the sentences."""

    hidden: np.ndarray        # [sentences, S, 384]
    embeddings: np.ndarray    # [sentences, 384], unit length
    similarities: np.ndarray  # [pairs], cosine of the two sentences


def read_pairs(path: Path, per_kind: int | None) -> list[dict[str, str]]:
    """The sentence pairs (kind, first, second), `per_kind` of each kind or all."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        kinds = {row["kind"] for row in rows}
    except (OSError, KeyError) as error:
        raise StructuredError(f"{path}: no sentence pairs: {error}") from error
    return [row for kind in sorted(kinds)
            for row in [r for r in rows if r["kind"] == kind][:per_kind]]


def run_sentences(model, tokens: dict[str, np.ndarray]) -> Results:
    """Runs `model` on one sentence at a time; sentences 2i and 2i+1 are a pair."""
    count = len(tokens["input_ids"])
    hidden = np.concatenate([model({name: array[i:i + 1] for name, array in tokens.items()})
                             for i in range(count)])
    embeddings = minilm.embed(hidden, tokens["attention_mask"])
    return Results(hidden, embeddings, (embeddings[0::2] * embeddings[1::2]).sum(axis=1))


def compare(result: Results, original: Results) -> dict[str, float]:
    """Errors and similarities of a model's results against the original's."""
    cosines = evaluation.cosines(result.embeddings, original.embeddings)
    return {
        "hidden_max_error": evaluation.max_error(result.hidden, original.hidden),
        "embedding_max_error": evaluation.max_error(result.embeddings, original.embeddings),
        "hidden_relative_error": evaluation.relative_error(result.hidden, original.hidden),
        "cosine_mean": float(cosines.mean()), "cosine_min": float(cosines.min()),
        "spearman": evaluation.spearman(result.similarities, original.similarities),
    }


def check_equal(name: str, result: Results, reference: Results, tolerance: float) -> float:
    """The largest difference from the reference, in hidden states or embeddings.

    StructuredError when it is above `tolerance` or not a number.
    """
    error = max(evaluation.max_error(result.hidden, reference.hidden),
                evaluation.max_error(result.embeddings, reference.embeddings))
    if not error <= tolerance:
        raise StructuredError(f"the compiled model '{name}' differs from onnxruntime by "
                              f"{error:.3g}, more than {tolerance:g}")
    return error


def build(workspace: Workspace, options: argparse.Namespace) -> dict[str, BuiltModel]:
    """Builds the dense model and the compressed ones."""
    model, onnx = driver.open_model("minilm", workspace)
    dense = workspace.dense(model)
    total = driver.count_parameters(model.weights)
    moments = driver.calibrate(options.calibrate, "minilm", model, workspace) \
        if options.calibrate else None
    models = {}
    for keep in options.keep:
        compressed = workspace.compressed(
            model, Compression(keep=keep, blocks=options.blocks,
                               iterations=options.iterations, moments=moments),
            f"keep-{keep:g}")
        reference = compressed.directory / "reference.onnx"
        minilm.write_onnx(reference, replacements=factors.dense_weights(
            compressed.directory / "factors.safetensors"))
        layers = compressed.layers
        models[f"keep {keep:g}"] = BuiltModel(
            compressed.module, reference, COMPRESSED_TOLERANCE, report.totals(layers, total),
            statistics.fmean(layer["relative_error"] for layer in layers))
    totals = report.dense_totals(next(iter(models.values())).totals)
    return {"dense": BuiltModel(dense, onnx, DENSE_TOLERANCE, totals, 0.0)} | models


def main_job(options: argparse.Namespace) -> dict:
    """Builds, runs, checks, compares and times every model."""
    workspace = Workspace(options.out)
    models = build(workspace, options)
    pairs = read_pairs(options.pairs, 3 if options.quick else None)
    tokens = minilm.tokenize([s for pair in pairs for s in (pair["first"], pair["second"])])
    runtime.set_num_threads(options.threads)
    session = driver.onnx_session(models["dense"].reference, options.threads)
    calls = {"onnxruntime": lambda inputs: session.run(None, inputs)[0]}
    original = run_sentences(calls["onnxruntime"], tokens)
    results = {}
    for name, model in models.items():
        workspace.say(f"run and check on {len(pairs)} sentence pairs: {name}")
        module = runtime.Module.load(model.module)
        calls[name] = lambda inputs, module=module: module(**inputs)[0]
        result = run_sentences(calls[name], tokens)
        reference = driver.onnx_session(model.reference, options.threads)
        difference = check_equal(name, result, run_sentences(
            lambda inputs: reference.run(None, inputs)[0], tokens), model.tolerance)
        results[name] = {"totals": model.totals, "difference": difference,
                         "weights_error": model.weights_error, **compare(result, original)}
    workspace.say("time")
    one = {name: array[:1] for name, array in tokens.items()}
    timings = evaluation.time_interleaved(
        {name: (lambda call=call: call(one)) for name, call in calls.items()}, options.repeat)
    return {
        "blocks": options.blocks, "iterations": options.iterations, "pairs": len(pairs),
        "threads": options.threads, "machine": evaluation.machine(), "models": results,
        "seconds": {name: dataclasses.asdict(timing) for name, timing in timings.items()},
    }


def markdown(results: dict) -> str:
    """The tables of the main job."""
    sizes, quality = [], []
    for name, model in results["models"].items():
        sums = model["totals"]
        sizes.append([name, *(f"{sums[key]:,}" for key in
                              ("linear_parameters", "model_parameters", "multiply_adds"))])
        quality.append([name, f"{model['difference']:.1e}",
                        *(f"{model[key]:.3f}" for key in
                          ("weights_error", "hidden_relative_error")),
                        *(f"{model[key]:.4f}" for key in
                          ("cosine_mean", "cosine_min", "spearman"))])
    timings = {name: evaluation.Timing(**seconds)
               for name, seconds in results["seconds"].items()}
    return "\n\n".join([
        f"all-MiniLM-L6-v2, sequence 128, f32, {results['pairs']} sentence pairs; BLAST with "
        f"{results['blocks']}×{results['blocks']} blocks, {results['iterations']} iterations.",
        report.table(["model", "linear layers' parameters", "model's parameters",
                      "linear multiply-adds per token"], sizes),
        report.table(["model", "difference", "weights' error", "hidden error", "cosine mean", "cosine min",
                      "rank correlation"], quality),
        "Difference: largest absolute one from onnxruntime on the same weights, over hidden "
        "states and embeddings. The others are against the original model: relative Frobenius "
        "error of the weights (mean over the layers) and of the hidden states, cosines of the embeddings, Spearman's rank correlation of "
        "the pairs' similarities.",
        f"One sentence, {results['threads']} threads, all models in turn in one run, on "
        f"{results['machine']}:",
        report.timing_table(timings)]) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, default=Path("build/main-job"),
                        help="job directory")
    parser.add_argument("--pairs", type=Path, default=PAIRS, help="sentence pairs (TSV)")
    parser.add_argument("--keep", type=driver.fraction, nargs="+", default=[0.9, 0.75, 0.5],
                        help="fractions of each layer's parameters")
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--iterations", type=int, help="of the factorization, per layer; default: 50, with --quick 5")
    parser.add_argument("--calibrate", type=Path, metavar="FILE",
                        help="calibration sentences, one a line; other ones than the pairs'")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=40, help="timed calls of each model")
    parser.add_argument("--quick", action="store_true",
                        help="keep 0.5 only, few iterations, 3 pairs of each kind")
    options = parser.parse_args()
    options.iterations = options.iterations or (5 if options.quick else 50)
    if options.quick:
        options.keep = [0.5]
    try:
        results = main_job(options)
        write_json(options.out / "results.json", results)
        write_text(options.out / "results.md", markdown(results))
    except StructuredError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(markdown(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
