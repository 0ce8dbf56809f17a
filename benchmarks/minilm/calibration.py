# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tables of docs/Calibration.md: data-free against calibrated, by one command.

Compresses all-MiniLM-L6-v2 at equal parameters by truncated SVD, BLAST and GBLR,
each data-free and calibrated, with the same fraction of every layer and with
structures, blocks, ranks and budgets allocated over the whole model; compares the embeddings of sentences that were
not used for calibration with the original's. It can be interrupted and run
again: finished steps are not repeated.

    PYTHONPATH=python python benchmarks/minilm/calibration.py -o build/calibration
"""

import argparse
import dataclasses
import sys
from pathlib import Path

from structured import driver, evaluation, mainjob, minilm, report, runtime
from structured.errors import StructuredError
from structured.files import write_json, write_text
from structured.pipeline import Compression, Workspace

HERE = Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class Method:
    """What a row of the table is made with.

    allocation      uniform; or of all layers together: by the layers' errors, or
                    by these weighted with the measured importance
    structures, blocks  to choose from if the allocation is not uniform; else the
                    first ones
    """

    blocks: tuple[int, ...] = (4,)
    structures: tuple[str, ...] = ("blast",)
    calibrated: bool = True
    allocation: str = "uniform"

    def compression(self, keep: float, iterations: int, moments: Path) -> Compression:
        chosen = self.allocation != "uniform"
        return Compression(
            keep=keep, iterations=iterations, structure=self.structures[0],
            blocks=self.blocks[0], allocate="global" if chosen else "uniform",
            candidate_blocks=self.blocks if len(self.blocks) > 1 else (),
            candidate_structures=self.structures if len(self.structures) > 1 else (),
            moments=moments if self.calibrated else None)


METHODS = {
    "SVD": Method((1,), calibrated=False),
    "BLAST": Method(calibrated=False),
    "GBLR": Method(structures=("gblr",), calibrated=False),
    "SVD, calibrated": Method((1,)),
    "BLAST, calibrated": Method(),
    "GBLR, calibrated": Method(structures=("gblr",)),
    "BLAST, calibrated, allocated by errors": Method(allocation="errors"),
    "BLAST, calibrated, allocated": Method(allocation="importance"),
    "BLAST of 1, 4, 16 blocks, calibrated, allocated": Method(
        (1, 4, 16), allocation="importance"),
    "GBLR, calibrated, allocated": Method(structures=("gblr",), allocation="importance"),
    "BLAST of 1, 4, 16 blocks and GBLR, calibrated, allocated": Method(
        (1, 4, 16), ("blast", "gblr"), allocation="importance"),
}


def evaluate(module: Path, tokens: dict, original: mainjob.Results) -> dict[str, float]:
    """Errors of a compiled model's embeddings."""
    loaded = runtime.Module.load(module)
    result = mainjob.run_sentences(lambda inputs: loaded(**inputs)[0], tokens)
    return {"embedding_error": evaluation.relative_error(result.embeddings,
                                                         original.embeddings),
            **mainjob.compare(result, original)}


def run(options: argparse.Namespace) -> list[dict]:
    workspace = Workspace(options.out)
    model, _ = driver.open_model("minilm", workspace)
    dense = workspace.dense(model)
    moments = driver.calibrate(options.sentences, "minilm", model, workspace)
    pairs = mainjob.read_pairs(options.pairs, None)
    sentences = [s for pair in pairs for s in (pair["first"], pair["second"])]
    if overlap := set(sentences) & set(options.sentences.read_text().splitlines()):
        raise StructuredError(f"{options.sentences}: is also among the sentences to compare: "
                              f"{min(overlap)}")
    tokens = minilm.tokenize(sentences)
    runtime.set_num_threads(options.threads)
    loaded = runtime.Module.load(dense)
    original = mainjob.run_sentences(lambda inputs: loaded(**inputs)[0], tokens)
    total = driver.count_parameters(model.weights)
    records = []
    for keep in options.keep:
        for name in options.methods:
            method = METHODS[name]
            compression = method.compression(keep, options.iterations, moments)
            if method.allocation == "importance":
                compression = dataclasses.replace(
                    compression, importance=driver.importance(
                        "minilm", model, workspace, compression))
            compressed = workspace.compressed(
                model, compression,
                f"keep-{keep:g}-{name.lower().replace(', ', '-').replace(' ', '-')}")
            totals = report.totals(compressed.layers, total)
            layers = [layer for layer in compressed.layers if layer["structure"] != "dense"]
            records.append({
                "keep": keep, "method": name, "totals": totals,
                "weight_error": mean(layers, "relative_error"),
                "output_error": mean(layers, "output_error"),
                **evaluate(compressed.module, tokens, original)})
            write_json(options.out / "calibration.json", records)
    return records


def mean(layers: list[dict], key: str) -> float | None:
    """The mean of `key` over the layers, if they have it."""
    values = [layer[key] for layer in layers if key in layer]
    return sum(values) / len(values) if values else None


def markdown(records: list[dict]) -> str:
    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.3f}"

    rows = [[f"{record['keep']:g}", record["method"],
             f"{record['totals']['linear_parameters']:,}",
             number(record["weight_error"]), number(record["output_error"]),
             f"{record['embedding_error']:.4f}", f"{record['cosine_mean']:.4f}",
             f"{record['cosine_min']:.4f}", f"{record['spearman']:.4f}"] for record in records]
    return report.table(["keep", "method", "linear layers' parameters", "weights' error",
                         "outputs' error", "embedding error", "cosine mean", "cosine min",
                         "rank correlation"], rows) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, default=Path("build/calibration"))
    parser.add_argument("--sentences", type=Path, default=HERE / "calibration_sentences.txt",
                        help="calibration sentences, one a line")
    parser.add_argument("--pairs", type=Path, default=mainjob.PAIRS,
                        help="sentence pairs to compare on (TSV)")
    parser.add_argument("--keep", type=driver.fraction, nargs="+", default=[0.75, 0.5])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS),
                        metavar="METHOD")
    parser.add_argument("--iterations", type=driver.positive, default=50)
    parser.add_argument("--threads", type=driver.positive, default=2)
    options = parser.parse_args()
    try:
        records = run(options)
        text = markdown(records)
        write_text(options.out / "calibration.md", text)
    except StructuredError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
