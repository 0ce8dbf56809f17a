# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Finds the structured layers of a checkpoint; converts them both ways.

A factor file made from a checkpoint says in its metadata
(`structured.checkpoint`) which layout each layer came from, so that export
gives the same keys, orders and shapes back.
"""

import dataclasses
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Mapping, Sequence

import numpy as np

from ..errors import StructuredError
from ..files import LazyTensor, staged_directory, write_safetensors
from . import blast, gblr, lowrank
from .matrices import Blast, Gblr, count_blast, count_gblr
from .store import Store, numpy_dtype

#: Key of a factor file's metadata: JSON, by layer, see `Layer.origin`.
METADATA = "structured.checkpoint"

#: The keys of each layout, by which a layer is found.
KEYS = {
    "blast": ("B", "C", "D"),
    "gblr": ("lr_weight1", "lr_weight2", "widths", "locations"),
    "low rank": ("left", "right"),
    "low rank, lr_weight": ("lr_weight1", "lr_weight2"),
    "monarch": ("blkdiag1", "blkdiag2"),
}

#: Buffers of the authors' GBLR modules that hold nothing of a model.
_GBLR_BUFFERS = ("sigma", "freq_in", "freq_out")

#: Widths and locations are fractions of a period, not clamped: far above 1, yet
#: within what can be rounded to a place, they are taken as they are.
_MAX_FRACTION = 1e6

_CONVOLUTION = re.compile(r"(?P<layer>.+)\.gaudi_module(?:s\.(?P<tap>\d+))?")


@dataclasses.dataclass
class Found:
    """A layer of a checkpoint: the prefixes of its modules' keys. There are
    several for a convolution with a module per kernel tap."""

    layout: str
    prefixes: list[str]
    kind: str = "linear"


@dataclasses.dataclass
class Options:
    """What a checkpoint does not say."""

    #: Orders of BLAST factors, by "b", "c", "d".
    orders: Mapping[str, str] = dataclasses.field(default_factory=dict)
    #: GBLR: masks are not smoothed, whatever sigma is (the authors' no_gaussian).
    no_gaussian: bool = False
    #: GBLR: each tap of a convolution has the masks of the first (unified_mask).
    unified_mask: bool = False
    #: GBLR: merge components where that is exact and takes fewer numbers.
    merge: bool = False
    #: GBLR convolutions: columns in the order ic k1 k2, as a model in NCHW has.
    channels_first: bool = False
    #: Kernel taps k1·k2 of integrated convolutions, for `channels_first`.
    taps: int | None = None
    #: Element type of the factors; None: the checkpoint's.
    dtype: np.dtype | None = None
    #: Substitutions (regular expression, replacement) from the checkpoint's
    #: names to the model's.
    renaming: Sequence[tuple[str, str]] = ()

    def renamed(self, name: str) -> str:
        """The model's name of a checkpoint's layer or tensor."""
        for pattern, replacement in self.renaming:
            name = re.sub(pattern, replacement, name)
        return name


@dataclasses.dataclass
class Layer:
    """A converted layer. Numbers are read when `tensors` are written."""

    name: str
    layout: str
    shape: tuple[int, int]
    structure: str
    parameters: int
    tensors: list[LazyTensor]
    #: What export needs beside the factors.
    origin: dict
    notes: list[str]
    #: [K,5], of a GBLR layer.
    components: np.ndarray | None = None
    #: Blocks and rank, of a BLAST layer.
    sizes: blast.Sizes | None = None


def find_layers(store: Store, layers: str = "") -> dict[str, Found]:
    """The structured layers by name, in the order of their keys.

    `layers` is a regular expression, searched for in the names. Raises
    StructuredError for a layer that lacks some of its layout's keys.
    """
    keys: dict[str, set[str]] = defaultdict(set)
    for name in store.tensors:
        prefix, _, key = name.rpartition(".")
        keys[prefix].add(key)
    result: dict[str, Found] = {}
    for prefix, held in keys.items():
        match = _CONVOLUTION.fullmatch(prefix)
        name = match["layer"] if match else prefix
        layout = _layout(store, prefix, held) if re.search(layers, name) else None
        if not layout:
            continue
        kind = "linear" if not match else "taps" if match["tap"] else "integrated"
        if name not in result:
            result[name] = Found(layout, [], kind)
        elif result[name].kind != "taps" or kind != "taps":
            raise StructuredError(f"{store.files[0]}: layer '{name}' is there in two layouts")
        result[name].prefixes.append(prefix)
    for name, found in result.items():
        if found.kind == "taps":
            found.prefixes.sort(key=lambda prefix: int(prefix.rpartition(".")[2]))
            if found.prefixes != [f"{name}.gaudi_modules.{i}" for i in range(len(found.prefixes))]:
                raise StructuredError(f"{store.files[0]}: layer '{name}': the kernel taps are not "
                                      "numbered from 0 without a gap")
    return result


def _layout(store: Store, prefix: str, held: set[str]) -> str | None:
    """The layout of the module `prefix` with the keys `held`, None if it is no
    structured layer."""
    if {"B", "D"} <= held or {"C", "D"} <= held or {"B", "C"} <= held:
        layout = "blast"
    elif held & {"widths", "locations"} and held & {"lr_weight1", "lr_weight2"}:
        layout = "gblr"
    elif held & {"lr_weight1", "lr_weight2"}:
        # Without widths and locations the weights alone tell: matrices or stacks.
        shapes = [store.shape(f"{prefix}.{key}") for key in held & set(KEYS["low rank, lr_weight"])]
        layout = "gblr" if len(shapes[0]) == 3 else "low rank, lr_weight"
    elif {"left", "right"} <= held:
        layout = "low rank"
    elif held & {"blkdiag1", "blkdiag2"}:
        layout = "monarch"
    else:
        return None
    missing = [key for key in KEYS[layout] if key not in held]
    if missing:
        file = next(t.file for name, t in store.tensors.items() if name.startswith(f"{prefix}."))
        raise StructuredError(f"{file}: layer '{prefix}' ({layout}) lacks "
                              + ", ".join(f"'{prefix}.{key}'" for key in missing))
    return layout


def rename_others(store: Store, names: Sequence[str], options: Options
                  ) -> tuple[list[LazyTensor], dict[str, str]]:
    """The tensors under the model's names, and metadata that says the
    checkpoint's; StructuredError if two would have the same."""
    renamed = {options.renamed(name): name for name in names}
    if len(renamed) != len(names):
        raise StructuredError(f"{store.files[0]}: renamed, two tensors would have the same name")
    return ([store.lazy(name)._replace(name=new) for new, name in renamed.items()],
            {METADATA: json.dumps({new: {"name": name} for new, name in renamed.items()})})


def other_tensors(store: Store, found: Mapping[str, Found]) -> list[str]:
    """The names of the tensors that no structured layer's factors take."""
    taken = {f"{prefix}.{key}" for layer in found.values() for prefix in layer.prefixes
             for key in (*KEYS[layer.layout], *(_GBLR_BUFFERS if layer.layout == "gblr" else ()))}
    return [name for name in store.tensors if name not in taken]


def import_layers(store: Store, found: Mapping[str, Found], options: Options,
                  reference: Store | None = None, config: blast.Config | None = None
                  ) -> list[Layer]:
    """Converts the layers. Raises StructuredError, naming file and layer.

    `reference` holds dense weights by the model's names.
    """
    orders = blast.resolve(store, {name: f"{options.renamed(name)}.weight"
                                   for name, layer in found.items() if layer.layout == "blast"},
                           reference, config, options.orders)
    result = []
    for name, layer in found.items():
        if layer.layout == "blast":
            result.append(_import_blast(store, name, *orders[name], options))
        elif layer.layout == "gblr":
            result.append(_import_gblr(store, name, layer, options))
        elif layer.layout == "monarch":
            result.append(_import_monarch(store, name, options))
        else:
            result.append(_import_low_rank(store, name, layer.layout, options))
    names = [layer.name for layer in result]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise StructuredError(f"{store.files[0]}: two layers would have the name '{twice}'")
    return result


def _cast(array: np.ndarray, dtype: np.dtype, what: str) -> np.ndarray:
    """`array` in `dtype`; StructuredError if a finite number does not fit."""
    with np.errstate(over="ignore"):
        result = array.astype(dtype)
    if not np.isfinite(result.astype(np.float32)).all():
        raise StructuredError(f"{what}: a number does not fit {dtype.name}")
    return result


def _blast_layer(name: str, layout: str, sizes: blast.Sizes, dtype: np.dtype, load: Mapping,
                 options: Options, origin: dict, notes: list[str], where: str) -> Layer:
    """A BLAST layer whose factor U, S, Vt is `load[…]()`."""
    b_out, b_in, p, q, rank = sizes
    stored, name = name, options.renamed(name)
    shapes = {"U": (b_out, p, rank), "S": (b_out, b_in, rank), "Vt": (b_in, rank, q)}
    tensors = [LazyTensor(f"{name}.{key}", dtype, shape,
                          lambda key=key: _cast(load[key](), dtype, f"{where}: '{name}.{key}'"))
               for key, shape in shapes.items()]
    return Layer(name, layout, sizes.shape, f"blast {b_out}×{b_in}",
                 count_blast(*sizes.shape, b_out, b_in, rank), tensors,
                 {"name": stored, "layout": layout} | origin, notes, sizes=sizes)


def _import_blast(store: Store, name: str, orders: blast.Orders, reason: str,
                  options: Options) -> Layer:
    keys = [f"{name}.{key}" for key in "BCD"]
    sizes = blast.sizes_of({key: store.shape(f"{name}.{key}") for key in "BCD"}, orders)
    dtype = _element_type(store, keys, options)
    load = {factor: lambda key=key, order=order: store.read(f"{name}.{key}").transpose(order)
            for factor, key, order in (("U", "B", blast.B_ORDERS[orders.b]),
                                       ("S", "D", blast.D_ORDERS[orders.d]),
                                       ("Vt", "C", blast.C_ORDERS[orders.c]))}
    return _blast_layer(name, "blast", sizes, dtype, load, options,
                        {"orders": orders._asdict()}, [f"{orders}, decided by {reason}"],
                        str(store.tensors[keys[0]].file))


def _import_low_rank(store: Store, name: str, layout: str, options: Options) -> Layer:
    left, right = (f"{name}.{key}" for key in (
        ("left", "right") if layout == "low rank" else ("lr_weight2", "lr_weight1")))
    shape, inner = store.shape(left), store.shape(right)
    if len(shape) != 2 or len(inner) != 2 or shape[1] != inner[0] or 0 in shape + inner:
        raise StructuredError(f"{store.where(left)} {list(shape)} and '{right}' {list(inner)} are "
                              "not [m, r] and [r, n]")
    sizes = blast.Sizes(1, 1, shape[0], inner[1], shape[1])
    dtype = _element_type(store, [left, right], options)
    load = {"U": lambda: store.read(left)[None], "Vt": lambda: store.read(right)[None],
            "S": lambda: np.ones((1, 1, sizes.rank), dtype)}
    return _blast_layer(name, layout, sizes, dtype, load, options, {}, [],
                        str(store.tensors[left].file))


def _gblr_layer(name: str, layout: str, matrix: Gblr, options: Options, origin: dict,
                notes: list[str], where: str) -> Layer:
    if options.merge:
        before = count_gblr(matrix.components), len(matrix.components)
        merged = matrix.merged()
        if count_gblr(merged.components) < before[0]:
            matrix = merged
            notes = notes + [f"merged {before[1]} components into {len(merged.components)}"]
            if layout == "monarch":
                layout, origin = "gblr", {}
    dtype = matrix.u.dtype
    stored, name = name, options.renamed(name)
    tensors = [LazyTensor(f"{name}.{key}", array.dtype, array.shape, lambda array=array: array)
               for key, array in matrix.tensors().items()]
    for array in (matrix.u, matrix.v):
        _cast(array, dtype, f"{where}: layer '{name}'")
    return Layer(name, layout, matrix.shape, f"gblr, {len(matrix.components)} components",
                 count_gblr(matrix.components), tensors,
                 {"name": stored, "layout": layout, "shape": matrix.shape} | origin, notes,
                 components=matrix.components)


def _import_gblr(store: Store, name: str, found: Found, options: Options) -> Layer:
    parts, taps = [], len(found.prefixes)
    where = str(store.tensors[f"{found.prefixes[0]}.lr_weight1"].file)
    shape = count = rank = None
    dropped = stored = 0
    first_masks = None
    for tap, prefix in enumerate(found.prefixes):
        weight1, weight2, widths, locations, sigma = _read_gblr(store, prefix, options)
        tap_shape = weight2.shape[1], weight1.shape[2]
        if shape not in (None, tap_shape):
            raise StructuredError(f"{where}: layer '{name}': tap {tap} is {list(tap_shape)}, the "
                                  f"taps before it {list(shape)}")
        shape, rank = tap_shape, weight1.shape[1]
        count = max(count or 0, len(weight1))
        both = first_masks or (gblr.masks(widths[1], locations[1], shape[0], sigma),
                               gblr.masks(widths[0], locations[0], shape[1], sigma))
        if len(both[0]) != len(weight1):
            raise StructuredError(f"{where}: layer '{name}': tap {tap} has {len(weight1)} "
                                  f"components, the unified mask {len(both[0])}")
        first_masks = both if options.unified_mask else None
        kept = gblr.fold(*both, weight2, weight1)
        dropped, stored = dropped + len(weight1) - len(kept), stored + len(weight1)
        parts += gblr.place_tap(kept, tap, shape[1]) if found.kind == "taps" else kept
    dtype = _element_type(store, [f"{found.prefixes[0]}.lr_weight1"], options)
    notes = [f"{dropped} of {stored} components are empty"] if dropped else []
    origin = {"kind": found.kind, "components": count, "rank": rank}
    if found.kind == "taps":
        origin |= {"taps": taps}
        shape = shape[0], taps * shape[1]
    if found.kind != "linear" and options.channels_first:
        taps = taps if found.kind == "taps" else options.taps or 0
        if not taps or shape[1] % taps:
            raise StructuredError(
                f"{where}: layer '{name}': the checkpoint does not say the kernel's size, which "
                f"channels first needs, {taps or 'none'} given for {shape[1]} columns; give --taps")
        places = gblr.channels_first_places(taps, shape[1] // taps)
        parts = gblr.permute_columns(parts, places)
        origin |= {"taps": taps, "channels_first": True}
        notes.append("columns in the order ic k1 k2")
    elif found.kind != "linear":
        notes.append("columns in the order k1 k2 ic")
    with np.errstate(over="ignore"):
        matrix = Gblr.pack(shape, parts, dtype)
    return _gblr_layer(name, "gblr", matrix, options, origin, notes, where)


def _read_gblr(store: Store, prefix: str, options: Options) -> tuple:
    """lr_weight1, lr_weight2, widths, locations and sigma (None: no smoothing)
    of one module, checked against each other."""
    names = [f"{prefix}.{key}" for key in KEYS["gblr"]]
    shapes = {key: store.shape(f"{prefix}.{key}") for key in KEYS["gblr"]}
    first, second = shapes["lr_weight1"], shapes["lr_weight2"]
    if not (len(first) == len(second) == 3 and first[0] == second[0] and first[1] == second[2]
            and 0 not in first + second
            and shapes["widths"] == shapes["locations"] == (2, first[0])):
        listed = ", ".join(f"{key} {list(shape)}" for key, shape in shapes.items())
        raise StructuredError(
            f"{store.tensors[names[0]].file}: layer '{prefix}': {listed} do not agree; expected "
            "lr_weight1 [K, rank, n], lr_weight2 [K, m, rank], widths [2, K], locations [2, K]")
    sigma = None
    if not options.no_gaussian:
        name = f"{prefix}.sigma"
        if name not in store:
            raise StructuredError(f"{store.tensors[names[0]].file}: layer '{prefix}' lacks "
                                  f"'{name}'; --no-gaussian takes its masks as not smoothed")
        value = store.read(name, finite=False)
        if value.size != 1 or not float(value.reshape(())) > 0:
            raise StructuredError(f"{store.where(name)} is not one positive number")
        sigma = float(value.reshape(()))
    for name in names[2:]:
        most = float(np.abs(store.read(name).astype(np.float64)).max())
        if most > _MAX_FRACTION:
            raise StructuredError(f"{store.where(name)} holds {most:g}, which is no fraction")
    return (*map(store.read, names), sigma)


def _import_monarch(store: Store, name: str, options: Options) -> Layer:
    first, second = (store.read(f"{name}.{key}") for key in KEYS["monarch"])
    where = store.tensors[f"{name}.blkdiag1"].file
    try:
        if first.ndim != 3 or second.ndim != 3 or 0 in first.shape + second.shape:
            raise ValueError("both have three dimensions")
        matrix = lowrank.monarch_to_gblr(first, second)
    except ValueError as error:
        raise StructuredError(
            f"{where}: layer '{name}': blkdiag1 {list(first.shape)} and blkdiag2 "
            f"{list(second.shape)} are not [K, q, p] and [B, s, r] with K·q = B·r: {error}"
        ) from error
    dtype = _element_type(store, [f"{name}.{key}" for key in KEYS["monarch"]], options)
    matrix = dataclasses.replace(matrix, u=matrix.u.astype(dtype), v=matrix.v.astype(dtype))
    origin = {"blocks": [first.shape[0], first.shape[1], second.shape[0]]}
    stored = first.size + second.size
    note = (f"a block's rows are {second.shape[0]} apart, so that the intervals hold zeros: "
            f"{count_gblr(matrix.components):,} numbers for {stored:,}")
    return _gblr_layer(name, "monarch", matrix, options, origin,
                       [note] if second.shape[0] > 1 else [], str(where))


def _element_type(store: Store, names: list[str], options: Options) -> np.dtype:
    """The factors' element type: f32, f16 or bf16, the same for all."""
    types = {store.dtype(name) for name in names}
    dtype = options.dtype or max(types, key=lambda t: t.itemsize)
    if dtype not in (np.float32, np.float16, numpy_dtype("bfloat16")):
        raise StructuredError(f"{store.where(names[0])} is {dtype.name}, layers are float32, "
                              "float16 or bfloat16; --dtype converts")
    return np.dtype(dtype)


# Factor files.


def write_tensors(path: Path, tensors: list[LazyTensor], metadata: Mapping[str, str] = {}) -> None:
    """Writes the file whole or not at all."""
    with staged_directory(path.parent) as stage:
        write_safetensors(stage / path.name, tensors, metadata)


def write_factors(path: Path, layers: list[Layer]) -> None:
    """Writes the factor file of imported layers."""
    origins = {layer.name: layer.origin for layer in layers}
    write_tensors(path, [tensor for layer in layers for tensor in layer.tensors],
                  {METADATA: json.dumps(origins)})


def factor_layers(store: Store) -> dict[str, str]:
    """The layers of a factor file and their structure, blast or gblr.

    Raises StructuredError if a factor is missing or there is none.
    """
    endings = {"blast": ("U", "S", "Vt"), "gblr": ("gblr.U", "gblr.V", "gblr.components")}
    layers: dict[str, str] = {}
    for name in store.tensors:
        for structure, ends in endings.items():
            end = next((e for e in ends if name.endswith(f".{e}")), None)
            if end and not (structure == "blast" and name.endswith((".gblr.U", ".gblr.V"))):
                layer = name.removesuffix(f".{end}")
                missing = [f"'{layer}.{e}'" for e in ends if f"{layer}.{e}" not in store]
                if missing:
                    raise StructuredError(f"{store.where(name)} has no {', '.join(missing)} "
                                          "beside it")
                if layers.setdefault(layer, structure) != structure:
                    raise StructuredError(f"{store.files[0]}: layer '{layer}' has BLAST and GBLR "
                                          "factors")
    if not layers:
        raise StructuredError(f"{', '.join(map(str, store.files))}: no factors "
                              "(L.U, L.S, L.Vt or L.gblr.U, L.gblr.V, L.gblr.components)")
    return layers


def read_gblr(store: Store, layer: str, shape: tuple[int, int]) -> Gblr:
    """The GBLR factors of a layer of the shape [m,n]."""
    name = f"{layer}.gblr.components"
    components = store.read(name)
    if components.ndim != 2 or components.shape[1] != 5 or components.dtype != np.int64:
        raise StructuredError(f"{store.where(name)} is not int64 of shape [K, 5]")
    u, v = store.read(f"{layer}.gblr.U"), store.read(f"{layer}.gblr.V")
    row, rows, column, columns, rank = components.T
    if (components < 0).any() or (int((rows * rank).sum()), int((columns * rank).sum())) != (
            u.size, v.size):
        raise StructuredError(f"{store.where(name)} needs {(rows * rank).sum()} numbers in U and "
                              f"{(columns * rank).sum()} in V, there are {u.size} and {v.size}")
    if (rows > shape[0]).any() or (row >= shape[0]).any() or (columns > shape[1]).any() or (
            column >= shape[1]).any():
        raise StructuredError(f"{store.where(name)}: an interval is longer than the matrix "
                              f"{list(shape)}")
    return Gblr(shape, components, u, v)


def read_blast(store: Store, layer: str) -> Blast:
    """The BLAST factors of a layer."""
    u, s, vt = (store.read(f"{layer}.{key}") for key in ("U", "S", "Vt"))
    if not (u.ndim == s.ndim == vt.ndim == 3
            and s.shape == (u.shape[0], vt.shape[0], u.shape[2]) and vt.shape[1] == u.shape[2]):
        raise StructuredError(
            f"{store.where(f'{layer}.U')} {list(u.shape)}, S {list(s.shape)}, Vt "
            f"{list(vt.shape)} are not [b_out, p, r], [b_out, b_in, r] and [b_in, r, q]")
    return Blast(u, s, vt)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


#: The keys of a layer's `origin`, and what their values must be.
_ORIGIN_KEYS = {
    "name": lambda value: isinstance(value, str),
    "layout": lambda value: value in list(KEYS),
    "orders": lambda value: isinstance(value, dict) and tuple(value) == blast.Orders._fields
    and blast.Orders(**value) in blast.ALL_ORDERS,
    "shape": lambda value: isinstance(value, list) and len(value) == 2
    and all(map(_is_size, value)),
    "blocks": lambda value: isinstance(value, list) and len(value) == 3
    and all(_is_size(size) and size for size in value),
    "kind": lambda value: value in ("linear", "taps", "integrated"),
    "components": _is_size,
    "rank": _is_size,
    "taps": lambda value: _is_size(value) and value > 0,
    "channels_first": lambda value: isinstance(value, bool),
}


def origins_of(store: Store) -> dict[str, dict]:
    """What a factor file's metadata says of its layers' checkpoint."""
    where = f"{store.files[0]}: metadata '{METADATA}'"
    try:
        origins = json.loads(store.metadata.get(METADATA, "{}"))
    except ValueError as error:
        raise StructuredError(f"{where}: {error}") from error
    if not isinstance(origins, dict) or not all(isinstance(o, dict) for o in origins.values()):
        raise StructuredError(f"{where}: not an object of objects")
    for layer, origin in origins.items():
        for key, value in origin.items():
            if key not in _ORIGIN_KEYS or not _ORIGIN_KEYS[key](value):
                raise StructuredError(f"{where}: layer '{layer}': '{key}' cannot be {value!r}")
    return origins


def export_layer(store: Store, layer: str, structure: str, origin: dict,
                 shape: tuple[int, int] | None = None) -> tuple[str, dict[str, np.ndarray]]:
    """The checkpoint's name of a factor file's layer, and the authors' tensors
    by full name.

    A layer without `origin`, which did not come from a checkpoint, becomes what
    the released modules hold. `shape` is that of a GBLR layer whose origin does
    not tell it.
    """
    try:
        if structure == "blast":
            tensors = _export_blast(read_blast(store, layer), origin)
        else:
            shape = origin.get("shape") or shape
            if not shape:
                raise ValueError("the file does not say its shape; give the dense weights with "
                                 "--reference")
            if shape[1] % origin.get("taps", 1):
                raise ValueError(f"{shape[1]} columns are not of {origin['taps']} taps")
            tensors = _export_gblr(read_gblr(store, layer, tuple(shape)), origin)
    except (ValueError, LookupError) as error:
        raise StructuredError(f"{store.files[0]}: layer '{layer}': {error}") from error
    stored = origin.get("name", layer)
    return stored, {f"{stored}.{key}": array for key, array in tensors.items()}


def _export_blast(factors: Blast, origin: dict) -> dict[str, np.ndarray]:
    layout = origin.get("layout", "blast")
    if layout.startswith("low rank"):
        left, right = factors.u[0] * factors.s[0, 0], factors.vt[0]
        return ({"left": left, "right": right} if layout == "low rank"
                else {"lr_weight2": left, "lr_weight1": right})
    orders = blast.Orders(**origin.get("orders", {}))
    return dict(zip("BCD", blast.from_factors(factors.u, factors.s, factors.vt, orders)))


def _export_gblr(matrix: Gblr, origin: dict) -> dict[str, np.ndarray]:
    if origin.get("layout") == "monarch":
        return dict(zip(KEYS["monarch"], lowrank.gblr_to_monarch(matrix, *origin["blocks"])))
    kind = origin.get("kind", "linear")
    if origin.get("channels_first"):
        places = gblr.channels_first_places(origin["taps"], matrix.shape[1] // origin["taps"])
        matrix = Gblr.pack(matrix.shape, gblr.permute_columns(
            matrix.parts(), np.argsort(places)), matrix.u.dtype)
    wanted = origin.get("components", 0), origin.get("rank", 0)
    if kind != "taps":
        prefix = "gaudi_module." if kind == "integrated" else ""
        return {prefix + key: array for key, array in gblr.to_components(matrix, *wanted).items()}
    taps = origin["taps"]
    channels = matrix.shape[1] // taps
    return {f"gaudi_modules.{tap}.{key}": array
            for tap, parts in enumerate(gblr.take_taps(matrix.parts(), taps, channels))
            for key, array in gblr.to_components(
                Gblr.pack((matrix.shape[0], channels), parts, matrix.u.dtype), *wanted).items()}
