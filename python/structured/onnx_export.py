# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ONNX model + factors -> ONNX model with the factors in it.

The products with a factorised weight, MatMul and Gemm, become products with its
factors, in standard operators; all else stays as it is.
"""

import dataclasses
from pathlib import Path
from typing import Mapping, Sequence

import numpy as np

from .checkpoints import layouts
from .checkpoints.matrices import Blast, Gblr
from .checkpoints.store import Store
from .errors import StructuredError, first_line
from .files import LazyTensor, staged_directory
from .importer import infer_shapes, lift_weights, load_onnx

#: A protocol buffer is below 2 GiB; larger models keep their tensors beside it.
MAX_INLINE_BYTES = 2**31 - 2**24


@dataclasses.dataclass(frozen=True)
class ExportedOnnx:
    """What `export_onnx` wrote, and how many products it replaced by what."""

    path: Path
    blast: int
    gblr: int
    dense: int  # GBLR whose padded factors would cost more than the matrix


def export_onnx(model_path: Path, factors: Path, out: Path) -> ExportedOnnx:
    """Writes the ONNX model `model_path` with the factors of `factors` to `out`.

    A layer L of the factor file (L.U, L.S, L.Vt or L.gblr.*) replaces the weight
    `L.weight`, or `L`, by the name that the import gave it, in every product: the
    right operand of a MatMul, or B of a Gemm, directly or through a Transpose.
    Tensors that do not fit one file are in `out`.data. Raises StructuredError,
    naming file, layer and node, for layers that the model lacks, shapes and types
    that disagree, and uses of such a weight by other operators.
    """
    model = load_onnx(model_path)
    weights = lift_weights(model, model_path)
    model = infer_shapes(model, model_path)
    store = Store.open([factors])
    writer = _Writer(model, _layers(store, weights, model_path))
    try:
        writer.rewrite()
    except StructuredError as error:
        raise StructuredError(f"{model_path}: {error}") from error
    writer.store_tensors(weights)
    _save(model, out)
    return ExportedOnnx(out, **writer.counts)


class _Layer:
    """A layer of the factor file, and the weight that it replaces."""

    def __init__(self, store: Store, name: str, structure: str, weight: LazyTensor):
        self.store, self.name, self.structure, self.weight = store, name, structure, weight
        self.replaced = False

    def matrix(self, transposed: bool, node: str) -> Blast | Gblr:
        """The factors; `transposed` if the weight is stored as [n,m]."""
        shape = self.weight.shape[::-1] if transposed else self.weight.shape
        if self.structure == "gblr":
            return layouts.read_gblr(self.store, self.name, shape)
        matrix = layouts.read_blast(self.store, self.name)
        b_out, p, _ = matrix.u.shape
        b_in, _, q = matrix.vt.shape
        if (b_out * p, b_in * q) != shape:
            raise StructuredError(f"node '{node}': the factors of '{self.name}' make a matrix "
                                  f"{[b_out * p, b_in * q]}, the weight is {list(shape)}")
        return matrix


def _layers(store: Store, weights: Mapping[str, LazyTensor], path: Path) -> dict[str, _Layer]:
    """The layers of the factor file by the name of the weight that they replace."""
    layers: dict[str, _Layer] = {}
    for name, structure in layouts.factor_layers(store).items():
        weight = weights.get(f"{name}.weight") or weights.get(name)
        first = f"{name}.{'U' if structure == 'blast' else 'gblr.U'}"
        if weight is None:
            raise StructuredError(f"{store.where(first)}: {path} has no weight '{name}.weight'")
        if len(weight.shape) != 2 or store.dtype(first) != weight.dtype:
            raise StructuredError(
                f"{store.where(first)} is {store.dtype(first).name}, for a matrix; the weight "
                f"'{weight.name}' in {path} is {weight.dtype.name} {list(weight.shape)}")
        layers[weight.name] = _Layer(store, name, structure, weight)
    return layers


class _Writer:
    """Replaces the products of a graph."""

    def __init__(self, model, layers: dict[str, _Layer]):
        self.graph, self.layers = model.graph, layers
        self.opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        self.ranks = {value.name: len(value.type.tensor_type.shape.dim)
                      for value in [*self.graph.input, *self.graph.value_info]
                      if value.type.tensor_type.HasField("shape")}
        self.counts = {"blast": 0, "gblr": 0, "dense": 0}
        self.tensors: dict[str, np.ndarray] = {}
        self.nodes: list = []

    def rewrite(self) -> None:
        """Replaces each product with a layer's weight; StructuredError if a layer
        has none."""
        # The values that are such a weight, and whether they are its transpose.
        sources = {weight: (layer, False) for weight, layer in self.layers.items()}
        for node in list(self.graph.node):
            used = [name for name in node.input if name in sources]
            if not used or node.op_type in ("Gather", "Shape"):
                self.nodes.append(node)
                continue
            layer, transposed = sources[used[0]]
            if node.op_type == "Transpose" and list(_attribute(node, "perm", [1, 0])) == [1, 0]:
                sources[node.output[0]] = (layer, not transposed)
                self.nodes.append(node)
                continue
            if node.op_type not in ("MatMul", "Gemm") or list(node.input).index(used[0]) != 1 \
                    or len(used) != 1 or _attribute(node, "transA", 0):
                raise StructuredError(
                    f"node '{node.name}': the weight '{layer.weight.name}' is used by "
                    f"{node.op_type}: its factors can replace it as the right operand of MatMul "
                    "and Gemm (without transA) only")
            # As the node multiplies by it, [n,m], it is the transpose of the matrix.
            stored_transposed = transposed == bool(_attribute(node, "transB", 0))
            self._replace(node, layer, stored_transposed)
        missing = [layer for layer in self.layers.values() if not layer.replaced]
        if missing:
            raise StructuredError(f"no MatMul or Gemm uses the weight '{missing[0].weight.name}' "
                                  f"of the layer '{missing[0].name}'")
        used = {name for node in self.nodes for name in _inputs(node)}
        used |= {value.name for value in self.graph.output}
        kept = [node for node in self.nodes
                if node.op_type != "Transpose" or node.output[0] in used]
        kept = [type(node).FromString(node.SerializeToString()) for node in kept]
        del self.graph.node[:]
        self.graph.node.extend(kept)

    def store_tensors(self, weights: Mapping[str, LazyTensor]) -> None:
        """Adds the factors, and the weights that are still used, to the graph."""
        import onnx
        used = {name for node in self.graph.node for name in _inputs(node)}
        used |= {value.name for value in self.graph.output}
        inputs = [value for value in self.graph.input if value.name not in weights]
        inputs = [type(value).FromString(value.SerializeToString()) for value in inputs]
        del self.graph.input[:]
        self.graph.input.extend(inputs)
        for name, array in self.tensors.items():
            self.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
        for weight in weights.values():
            if weight.name in used:
                self.graph.initializer.append(
                    onnx.numpy_helper.from_array(weight.load(), weight.name))

    def _replace(self, node, layer: _Layer, transposed: bool) -> None:
        """Appends nodes that compute what `node` does, from the factors."""
        self.prefix, name = node.name or node.output[0], layer.name
        matrix = layer.matrix(transposed, self.prefix)
        x = node.input[0]
        if x not in self.ranks:
            raise StructuredError(f"node '{self.prefix}': the rank of '{x}' is unknown")
        rank = self.ranks[x]
        if rank == 1:
            x = self._node("Reshape", x, self._tensor(f"{self.prefix}/row", [1, -1]))
        m = matrix.shape[0] if isinstance(matrix, Gblr) else matrix.u.shape[0] * matrix.u.shape[1]
        product = self._blast(x, max(rank, 2), name, matrix) if isinstance(matrix, Blast) \
            else self._gblr(x, name, matrix)
        if rank == 1:
            product = self._node("Reshape", product, self._tensor(f"{self.prefix}/vector", [m]))
        if node.op_type == "Gemm":
            product = self._scaled(product, _attribute(node, "alpha", 1.0), "alpha",
                                   layer.weight.dtype)
            if len(node.input) > 2 and node.input[2]:
                addend = self._scaled(node.input[2], _attribute(node, "beta", 1.0), "beta",
                                      layer.weight.dtype)
                product = self._node("Add", product, addend)
        self.nodes[-1].output[0] = node.output[0]
        layer.replaced = True

    def _scaled(self, value: str, factor: float, name: str, dtype: np.dtype) -> str:
        if factor == 1.0:
            return value
        return self._node("Mul", value, self._tensor(f"{self.prefix}/{name}",
                                                     np.array(factor, dtype)))

    def _blast(self, x: str, rank: int, layer: str, matrix: Blast) -> str:
        """x [..,T,n] of that rank times Wᵀ. The blocks become a dimension of a
        batched product; the mix with S is a product by elements and a sum, which
        onnxruntime runs faster than an Einsum."""
        b_out, p, r = matrix.u.shape
        b_in, _, q = matrix.vt.shape
        dtype = matrix.u.dtype
        self.counts["blast"] += 1
        if b_out == b_in == 1:
            scaled = (matrix.vt[0].astype(np.float64) * matrix.s[0, 0, :, None]).astype(dtype)
            y = self._node("MatMul", x, self._tensor(f"{layer}.V", scaled.T))
            return self._node("MatMul", y, self._tensor(f"{layer}.Ut", matrix.u[0].T))
        lead = list(range(rank - 2))
        t = rank - 2  # the dimension of the tokens
        # [..,T,1,b_in,q] -> [..,1,b_in,T,q]
        x = self._node("Reshape", x, self._tensor(f"split_{rank}_{b_in}_{q}",
                                                  [0] * (rank - 1) + [1, b_in, q]))
        x = self._node("Transpose", x, perm=[*lead, t + 1, t + 2, t, t + 3])
        y = self._node("MatMul", x, self._tensor(f"{layer}.V", matrix.vt.transpose(0, 2, 1)))
        mixed = self._node("Mul", y, self._tensor(f"{layer}.S", matrix.s[:, :, None]))
        z = self._sum(mixed, t + 1)  # [..,b_out,b_in,T,r] -> [..,b_out,T,r]
        o = self._node("MatMul", z, self._tensor(f"{layer}.Ut", matrix.u.transpose(0, 2, 1)))
        o = self._node("Transpose", o, perm=[*lead, t + 1, t, t + 2])
        return self._node("Reshape", o, self._tensor(f"join_{rank}_{b_out * p}",
                                                     [0] * (rank - 1) + [b_out * p]))

    def _gblr(self, x: str, layer: str, matrix: Gblr) -> str:
        """x [..,n] times Wᵀ. ONNX has no ragged product: the components' vectors are
        padded by zeros, to [n,R] and [R,m]; where that takes more than m·n
        multiply-adds, the matrix itself serves."""
        m, n = matrix.shape
        total = int(matrix.components[:, 4].sum())
        if total * (m + n) >= m * n:
            self.counts["dense"] += 1
            dense = matrix.dense().astype(matrix.u.dtype)
            return self._node("MatMul", x, self._tensor(f"{layer}.W", dense.T))
        self.counts["gblr"] += 1
        left, right, at = np.zeros((total, m)), np.zeros((total, n)), 0
        for row, column, u, v in matrix.parts():
            rows, columns = np.arange(u.shape[1]) + row, np.arange(v.shape[1]) + column
            left[at:at + len(u), rows % m] = u
            right[at:at + len(u), columns % n] = v
            at += len(u)
        dtype = matrix.u.dtype
        a = self._node("MatMul", x, self._tensor(f"{layer}.V", right.T.astype(dtype)))
        return self._node("MatMul", a, self._tensor(f"{layer}.U", left.astype(dtype)))

    def _sum(self, x: str, axis: int) -> str:
        """The sum over a dimension, which goes."""
        if self.opset < 13:
            return self._node("ReduceSum", x, axes=[axis], keepdims=0)
        return self._node("ReduceSum", x, self._tensor(f"axis_{axis}", [axis]), keepdims=0)

    def _node(self, op: str, *inputs: str, **attributes) -> str:
        """Appends a node; its output has its name."""
        import onnx
        name = f"{self.prefix}/{op}.{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(op, list(inputs), [name], name, **attributes))
        return name

    def _tensor(self, name: str, value: np.ndarray | Sequence[int]) -> str:
        """Adds an initialiser, once."""
        name = f"structured/{name}"
        self.tensors.setdefault(name, np.ascontiguousarray(value))
        return name


def _attribute(node, name: str, default):
    """The value of a node's attribute."""
    import onnx
    return next((onnx.helper.get_attribute_value(a) for a in node.attribute if a.name == name),
                default)


def _inputs(node) -> list[str]:
    """What a node reads, the nodes of its subgraphs included."""
    names = list(node.input)
    for attribute in node.attribute:
        if attribute.HasField("g"):
            names += [name for inner in attribute.g.node for name in _inputs(inner)]
            names += [value.name for value in attribute.g.output]
    return names


def _save(model, out: Path) -> None:
    """Writes the model, checked, whole or not at all."""
    import onnx
    size = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    with staged_directory(out.parent) as stage:
        path = stage / out.name
        if size > MAX_INLINE_BYTES:
            onnx.save(model, path, save_as_external_data=True, location=f"{out.name}.data")
        else:
            onnx.save(model, path)
        try:
            onnx.checker.check_model(str(path), full_check=True)
        except Exception as error:  # checker and inference have errors of their own
            raise StructuredError(f"{out}: the exported model is invalid: "
                                  f"{first_line(error)}") from error
