# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The commands `structured checkpoint inspect|import|compile|export|report`."""

import argparse
import contextlib
import functools
import json
import math
import re
import sys
import tempfile
from pathlib import Path
from typing import Iterator, Sequence

import numpy as np

from .. import report as tables
from ..errors import StructuredError
from ..files import LazyTensor
from ..importer import ImportedModel, import_onnx
from . import blast, build, layouts, report
from .matrices import count_blast, count_gblr
from .store import Store, numpy_dtype

_DTYPES = {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Adds `checkpoint` and its commands."""
    parser = commands.add_parser(
        "checkpoint", help="checkpoints of BLAST, Gaudi-GBLR, Monarch and low-rank models")
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    inspect = actions.add_parser("inspect", help="list a checkpoint's structured layers")
    _add_inputs(inspect)
    inspect.add_argument("--json", action="store_true", help="write JSON")
    inspect.set_defaults(command=_inspect)

    importing = actions.add_parser("import", help="checkpoint -> factors for the compiler")
    _add_inputs(importing)
    importing.add_argument("-o", "--out", type=Path, required=True, help="factor file to write")
    importing.add_argument("--reference", type=Path, nargs="+", default=[], metavar="FILE",
                           help="dense weights L.weight; they decide an order of BLAST factors "
                                "that shapes leave open, and give the errors in the report")
    importing.add_argument("--config", type=Path, metavar="JSON",
                           help="the model's config.json, to check block counts and ranks")
    for key, orders in (("d", blast.D_ORDERS), ("b", blast.B_ORDERS), ("c", blast.C_ORDERS)):
        importing.add_argument(f"--{key}-order", choices=list(orders),
                               help=f"order of the dimensions of BLAST's {key.upper()}")
    importing.add_argument("--no-gaussian", action="store_true",
                           help="GBLR: masks are not smoothed, whatever sigma says")
    importing.add_argument("--unified-mask", action="store_true",
                           help="GBLR: all taps of a convolution have the first one's masks")
    importing.add_argument("--channels-first", action="store_true",
                           help="GBLR convolutions: columns in the order ic k1 k2 (models in NCHW)")
    importing.add_argument("--taps", type=int, metavar="N",
                           help="GBLR: k1·k2 of integrated convolutions, for --channels-first")
    importing.add_argument("--merge", action="store_true",
                           help="GBLR: merge components where that is exact and saves numbers")
    importing.add_argument("--dtype", choices=list(_DTYPES),
                           help="element type of the factors; default: the checkpoint's")
    importing.add_argument("--rename", type=_substitution, action="append", default=[],
                           metavar="REGEX=TEXT",
                           help="from the checkpoint's names to the model's, e.g. '^model[.]='; "
                                "may be repeated")
    importing.add_argument("--others", type=Path, metavar="FILE",
                           help="write all other tensors (biases, embeddings, …) there")
    importing.add_argument("--report", type=Path, metavar="DIR",
                           help="write report.md, report.json, report.html and pictures there")
    _add_tokens(importing)
    importing.set_defaults(command=_import)

    compiling = actions.add_parser("compile", help="dense model + factors -> compiled module")
    compiling.add_argument("model", type=Path,
                           help="ONNX file, or directory that `structured import` wrote")
    compiling.add_argument("factors", type=Path, help="factor file")
    compiling.add_argument("-o", "--out", type=Path, required=True, help="directory to write to")
    compiling.add_argument("--others", type=Path, metavar="FILE",
                           help="tensors that replace the model's (those that import wrote)")
    compiling.add_argument("--im2col", action="store_true",
                           help="lower convolutions by im2col, so that those with kernels "
                                "larger than 1x1 become linear layers, too")
    compiling.set_defaults(command=_compile)

    export = actions.add_parser("export", help="factors -> the authors' checkpoint layout")
    export.add_argument("factors", type=Path, help="factor file")
    export.add_argument("-o", "--out", type=Path, required=True,
                        help="checkpoint to write (safetensors)")
    export.add_argument("--others", type=Path, metavar="FILE",
                        help="tensors to add (those that import wrote)")
    export.add_argument("--reference", type=Path, nargs="+", default=[], metavar="FILE",
                        help="dense weights, for the shapes of GBLR layers that did not come "
                             "from a checkpoint")
    export.set_defaults(command=_export)

    reporting = actions.add_parser("report", help="report on the layers of a factor file")
    reporting.add_argument("factors", type=Path, help="factor file")
    reporting.add_argument("-o", "--out", type=Path, required=True, help="directory to write to")
    reporting.add_argument("--reference", type=Path, nargs="+", default=[], metavar="FILE",
                           help="dense weights, for the errors")
    _add_tokens(reporting)
    reporting.set_defaults(command=_report)


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path, nargs="+",
                        help="safetensors or PyTorch files, an index of shards, or a directory")
    parser.add_argument("--layers", type=_regex, default="", metavar="REGEX",
                        help="names of the layers (found anywhere in the name)")


def _add_tokens(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tokens", metavar="N|JSON",
                        help="tokens (output positions of a convolution) per sample: a number, or "
                             "a file with an object by layer; the report's sums are then per "
                             "sample")


def _tokens(text: str | None, layers: Sequence[layouts.Layer]) -> dict[str, int]:
    """Tokens per sample of each layer, as --tokens gives them."""
    if text is None:
        return {}
    names = [layer.name for layer in layers]
    try:
        tokens = dict.fromkeys(names, int(text)) if text.isdigit() else json.loads(
            Path(text).read_text())
        tokens = {name: tokens[name] for name in names}
    except KeyError as error:
        raise StructuredError(f"--tokens {text}: no number for layer {error}") from error
    except (ValueError, TypeError) as error:
        raise StructuredError(f"--tokens {text}: neither a number nor JSON: {error}") from error
    for name, count in tokens.items():
        if not isinstance(count, int) or count < 1:
            raise StructuredError(f"--tokens {text}: layer '{name}': {count!r} is no number of "
                                  "tokens")
    return tokens


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from error
    return text


def _substitution(text: str) -> tuple[str, str]:
    pattern, equals, replacement = text.rpartition("=")
    try:
        re.sub(_regex(pattern), replacement, "")
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not REGEX=TEXT")
    return pattern, replacement


def _inspect(options: argparse.Namespace) -> None:
    store = Store.open(options.checkpoint)
    found = layouts.find_layers(store, options.layers)
    records = []
    for name, layer in found.items():
        record = {"layer": name, "layout": layer.layout, "kind": layer.kind, "tensors": {
            f"{prefix}.{key}".removeprefix(f"{name}."): list(store.shape(f"{prefix}.{key}"))
            for prefix in layer.prefixes for key in layouts.KEYS[layer.layout]}}
        if layer.layout == "blast":
            shapes = {key: store.shape(f"{name}.{key}") for key in "BCD"}
            record["orders"] = [orders._asdict() for orders in blast.ALL_ORDERS
                                if blast.sizes_of(shapes, orders)]
        records.append(record)
    others = layouts.other_tensors(store, found)
    if options.json:
        print(json.dumps({"layers": records, "other_tensors": others}, indent=2))
        return
    rows = [[record["layer"], record["layout"], record["kind"],
             ", ".join(f"{key} {shape}" for key, shape in list(record["tensors"].items())[:3])
             + (", …" if len(record["tensors"]) > 3 else ""), len(record.get("orders", [0]))]
            for record in records]
    print(tables.table(["layer", "layout", "kind", "tensors", "orders by shape"], rows))
    print(f"{len(records)} structured layers, {len(others)} other tensors")


def _import(options: argparse.Namespace) -> None:
    store = Store.open(options.checkpoint)
    found = layouts.find_layers(store, options.layers)
    if not found:
        raise StructuredError(f"{', '.join(map(str, store.files))}: no structured layers"
                              + (f" match {options.layers!r}" if options.layers else ""))
    _refuse_overwriting([options.out, options.others], store)
    reference = Store.open(options.reference) if options.reference else None
    settings = layouts.Options(
        orders={key: order for key in "bcd" if (order := getattr(options, f"{key}_order"))},
        no_gaussian=options.no_gaussian, unified_mask=options.unified_mask, merge=options.merge,
        channels_first=options.channels_first, taps=options.taps, renaming=options.rename,
        dtype=numpy_dtype(_DTYPES[options.dtype]) if options.dtype else None)
    layers = layouts.import_layers(store, found, settings, reference,
                                   blast.Config(options.config) if options.config else None)
    tokens = _tokens(options.tokens, layers)
    others, names = layouts.rename_others(store, layouts.other_tensors(store, found), settings)
    layouts.write_factors(options.out, layers)
    if options.others:
        layouts.write_tensors(options.others, others, names)
    numbers = sum(math.prod(tensor.shape) for tensor in others)
    _print(report.layer_record(layer) for layer in layers)
    if options.report:
        errors = _errors(Store.open([options.out]), layers, reference)
        report.write_report(options.report, options.checkpoint[0].name, layers, errors, numbers,
                            tokens)


def _print(records: Iterator[dict]) -> None:
    records = list(records)
    print(tables.table(*report.layer_rows(records)))
    for record in records:
        for note in record["notes"]:
            print(f"{record['layer']}: {note}")


def _refuse_overwriting(outputs: Sequence[Path | None], store: Store) -> None:
    inputs = {file.resolve() for file in store.files}
    given = [path for path in outputs if path]
    for path in given:
        if path.resolve() in inputs:
            raise StructuredError(f"{path}: is an input, too")
    if len({path.resolve() for path in given}) != len(given):
        raise StructuredError(f"{given[0]}: is given as two outputs")


def _errors(factors: Store, layers: Sequence[layouts.Layer], reference: Store | None
            ) -> dict[str, float]:
    """‖W − Ŵ‖_F / ‖W‖_F of each layer that the reference holds."""
    result = {}
    for layer in layers:
        name = f"{layer.name}.weight"
        if reference and name in reference:
            weight = reference.read_matrix(
                name, layer.origin.get("channels_first", False)).astype(np.float64)
            matrix = (layouts.read_blast(factors, layer.name) if layer.sizes
                      else layouts.read_gblr(factors, layer.name, layer.shape))
            if weight.shape != layer.shape:
                raise StructuredError(f"{reference.where(name)} is {list(weight.shape)}, the "
                                      f"layer {list(layer.shape)}")
            norm = float(np.linalg.norm(weight))
            result[layer.name] = (float(np.linalg.norm(weight - matrix.dense())) / norm
                                  if norm else math.inf)
    return result


def _compile(options: argparse.Namespace) -> None:
    with contextlib.ExitStack() as stack:
        if options.model.is_dir():
            model = ImportedModel.load(options.model)
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            model = import_onnx(options.model, Path(folder))
        module, unknown = build.compile_model(model, options.factors, options.others, options.out,
                                              options.im2col)
    print(module)
    for name in unknown:
        print(f"structured: warning: {options.others}: '{name}' is no weight of the model",
              file=sys.stderr)


def _export(options: argparse.Namespace) -> None:
    store = Store.open([options.factors])
    others = Store.open([options.others]) if options.others else None
    _refuse_overwriting([options.out], store)
    shapes = _dense_shapes(options.reference)
    structures, origins = layouts.factor_layers(store), layouts.origins_of(store)

    @functools.lru_cache(maxsize=1)  # One layer in memory at a time.
    def convert(layer: str) -> tuple[str, dict[str, np.ndarray]]:
        return layouts.export_layer(store, layer, structures[layer], origins.get(layer, {}),
                                    shapes.get(layer))

    tensors: dict[str, LazyTensor] = {}
    for layer in structures:
        stored, arrays = convert(layer)
        print(f"{stored}: " + ", ".join(f"{name.removeprefix(f'{stored}.')} {list(array.shape)}"
                                        for name, array in list(arrays.items())[:3]))
        for name, array in arrays.items():
            if name in tensors:
                raise StructuredError(f"{options.factors}: two layers would write '{name}'")
            tensors[name] = LazyTensor(
                name, array.dtype, array.shape,
                lambda layer=layer, name=name: convert(layer)[1][name])
    names = layouts.origins_of(others) if others else {}
    for name in others.tensors if others else ():
        stored = names.get(name, {}).get("name", name)
        if stored in tensors:
            raise StructuredError(f"{others.where(name)} is a factor, too")
        tensors[stored] = others.lazy(name)._replace(name=stored)
    layouts.write_tensors(options.out, list(tensors.values()), {"format": "pt"})


def _dense_shapes(files: Sequence[Path]) -> dict[str, tuple[int, int]]:
    if not files:
        return {}
    store = Store.open(files)
    return {name.removesuffix(".weight"): store.matrix_shape(name) for name in store.tensors
            if name.endswith(".weight") and len(store.matrix_shape(name)) == 2}


def _report(options: argparse.Namespace) -> None:
    store = Store.open([options.factors])
    reference = Store.open(options.reference) if options.reference else None
    layers = _stored_layers(store, _dense_shapes(options.reference))
    result = report.write_report(options.out, options.factors.name, layers,
                                 _errors(store, layers, reference),
                                 tokens=_tokens(options.tokens, layers))
    _print(iter(result["layers"]))


def _stored_layers(store: Store, shapes: dict[str, tuple[int, int]]) -> list[layouts.Layer]:
    """The layers of a factor file, without their numbers."""
    origins, result = layouts.origins_of(store), []
    for name, structure in layouts.factor_layers(store).items():
        origin = origins.get(name, {})
        layout = origin.get("layout", structure)
        if structure == "blast":
            shapes_bcd = {"B": store.shape(f"{name}.U"), "C": store.shape(f"{name}.Vt"),
                          "D": store.shape(f"{name}.S")}
            sizes = blast.sizes_of(shapes_bcd, blast.Orders())
            if not sizes:
                layouts.read_blast(store, name)  # Says what is wrong.
            result.append(layouts.Layer(
                name, layout, sizes.shape, f"blast {sizes.b_out}×{sizes.b_in}",
                count_blast(*sizes.shape, sizes.b_out, sizes.b_in, sizes.rank), [], origin, [],
                sizes=sizes))
            continue
        shape = origin.get("shape") or shapes.get(name)
        if not shape:
            raise StructuredError(f"{store.files[0]}: layer '{name}': the file does not say its "
                                  "shape; give the dense weights with --reference")
        matrix = layouts.read_gblr(store, name, tuple(shape))
        result.append(layouts.Layer(
            name, layout, matrix.shape, f"gblr, {len(matrix.components)} components",
            count_gblr(matrix.components), [], origin, [], components=matrix.components))
    return result
