# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Model with structured layers -> plain linalg on tensors, for other compilers.

What is left are upstream dialects and no attribute of ours. The weights are
arguments behind the inputs, or IREE's parameters.
"""

import dataclasses
import json
import re
from pathlib import Path
from typing import Sequence

from . import tools
from .checkpoints.store import Store
from .errors import StructuredError
from .files import LazyTensor, staged_directory, write_json, write_safetensors

#: To linalg, and the parameters to arguments.
_PASSES = ("--structured-bind-parameters", "--structured-to-linalg", "--canonicalize", "--cse",
           "--structured-parameters-to-arguments")

_DTYPES = {"f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16",
           "i64": "int64", "i32": "int32", "i16": "int16", "i8": "int8", "i1": "bool"}

#: The scope of IREE's parameters: iree-run-module --parameters=SCOPE=FILE.
IREE_SCOPE = "model"


@dataclasses.dataclass(frozen=True)
class ExportedLinalg:
    """What `export_linalg` wrote.

    directory   holds model.mlir, weights.safetensors and model.json
    inputs      names of the inputs, the function's first arguments
    parameters  names of the weights, in the order of the arguments behind them
    """

    directory: Path
    inputs: list[str]
    parameters: list[str]

    @property
    def mlir(self) -> Path:
        return self.directory / "model.mlir"

    @property
    def weights(self) -> Path:
        return self.directory / "weights.safetensors"


def export_linalg(model: Path, weights: Sequence[Path], directory: Path,
                  iree_parameters: bool = False) -> ExportedLinalg:
    """Writes `model`, MLIR with our ops and parameters, as plain linalg.

    `weights` are the safetensors files of its weights and factors; those that it
    uses are written in the order of the arguments, as the arguments are laid out.
    With `iree_parameters` they are globals that IREE fills from that file, in the
    scope IREE_SCOPE, instead of arguments. Raises StructuredError for a module
    that is invalid or has no function or several, and for a weight that is missing
    or of another shape or type.
    """
    from torch_mlir import ir
    store = Store.open(weights) if weights else None
    with staged_directory(directory) as stage:
        plain = stage / "model.mlir"
        tools.run("structured-opt", str(model), *_PASSES, "-o", str(plain))
        context = ir.Context()
        context.allow_unregistered_dialects = True
        module = _parse(plain, context, model)
        function = _function(module, model)
        inputs, tensors = [], []
        for index, (argument, attributes) in enumerate(
                zip(function.arguments, _argument_attributes(function))):
            if "structured.parameter" in attributes:
                tensors.append(_weight(attributes, argument.type, store, model))
            else:
                inputs.append(attributes["structured.name"].value
                              if "structured.name" in attributes else f"arg{index}")
        if len({tensor.name for tensor in tensors}) != len(tensors):
            tensors = [tensor._replace(name=f"{tensor.name}#{index}")
                       for index, tensor in enumerate(tensors)]
        for attribute in ("arg_attrs", "res_attrs"):
            if attribute in function.attributes:
                del function.attributes[attribute]
        if iree_parameters:
            _to_iree_parameters(module, function, [tensor.name for tensor in tensors])
        plain.write_text(str(module))
        write_safetensors(stage / "weights.safetensors", tensors)
        names = [tensor.name for tensor in tensors]
        write_json(stage / "model.json", {"entry": function.name.value, "inputs": inputs,
                                          "parameters": names})
    return ExportedLinalg(directory, inputs, names)


def _parse(plain: Path, context, path: Path):
    """The lowered module; StructuredError if an op of ours is left in it."""
    from torch_mlir import ir
    try:
        return ir.Module.parse(plain.read_text(), context)
    except ir.MLIRError as error:
        op = re.search(r"custom op '(structured\.[\w.]+)'", str(error))
        raise StructuredError(f"{path}: {op.group(1)} cannot be lowered to linalg" if op else
                              f"{path}: {tools.first_error(str(error))}") from error


def _function(module, path: Path):
    """The module's entry; StructuredError unless there is one."""
    from torch_mlir import ir
    functions = [op for op in module.body.operations if op.operation.name == "func.func"
                 and not op.is_external
                 and ("sym_visibility" not in op.attributes
                      or ir.StringAttr(op.attributes["sym_visibility"]).value == "public")]
    if len(functions) != 1:
        raise StructuredError(f"{path}: {len(functions)} public functions: one is needed")
    return functions[0]


def _argument_attributes(function) -> list[dict]:
    """The attributes of each argument, by name."""
    if "arg_attrs" not in function.attributes:
        return [{} for _ in function.arguments]
    return [{named.name: named.attr for named in attributes}
            for attributes in function.arg_attrs]


def _weight(attributes: dict, type_, store: Store | None, path: Path) -> LazyTensor:
    """The tensor of an argument that is a parameter, laid out as the argument."""
    name = attributes["structured.parameter"].value
    if store is None or name not in store:
        raise StructuredError(f"{path}: the parameter '{name}' is in none of the weights files")
    if "structured.packing" in attributes:
        raise StructuredError(f"{path}: the parameter '{name}' is packed for our own kernels")
    tensor = store.lazy(name)
    if "structured.permutation" in attributes:
        order = list(attributes["structured.permutation"])
        tensor = tensor._replace(shape=tuple(tensor.shape[d] for d in order),
                                 load=lambda load=tensor.load: load().transpose(order))
    wanted = _DTYPES.get(str(type_.element_type))
    if tensor.dtype.name != wanted or list(tensor.shape) != list(type_.shape):
        raise StructuredError(f"{store.where(name)} is {tensor.dtype.name} {list(tensor.shape)}, "
                              f"in {path} it is a {type_}")
    return tensor


def _to_iree_parameters(module, function, names: Sequence[str]) -> None:
    """Makes the last arguments globals that IREE reads from a parameter archive."""
    from torch_mlir import ir
    context, block = module.context, function.regions[0].blocks[0]
    first = len(block.arguments) - len(names)
    with ir.Location.unknown(context):
        for index, name in enumerate(names):
            argument = block.arguments[first + index]
            type_, symbol = argument.type, f"weight{index}"
            key = json.dumps(name)
            value = ir.Attribute.parse(
                f"#flow.parameter.named<{json.dumps(IREE_SCOPE)}::{key}> : {type_}", context)
            with ir.InsertionPoint.at_block_begin(module.body):
                ir.Operation.create("util.global", attributes={
                    "sym_name": ir.StringAttr.get(symbol, context),
                    "sym_visibility": ir.StringAttr.get("private", context),
                    "type": ir.TypeAttr.get(type_, context), "initial_value": value})
            with ir.InsertionPoint.at_block_begin(block):
                load = ir.Operation.create("util.global.load", results=[type_], attributes={
                    "global": ir.FlatSymbolRefAttr.get(symbol, context)})
            argument.replace_all_uses_with(load.result)
    for _ in names:
        block.erase_argument(first)
    function.attributes["function_type"] = ir.TypeAttr.get(
        ir.FunctionType.get([a.type for a in block.arguments], function.type.results,
                            context=context), context)
