# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""BLAST checkpoints: parameters `L.B`, `L.C`, `L.D` (arXiv 2410.21262).

The released modules hold B [b_out,p,r], C [b_in,r,q], D [b_out,b_in,r]; other
code of the authors and of others stores D as [r,b_out,b_in] or [b_in,b_out,r],
and B or C transposed. Where shapes leave several orders open, the wrong one
gives a matrix of the right shape and the wrong numbers; so an order is taken
only if shapes, a dense reference or the other layers of the checkpoint leave
no other.
"""

import itertools
import json
from pathlib import Path
from typing import Mapping, NamedTuple

import numpy as np

from ..errors import StructuredError
from .store import Store

#: Orders of D's dimensions; the value transposes it to [b_out,b_in,r].
D_ORDERS = {"out-in-r": (0, 1, 2), "r-out-in": (1, 2, 0), "in-out-r": (1, 0, 2)}
#: Orders of B's; the value transposes it to [b_out,p,r].
B_ORDERS = {"out-p-r": (0, 1, 2), "out-r-p": (0, 2, 1)}
#: Orders of C's; the value transposes it to [b_in,r,q].
C_ORDERS = {"in-r-q": (0, 1, 2), "in-q-r": (0, 2, 1)}

#: Rows of the dense reference that the orders are compared on.
SAMPLED_ROWS = 256
#: A reference decides if the best order's relative error is below 1 and below
#: this fraction of the next one's. Compression by half leaves 0.3 to 0.6; an
#: order that gives other numbers in most blocks has an error of 1 or more.
CLEARLY_BETTER = 0.8


class Orders(NamedTuple):
    """How a checkpoint orders the dimensions of B, C and D."""

    b: str = "out-p-r"
    c: str = "in-r-q"
    d: str = "out-in-r"

    def __str__(self) -> str:
        return f"B [{self.b}], C [{self.c}], D [{self.d}]"


ALL_ORDERS = [Orders(*orders) for orders in itertools.product(B_ORDERS, C_ORDERS, D_ORDERS)]


class Sizes(NamedTuple):
    """Sizes of a BLAST matrix."""

    b_out: int
    b_in: int
    p: int
    q: int
    rank: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.b_out * self.p, self.b_in * self.q


def sizes_of(shapes: Mapping[str, tuple[int, ...]], orders: Orders) -> Sizes | None:
    """The sizes if the shapes of B, C and D agree in these orders."""
    if any(len(shapes[key]) != 3 or 0 in shapes[key] for key in "BCD"):
        return None
    b_out, p, rank = (shapes["B"][i] for i in B_ORDERS[orders.b])
    b_in, c_rank, q = (shapes["C"][i] for i in C_ORDERS[orders.c])
    d = tuple(shapes["D"][i] for i in D_ORDERS[orders.d])
    return Sizes(b_out, b_in, p, q, rank) if d == (b_out, b_in, rank) and c_rank == rank else None


def to_factors(b: np.ndarray, c: np.ndarray, d: np.ndarray, orders: Orders
               ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U, S, Vt from B, C, D."""
    return (b.transpose(B_ORDERS[orders.b]), d.transpose(D_ORDERS[orders.d]),
            c.transpose(C_ORDERS[orders.c]))


def from_factors(u: np.ndarray, s: np.ndarray, vt: np.ndarray, orders: Orders
                 ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """B, C, D from U, S, Vt: the inverse of `to_factors`."""
    return (u.transpose(np.argsort(B_ORDERS[orders.b])),
            vt.transpose(np.argsort(C_ORDERS[orders.c])),
            s.transpose(np.argsort(D_ORDERS[orders.d])))


def block_counts(value: object) -> tuple[int, int]:
    """(b_out, b_in) from a configuration's number, pair, or either of them
    nested in lists: saving and loading the released configuration wraps the
    counts in one more list each time. Raises ValueError for anything else."""
    def number(item: object) -> int:
        while isinstance(item, (list, tuple)) and len(item) == 1:
            item = item[0]
        if isinstance(item, bool) or not isinstance(item, int) or item < 1:
            raise ValueError(f"{value!r} is not a block count or a pair of them")
        return item

    while isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if isinstance(value, (list, tuple)) and len(value) == 2:
        return number(value[0]), number(value[1])
    return number(value), number(value)


class Config:
    """Block counts and ranks from the released model's config.json.

    `blast_num_blocks` and `blast_rank` are one value for all layers or an
    object by the layer's name or the end of it (`q_proj`).
    """

    def __init__(self, file: Path):
        self.file = file
        try:
            content = json.loads(file.read_text())
            self._blocks = content["blast_num_blocks"]
            self._rank = content.get("blast_rank")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StructuredError(f"{file}: not a configuration of a BLAST model: "
                                  f"{error}") from error

    def blocks(self, layer: str) -> tuple[int, int] | None:
        value = self._find(self._blocks, layer)
        try:
            return None if value is None else block_counts(value)
        except ValueError as error:
            raise StructuredError(f"{self.file}: blast_num_blocks: {error}") from error

    def rank(self, layer: str) -> int | None:
        """The rank, where it is given as a number of columns."""
        value = self._find(self._rank, layer)
        return value if isinstance(value, int) else None

    @staticmethod
    def _find(value: object, layer: str) -> object:
        if not isinstance(value, dict):
            return value
        return next((value[key] for key in value
                     if layer == key or layer.endswith(f".{key}")), None)


def resolve(store: Store, layers: Mapping[str, str], reference: Store | None = None,
            config: Config | None = None, given: Mapping[str, str] = {}
            ) -> dict[str, tuple[Orders, str]]:
    """The orders of each layer's factors, and what decided them.

    `layers` gives the name of each layer's dense weight in the reference;
    `given` fixes orders: keys b, c, d. Raises StructuredError if the shapes
    fit no order, or nothing decides between several.
    """
    candidates, reasons = {}, {}
    for layer, weight in layers.items():
        known = reference if reference and weight in reference else None
        found = _by_shape(store, layer, known, weight, config, given)
        reasons[layer] = "option" if given else "shapes"
        if len(found) > 1:
            found = _distinct(store, layer, found)
        if len(found) > 1 and known:
            found = [_by_reference(store, layer, found, known, weight)]
            reasons[layer] = "reference"
        candidates[layer] = found
    common = set.intersection(*map(set, candidates.values())) if candidates else set()
    result = {}
    for layer, found in candidates.items():
        if len(found) > 1:
            if len(common) != 1:
                raise StructuredError(_ambiguous(store, layer, found, layers[layer]
                                                 if reference else None))
            found, reasons[layer] = list(common), "other layers of the checkpoint"
        result[layer] = found[0], reasons[layer]
    return result


def _shapes(store: Store, layer: str) -> dict[str, tuple[int, ...]]:
    return {key: store.shape(f"{layer}.{key}") for key in "BCD"}


def _by_shape(store: Store, layer: str, reference: Store | None, weight: str,
              config: Config | None, given: Mapping[str, str]) -> list[Orders]:
    """The orders that shapes, configuration, options and the shape of the
    reference allow."""
    shapes = _shapes(store, layer)
    listed = ", ".join(f"{key} {list(shape)}" for key, shape in shapes.items())
    possible = {orders: sizes for orders in ALL_ORDERS
                if all(getattr(orders, key) == order for key, order in given.items())
                and (sizes := sizes_of(shapes, orders))}
    if not possible:
        orders = ", ".join(f"{key.upper()} [{order}]" for key, order in given.items())
        raise StructuredError(
            f"{store.tensors[f'{layer}.D'].file}: layer '{layer}': the shapes {listed} do not "
            f"agree in {f'the order {orders}' if given else 'any known order'}")
    if config:
        blocks, rank = config.blocks(layer), config.rank(layer)
        possible = {orders: sizes for orders, sizes in possible.items()
                    if blocks in (None, (sizes.b_out, sizes.b_in)) and rank in (None, sizes.rank)}
        if not possible:
            raise StructuredError(
                f"{config.file}: layer '{layer}': block counts {blocks} and rank {rank} do not "
                f"agree with the shapes {listed}")
    if reference:
        shape = reference.matrix_shape(weight)
        possible = {orders: sizes for orders, sizes in possible.items() if sizes.shape == shape}
        if not possible:
            raise StructuredError(
                f"{reference.where(weight)} is {list(shape)}, which the shapes "
                f"{listed} of '{layer}' do not make up")
    return list(possible)


def _distinct(store: Store, layer: str, found: list[Orders]) -> list[Orders]:
    """`found` if its orders give different factors, else one of it."""
    bcd = [store.read(f"{layer}.{key}") for key in "BCD"]
    first = to_factors(*bcd, found[0])
    same = all(a.shape == b.shape and np.array_equal(a, b)
               for orders in found[1:] for a, b in zip(first, to_factors(*bcd, orders)))
    return found[:1] if same else found


def _by_reference(store: Store, layer: str, found: list[Orders], reference: Store,
                  name: str) -> Orders:
    """The orders whose matrix is the reference's, up to a compression's error."""
    bcd = [store.read(f"{layer}.{key}").astype(np.float32) for key in "BCD"]
    weight = reference.read_matrix(name).astype(np.float32)
    rows = np.unique(np.linspace(0, len(weight) - 1, SAMPLED_ROWS).astype(int))
    norm = np.linalg.norm(weight[rows])
    errors = sorted(
        (float(np.linalg.norm(_rows(*to_factors(*bcd, orders), rows) - weight[rows]))
         / max(float(norm), np.finfo(np.float32).tiny), orders) for orders in found)
    (best, orders), (second, _) = errors[:2]
    if not (best < 1 and best < CLEARLY_BETTER * second):
        listed = "; ".join(f"{order}: {error:.3f}" for error, order in errors)
        raise StructuredError(
            f"{reference.where(name)} does not decide the order of the factors of "
            f"'{layer}': relative errors {listed}; give --d-order, --b-order and --c-order")
    return orders


def _rows(u: np.ndarray, s: np.ndarray, vt: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Some rows of the matrix of BLAST factors."""
    block, row = rows // u.shape[1], rows % u.shape[1]
    return np.concatenate([(u[block, row] * s[block, j]) @ vt[j] for j in range(len(vt))], axis=1)


def _ambiguous(store: Store, layer: str, found: list[Orders], weight: str | None) -> str:
    options = [f"--{key}-order" for key in "bcd"
               if len({getattr(orders, key) for orders in found}) > 1]
    shapes = ", ".join(f"{key} {list(shape)}" for key, shape in _shapes(store, layer).items())
    missing = (f"the reference holds no '{weight}'" if weight
               else "give the dense weights with --reference")
    return (f"{store.tensors[f'{layer}.D'].file}: layer '{layer}': the shapes {shapes} fit "
            f"{len(found)} orders of different matrices ({'; '.join(map(str, found))}), and no "
            f"other layer decides: {missing}, or say which: {', '.join(options)}")
