# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""torch.export program -> linalg IR and a safetensors weights file.

Needs PyTorch, which this package does not install. Parameters, buffers and the
program's tensor constants are arguments of an exported graph already; they
become weights under the names that they have in the module.
"""

from pathlib import Path

from .errors import StructuredError, first_line
from .files import SAFETENSORS_DTYPES, LazyTensor
from .importer import ENTRY, ImportedModel, lower_torch, write_import


def import_torch(program, directory: Path) -> ImportedModel:
    """Imports `program` into `directory` as `import_onnx` does a file.

    `program` is a torch.export.ExportedProgram, or the path of a file (.pt2) that
    torch.export.save wrote; loading one unpickles, so trust the file. Raises
    StructuredError if PyTorch is missing, for a program that changes its buffers
    or inputs, inputs and outputs that are not tensors, and operators that do not
    lower.
    """
    try:
        import torch
    except ImportError as error:
        raise StructuredError(f"a torch.export program needs PyTorch: {error}") from error
    source = "the program"
    if isinstance(program, (str, Path)):
        source = str(program)
        program = _load(Path(program))
    if not isinstance(program, torch.export.ExportedProgram):
        raise StructuredError(f"not a torch.export.ExportedProgram: {type(program).__name__}")
    outputs = [_describe(spec.arg, value, source)
               for spec, value in zip(program.graph_signature.output_specs,
                                      _outputs(program, source))]
    program = program.run_decompositions(_decompositions())
    _outputs(program, source)  # Decomposed, batch norm may show side effects.
    inputs, weights, names = [], [], []
    placeholders = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    tensors = dict(program.state_dict) | dict(program.constants)
    for spec in program.graph_signature.input_specs:
        node = placeholders[spec.arg.name]
        if spec.kind == torch.export.graph_signature.InputKind.USER_INPUT:
            inputs.append(_describe(spec.arg, node.meta.get("val"), source))
            names.append({"input": node.name})
        elif node.users:
            weights.append(_weight(spec.target, tensors.get(spec.target), source))
            names.append(spec.target)
        else:
            program.graph.erase_node(node)
    text = _torch_dialect(program, source)
    operators = sorted({str(node.target) for node in program.graph.nodes
                        if node.op == "call_function"})
    name = Path(source).name if source.endswith(".pt2") else "torch.export"
    return write_import(
        directory, name, inputs, outputs, weights, names,
        lambda stage: lower_torch(text, "--torchdynamo-export-to-torch-backend-pipeline", source,
                                  operators, stage))


def _decompositions() -> dict:
    """Torch-mlir's table, and for operators that it lowers for some ranks only."""
    import torch
    from torch_mlir.extras.fx_decomp_util import get_decomposition_table
    aten = torch.ops.aten
    return get_decomposition_table() | {
        aten.__and__.Tensor: lambda a, b: aten.bitwise_and.Tensor(a, b),
        aten.__or__.Tensor: lambda a, b: aten.bitwise_or.Tensor(a, b),
        aten.__xor__.Tensor: lambda a, b: aten.bitwise_xor.Tensor(a, b)}


def _load(path: Path):
    import torch
    try:
        return torch.export.load(path)
    except OSError as error:
        raise StructuredError(f"{path}: {error.strerror or first_line(error)}") from error
    except Exception as error:  # zipfile, pickle and torch have errors of their own
        raise StructuredError(f"{path}: not a torch.export program: "
                              f"{first_line(error)}") from error


def _outputs(program, source: str) -> list:
    """The values of the program's outputs; StructuredError if it has side effects."""
    import torch
    kinds = torch.export.graph_signature.OutputKind
    for spec in program.graph_signature.output_specs:
        if spec.kind != kinds.USER_OUTPUT:
            raise StructuredError(
                f"{source}: changes '{spec.target or spec.arg.name}': only programs without side "
                "effects can be imported (export the module in evaluation mode)")
    output = next(node for node in program.graph.nodes if node.op == "output")
    return [argument.meta.get("val") if isinstance(argument, torch.fx.Node) else argument
            for argument in output.args[0]]


def _describe(argument, value, source: str) -> dict:
    """An input or output, as in model.json."""
    import torch
    dtype = str(getattr(value, "dtype", None)).removeprefix("torch.")
    if not isinstance(value, torch.Tensor) or dtype not in SAFETENSORS_DTYPES:
        kind = f"a tensor of {dtype}" if isinstance(value, torch.Tensor) else f"{value!r}"
        raise StructuredError(f"{source}: '{getattr(argument, 'name', argument)}' is {kind}, not "
                              "a tensor of a supported type")
    return {"name": argument.name, "dtype": dtype,
            "shape": [size if isinstance(size, int) else -1 for size in value.shape]}


def _weight(name: str, tensor, source: str) -> LazyTensor:
    """A parameter, buffer or constant, read when it is written."""
    import numpy as np
    import torch
    dtype = str(getattr(tensor, "dtype", None)).removeprefix("torch.")
    if not isinstance(tensor, torch.Tensor) or dtype not in SAFETENSORS_DTYPES:
        raise StructuredError(f"{source}: '{name}' is of {dtype}: not a weight that can be stored")

    def load() -> np.ndarray:
        array = tensor.detach().cpu().contiguous()
        if dtype != "bfloat16":
            return array.numpy()
        import ml_dtypes
        return array.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)

    if dtype == "bfloat16":
        import ml_dtypes
        return LazyTensor(name, np.dtype(ml_dtypes.bfloat16), tuple(tensor.shape), load)
    return LazyTensor(name, np.dtype(dtype), tuple(tensor.shape), load)


def _torch_dialect(program, source: str) -> str:
    """The graph in torch-mlir's torch dialect, weights as arguments."""
    from torch_mlir.dialects import torch as torch_dialect
    from torch_mlir.extras.fx_importer import FxImporter
    from torch_mlir.ir import Context
    context = Context()
    torch_dialect.register_dialect(context)
    importer = FxImporter(context=context)
    try:
        importer.import_stateless_graph(program.graph, func_name=ENTRY)
        importer.module_op.verify()
    except Exception as error:  # the importer raises NotImplementedError, KeyError, …
        raise StructuredError(f"{source}: cannot import: {first_line(error)}") from error
    return importer.module_op.get_asm(enable_debug_info=True)
