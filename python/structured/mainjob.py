# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The main job: all-MiniLM-L6-v2, dense and as BLAST, on real sentences.

Imports and compiles the dense model, checks it against onnxruntime, then
factorizes and compiles it at several kept fractions and compares the sentence
embeddings. Prints the tables; OUT/results.md and OUT/results.json hold them.
It can be interrupted and run again: finished steps are not repeated.

    python -m structured.mainjob --out build/main-job
"""

import argparse
import csv
import dataclasses
import sys
from pathlib import Path

import numpy as np

from . import driver, evaluation, minilm, report, runtime
from .errors import StructuredError
from .files import write_json, write_text
from .pipeline import Compression, Workspace

#: Sentence pairs written for this project: paraphrases, related, unrelated.
PAIRS = Path(__file__).resolve().parents[2] / "benchmarks/minilm/sentence_pairs.tsv"

#: Largest difference allowed between the dense compiled model and onnxruntime.
TOLERANCE = 1e-4


@dataclasses.dataclass
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


def check_dense(errors: dict[str, float]) -> None:
    """StructuredError unless the dense compiled model equals the original."""
    for key in ("hidden_max_error", "embedding_max_error"):
        if not errors[key] <= TOLERANCE:  # NaN is refused, too
            raise StructuredError(f"the dense compiled model differs from onnxruntime: "
                                  f"{key} {errors[key]:.3g} > {TOLERANCE:g}")


def build(workspace: Workspace, options: argparse.Namespace) -> tuple[dict, dict, Path]:
    """Modules and parameter counts by model name, and the ONNX file."""
    model, onnx = driver.open_model("minilm", workspace)
    modules = {"dense": workspace.dense(model)}
    total = driver.count_parameters(model.weights)
    sums = {}
    for keep in options.keep:
        name = f"keep {keep:g}"
        compressed = workspace.compressed(
            model, Compression(keep=keep, blocks=options.blocks, iterations=options.iterations), name.replace(" ", "-"))
        modules[name] = compressed.module
        sums[name] = report.totals(compressed.layers, total)
    sums["dense"] = report.dense_totals(next(iter(sums.values())))
    return modules, sums, onnx


def main_job(options: argparse.Namespace) -> dict:
    """Builds, runs, compares and times every model; returns the results."""
    workspace = Workspace(options.out)
    modules, sums, onnx = build(workspace, options)
    pairs = read_pairs(options.pairs, 3 if options.quick else None)
    tokens = minilm.tokenize([s for pair in pairs for s in (pair["first"], pair["second"])])
    runtime.set_num_threads(options.threads)
    session = driver.onnx_session(onnx, options.threads)
    models = {"onnxruntime": lambda inputs: session.run(None, inputs)[0]}
    for name, path in modules.items():
        module = runtime.Module.load(path)
        models[name] = lambda inputs, module=module: module(**inputs)[0]
    results = {}
    for name, model in models.items():
        workspace.say(f"run {len(pairs)} sentence pairs: {name}")
        results[name] = run_sentences(model, tokens)
    original = results.pop("onnxruntime")
    errors = {name: compare(result, original) for name, result in results.items()}
    check_dense(errors["dense"])
    workspace.say("time")
    one = {name: array[:1] for name, array in tokens.items()}
    timings = evaluation.time_interleaved(
        {name: (lambda model=model: model(one)) for name, model in models.items()},
        options.repeat)
    return {
        "blocks": options.blocks, "iterations": options.iterations, "pairs": len(pairs), "threads": options.threads,
        "onnxruntime": {"seconds": dataclasses.asdict(timings["onnxruntime"])},
        "models": {name: {"totals": sums[name], **errors[name],
                          "seconds": dataclasses.asdict(timings[name])} for name in errors},
    }


def markdown(results: dict) -> str:
    """The tables of the main job."""
    def milliseconds(seconds: dict) -> list[str]:
        return [f"{1e3 * seconds['minimum']:.1f}", f"{1e3 * seconds['median']:.1f}"]

    sizes, quality = [], [["onnxruntime", *[""] * 6,
                           *milliseconds(results["onnxruntime"]["seconds"])]]
    for name, model in results["models"].items():
        sums = model["totals"]
        sizes.append([name, f"{sums['linear_parameters']:,}", f"{sums['model_parameters']:,}",
                      f"{sums['multiply_adds']:,}"])
        quality.append([name, *(f"{model[key]:.2g}" for key in
                                ("hidden_max_error", "embedding_max_error")),
                        f"{model['hidden_relative_error']:.3f}",
                        *(f"{model[key]:.4f}" for key in
                          ("cosine_mean", "cosine_min", "spearman")),
                        *milliseconds(model["seconds"])])
    return "\n\n".join([
        f"all-MiniLM-L6-v2, sequence 128, {results['pairs']} sentence pairs, f32; "
        f"BLAST with {results['blocks']}×{results['blocks']} blocks, "
        f"{results['iterations']} iterations; {results['threads']} threads.",
        report.table(["model", "linear layers' parameters", "model's parameters",
                      "linear multiply-adds per token"], sizes),
        report.table(["model", "hidden max error", "embedding max error",
                      "hidden relative error", "cosine mean", "cosine min", "Spearman",
                      "min ms", "median ms"], quality),
        "Errors and cosines are against onnxruntime's results on the original model; "
        "Spearman is the rank correlation of the pairs' similarities with the original's. "
        "Times are of one sentence, all models interleaved in one run."]) + "\n"


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
