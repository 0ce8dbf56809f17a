# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiled modules called with NumPy arrays: ctypes over the runtime's C API.

    module = Module.load("model.so")
    hidden, = module(input_ids=ids, attention_mask=mask, token_type_ids=types)

Modules for CUDA also take and give tensors on the device, through DLPack:

    hidden, = module.run_on_stream(ids, mask, types, stream=torch.cuda.current_stream().cuda_stream)
    hidden = torch.from_dlpack(hidden)

The C API is runtime/include/structured-runtime.h.
"""

import ctypes
import functools
import json
import os
import weakref

import numpy as np

from .errors import StructuredError
from .tools import load_library

ABI_VERSION = 1
MAX_RANK = 8

#: NumPy dtype of each structuredRtDType; bfloat16 is ml_dtypes' (see `Module`).
_DTYPES = {0: np.float64, 1: np.float32, 2: np.float16, 4: np.int64,
           5: np.int32, 6: np.int16, 7: np.int8, 8: np.uint8, 9: np.bool_}
try:
    import ml_dtypes
    _DTYPES[3] = ml_dtypes.bfloat16
except ImportError:
    pass
_CODES = {np.dtype(dtype): code for code, dtype in _DTYPES.items()}


class _Tensor(ctypes.Structure):
    _fields_ = [("dtype", ctypes.c_int32), ("rank", ctypes.c_int32),
                ("shape", ctypes.c_int64 * MAX_RANK),
                ("data", ctypes.c_void_p), ("owner", ctypes.c_void_p)]


class _TensorType(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("dtype", ctypes.c_int32),
                ("rank", ctypes.c_int32), ("shape", ctypes.c_int64 * MAX_RANK)]


class _DLManagedTensor(ctypes.Structure):
    """DLPack's struct, without versions."""


_DELETER = ctypes.CFUNCTYPE(None, ctypes.POINTER(_DLManagedTensor))
_DLManagedTensor._fields_ = [
    ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
    ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8),
    ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)),
    ("strides", ctypes.POINTER(ctypes.c_int64)), ("byte_offset", ctypes.c_uint64),
    ("manager_ctx", ctypes.c_void_p), ("deleter", _DELETER)]

#: DLPack's numbers of devices whose memory CUDA work is ordered on.
_DL_CUDA, _DL_CUDA_MANAGED = 2, 13


@functools.cache
def _library() -> ctypes.CDLL:
    """libStructuredRuntime.so, with the signatures that this file calls."""
    library = load_library(f"libStructuredRuntime.so.{ABI_VERSION}")
    handle, index = ctypes.c_void_p, ctypes.c_int32
    tensors, types = ctypes.POINTER(_Tensor), ctypes.POINTER(_TensorType)
    signatures = {
        "GetAbiVersion": (index, []),
        "GetLastError": (ctypes.c_char_p, []),
        "DTypeGetName": (ctypes.c_char_p, [index]),
        "ModuleLoad": (index, [ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(handle)]),
        "ModuleFree": (None, [handle]),
        "ModuleGetInfo": (ctypes.c_char_p, [handle]),
        "ModuleFindEntry": (index, [handle, ctypes.c_char_p, ctypes.POINTER(index)]),
        "EntryGetNumInputs": (index, [handle, index]),
        "EntryGetNumOutputs": (index, [handle, index]),
        "EntryGetInputType": (index, [handle, index, index, types]),
        "EntryGetUpdatedInput": (index, [handle, index, index, ctypes.POINTER(index)]),
        "EntryRun": (index, [handle, index, tensors, index, tensors, index]),
        "TensorFree": (None, [tensors]),
        "EntryRunOnStream": (index, [handle, index, tensors, index, tensors, index, handle]),
        "GraphCapture": (index, [handle, index, tensors, index, tensors, index,
                                 ctypes.POINTER(handle)]),
        "GraphLaunch": (index, [handle, handle]),
        "GraphFree": (None, [handle]),
        "TensorFromDLPack": (index, [handle, tensors]),
        "TensorToDLPack": (index, [handle, tensors,
                                   ctypes.POINTER(ctypes.POINTER(_DLManagedTensor))]),
        "CudaGetDeviceCount": (index, [ctypes.POINTER(index)]),
        "CudaSetDevice": (index, [index]),
        "CudaTuneMatmul": (None, [index]),
        "CudaCallerKeepsTurns": (None, [index]),
        "CudaCheckLaunches": (None, [index]),
        "CudaCopy": (index, [handle, handle, ctypes.c_int64, handle]),
        "CudaStreamSynchronize": (index, [handle]),
        "SetNumThreads": (index, [index]),
        "GetNumThreads": (index, []),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, f"structuredRt{name}")
        function.restype, function.argtypes = result, arguments
    version = library.structuredRtGetAbiVersion()
    if version != ABI_VERSION:
        raise StructuredError(f"libStructuredRuntime.so: ABI version {version}, "
                              f"expected {ABI_VERSION}")
    return library


def _check(status: int) -> None:
    if status != 0:
        raise StructuredError(_library().structuredRtGetLastError().decode())


def set_num_threads(count: int) -> None:
    """Sets the OpenMP threads of later runs from this thread (at least 1)."""
    _check(_library().structuredRtSetNumThreads(count))


def get_num_threads() -> int:
    """The OpenMP threads that a run from this thread would use."""
    return _library().structuredRtGetNumThreads()


def cuda_device_count() -> int:
    """The number of CUDA devices; StructuredError where there is no driver."""
    count = ctypes.c_int32()
    _check(_library().structuredRtCudaGetDeviceCount(ctypes.byref(count)))
    return count.value


def set_cuda_device(ordinal: int) -> None:
    """Selects the device on which this thread's later loads put CUDA modules."""
    _check(_library().structuredRtCudaSetDevice(ordinal))


def tune_cuda_matmul(enabled: bool) -> None:
    """Whether new matrix products time cuBLASLt's algorithms and keep the fastest."""
    _library().structuredRtCudaTuneMatmul(enabled)


def caller_keeps_cuda_turns(enabled: bool) -> None:
    """Whether the caller sees to it that no two runs or graphs with kernels whose blocks
    wait for each other (BLAST layers) are on a device at the same time. Runs with such
    kernels can then be part of graphs that the caller captures."""
    _library().structuredRtCudaCallerKeepsTurns(enabled)


def check_cuda_launches(enabled: bool) -> None:
    """Whether each launch waits for its kernel, so that an error names it (slow)."""
    _library().structuredRtCudaCheckLaunches(enabled)


class DeviceTensor:
    """An output on a CUDA device, for DLPack: `torch.from_dlpack(tensor)`.

    It belongs to its module, which stays loaded while the tensor or what was
    made of it is used. Its contents are valid until the entry's next run or its
    graph's next launch.
    """

    def __init__(self, tensor: _Tensor, module: "Module", stream: int):
        self._tensor, self._module, self._stream = tensor, module, stream

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._tensor.shape[:self._tensor.rank])

    @property
    def dtype(self) -> str:
        """The dtype's name as modules spell it, such as "bf16"."""
        return _library().structuredRtDTypeGetName(self._tensor.dtype).decode()

    def numpy(self) -> np.ndarray:
        """A copy on the host, made when the stream has come to this tensor."""
        library, array = _library(), _new_array(self._tensor)
        _check(library.structuredRtCudaCopy(
            array.ctypes.data, self._tensor.data, array.nbytes, self._stream))
        _check(library.structuredRtCudaStreamSynchronize(self._stream))
        return array

    def __dlpack_device__(self) -> tuple[int, int]:
        managed = self._export()
        device = managed.contents.device_type, managed.contents.device_id
        managed.contents.deleter(managed)
        return device

    def __dlpack__(self, *, stream: int | None = None, copy: bool | None = None, **_options):
        """A capsule that the consumer may use on `stream` (1 or None: the
        legacy default stream; -1: the consumer waits itself)."""
        if copy:
            raise BufferError("a device tensor is not copied for DLPack")
        if stream != -1 and (stream or 1) != (self._stream or 1):
            _check(_library().structuredRtCudaStreamSynchronize(self._stream))
        return _new_capsule(ctypes.cast(self._export(), ctypes.c_void_p), b"dltensor",
                            _delete_capsule)

    def _export(self):
        managed = ctypes.POINTER(_DLManagedTensor)()
        _check(_library().structuredRtTensorToDLPack(
            self._module._handle, ctypes.byref(self._tensor), ctypes.byref(managed)))
        return managed


def _python_function(name: str, result, *arguments):
    """A function of Python's C API that is called with the GIL held."""
    return ctypes.PYFUNCTYPE(result, *arguments)((name, ctypes.pythonapi))


_DESTRUCTOR = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
_new_capsule = _python_function("PyCapsule_New", ctypes.py_object, ctypes.c_void_p,
                                ctypes.c_char_p, _DESTRUCTOR)
_get_pointer = _python_function("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.py_object,
                                ctypes.c_char_p)
# In its destructor, a capsule is no object that may be referred to any more.
_is_valid_address = _python_function("PyCapsule_IsValid", ctypes.c_int, ctypes.c_void_p,
                                     ctypes.c_char_p)
_get_pointer_at = _python_function("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.c_void_p,
                                   ctypes.c_char_p)


@_DESTRUCTOR
def _delete_capsule(capsule: int) -> None:
    # A consumer renames the capsule whose contents it takes.
    if _is_valid_address(capsule, b"dltensor"):
        managed = ctypes.cast(_get_pointer_at(capsule, b"dltensor"),
                              ctypes.POINTER(_DLManagedTensor))
        managed.contents.deleter(managed)


def _set_stream(outputs: list, stream: int) -> None:
    """Notes on which stream our tensors among `outputs` are made."""
    for output in outputs:
        if isinstance(output, DeviceTensor):
            output._stream = stream


class Graph:
    """A captured run of a CUDA module's entry (`Module.capture`).

    Each launch reads the inputs of the capture anew and writes `outputs`: tensors
    on the device (DeviceTensor), or the inputs that the entry updates.
    """

    def __init__(self, handle: ctypes.c_void_p, outputs: list, inputs: list):
        self._handle, self.outputs, self._inputs = handle, outputs, inputs
        self._finalizer = weakref.finalize(self, _library().structuredRtGraphFree, handle)

    def launch(self, stream: int = 0) -> None:
        """Enqueues the run on `stream`."""
        _check(_library().structuredRtGraphLaunch(self._handle, stream))
        _set_stream(self.outputs, stream)


class Module:
    """A compiled module (model.so with its weights), ready to be called.

    Loading runs code of the module: load only what you trust. Every failure
    raises StructuredError with the runtime's reason. NumPy has no bfloat16: arrays
    are of ml_dtypes.bfloat16. Without ml_dtypes, inputs can be tensors of other
    libraries, but a call with bf16 outputs fails.
    """

    def __init__(self, handle: ctypes.c_void_p):
        self._handle = handle
        self._updated: dict[int, list[int | None]] = {}
        self._finalizer = weakref.finalize(self, _library().structuredRtModuleFree, handle)

    @classmethod
    def load(cls, path: str | os.PathLike, weights: str | os.PathLike | None = None) -> "Module":
        """Loads `path`; `weights` defaults to the .safetensors file beside it."""
        handle = ctypes.c_void_p()
        _check(_library().structuredRtModuleLoad(
            os.fsencode(path), None if weights is None else os.fsencode(weights),
            ctypes.byref(handle)))
        return cls(handle)

    @property
    def info(self) -> dict:
        """The module's description of itself: target, entries, shapes."""
        return json.loads(_library().structuredRtModuleGetInfo(self._handle))

    def __call__(self, *arrays, entry: str = "main", **named) -> list[np.ndarray]:
        """Runs `entry` and returns its outputs.

        Inputs are given in declared order or by name, with exactly the
        declared dtypes and shapes; each may be any NumPy layout (it is copied
        when not row-major), or a row-major tensor of another library that has
        DLPack, on the CUDA device too if the module is for CUDA. Outputs are
        new arrays, but for those that update an input (a cache): they are that
        input, which must be row-major and writable.
        """
        library = _library()
        index, inputs, kept = self._prepare(entry, arrays, named, stream=None)
        outputs = self._new_outputs(index)
        _check(library.structuredRtEntryRun(
            self._handle, index, inputs, len(inputs), outputs, len(outputs)))
        try:
            return self._own_or_updated(index, outputs, kept, _as_array)
        finally:
            for tensor in outputs:
                library.structuredRtTensorFree(ctypes.byref(tensor))

    def run_on_stream(self, *arrays, entry: str = "main", stream: int = 0,
                      **named) -> list[DeviceTensor]:
        """Enqueues a run of a CUDA module on `stream` (a CUstream as an integer;
        0: the legacy default stream) and returns its outputs on the device.

        Inputs as of a call. Those on the device are read in the stream's order.
        Outputs that update an input are that input, which must be on the device.
        """
        index, inputs, kept = self._prepare(entry, arrays, named, stream)
        outputs = self._new_outputs(index)
        _check(_library().structuredRtEntryRunOnStream(
            self._handle, index, inputs, len(inputs), outputs, len(outputs), stream))
        results = self._own_or_updated(index, outputs, kept,
                                       lambda tensor: DeviceTensor(tensor, self, stream))
        _set_stream(results, stream)
        return results

    def capture(self, *arrays, entry: str = "main", **named) -> Graph:
        """Captures a run of a CUDA module as a CUDA graph. Inputs are tensors on
        the device, which the graph keeps. Those that the entry updates are
        updated by each launch, not by the capture."""
        index, inputs, kept = self._prepare(entry, arrays, named, stream=None)
        outputs, handle = self._new_outputs(index), ctypes.c_void_p()
        _check(_library().structuredRtGraphCapture(
            self._handle, index, inputs, len(inputs), outputs, len(outputs),
            ctypes.byref(handle)))
        return Graph(handle, self._own_or_updated(
            index, outputs, kept, lambda tensor: DeviceTensor(tensor, self, 0)), kept)

    def _new_outputs(self, index: ctypes.c_int32):
        return (_Tensor * _library().structuredRtEntryGetNumOutputs(self._handle, index))()

    def _updated_inputs(self, index: ctypes.c_int32) -> list[int | None]:
        """For each output the index of the input that it updates; asked for once."""
        if index.value in self._updated:
            return self._updated[index.value]
        library, updated = _library(), []
        for i in range(library.structuredRtEntryGetNumOutputs(self._handle, index)):
            number = ctypes.c_int32()
            _check(library.structuredRtEntryGetUpdatedInput(
                self._handle, index, i, ctypes.byref(number)))
            updated.append(None if number.value < 0 else number.value)
        self._updated[index.value] = updated
        return updated

    def _own_or_updated(self, index: ctypes.c_int32, outputs, kept: list[tuple], make) -> list:
        """What `make` makes of each output that has memory of its own; the given
        input where an output updates one."""
        return [make(tensor) if updated is None else kept[updated][0]
                for tensor, updated in zip(outputs, self._updated_inputs(index))]

    def _prepare(self, entry: str, arrays: tuple, named: dict, stream: int | None):
        """The entry's index, its inputs, and for each of these a tuple of what must
        live as long as it, the given object first."""
        library, index = _library(), ctypes.c_int32()
        _check(library.structuredRtModuleFindEntry(
            self._handle, entry.encode(), ctypes.byref(index)))
        kept, inputs, updated = [], [], self._updated_inputs(index)
        for i, array in enumerate(self._in_order(index, entry, arrays, named)):
            if isinstance(array, (np.ndarray, np.generic)) or not hasattr(array, "__dlpack__"):
                if i in updated and not (isinstance(array, np.ndarray)
                                         and array.flags.carray):
                    raise StructuredError(
                        f"input {i} of entry '{entry}' is updated, so it must be a "
                        "row-major array that may be written to")
                rows = np.asarray(array, order="C")
                kept.append((array, rows))
                inputs.append(_as_tensor(rows))
                continue
            is_cuda = array.__dlpack_device__()[0] in (_DL_CUDA, _DL_CUDA_MANAGED)
            if is_cuda and self.info["target"] != "cuda":
                raise StructuredError("an input is on a CUDA device, the module runs on the CPU")
            # The memory, too: the array itself may make a copy for DLPack.
            capsule = array.__dlpack__(stream=(stream or 1) if is_cuda else None)
            kept.append((array, capsule))
            inputs.append(_Tensor())
            _check(library.structuredRtTensorFromDLPack(
                _get_pointer(capsule, b"dltensor"), ctypes.byref(inputs[-1])))
            if is_cuda and stream is None:
                _check(library.structuredRtCudaStreamSynchronize(None))
        return index, (_Tensor * len(inputs))(*inputs), kept

    def _in_order(self, index: ctypes.c_int32, entry: str, arrays: tuple,
                  named: dict) -> list:
        """Positional, then named inputs, in the entry's declared order."""
        library, names = _library(), []
        for i in range(library.structuredRtEntryGetNumInputs(self._handle, index)):
            declared = _TensorType()
            _check(library.structuredRtEntryGetInputType(
                self._handle, index, i, ctypes.byref(declared)))
            names.append(declared.name.decode())
        remaining = names[len(arrays):]
        if sorted(remaining) != sorted(named):
            raise StructuredError(
                f"entry '{entry}' takes the inputs {', '.join(names)}; given "
                f"{len(arrays)} by position and by name: {', '.join(named) or 'none'}")
        return [*arrays, *(named[name] for name in remaining)]


def _as_tensor(array: np.ndarray) -> _Tensor:
    """A tensor that borrows the row-major `array`'s memory."""
    code = _CODES.get(array.dtype)
    if code is None or array.ndim > MAX_RANK:
        raise StructuredError(f"cannot pass an array of dtype {array.dtype} and "
                              f"rank {array.ndim} to a module")
    shape = (ctypes.c_int64 * MAX_RANK)(*array.shape)
    return _Tensor(code, array.ndim, shape, array.ctypes.data, None)


def _new_array(tensor: _Tensor) -> np.ndarray:
    """An array of the tensor's dtype and shape."""
    if tensor.dtype not in _DTYPES:
        name = _library().structuredRtDTypeGetName(tensor.dtype).decode()
        raise StructuredError(f"an output has dtype {name}, which needs ml_dtypes")
    return np.empty(tuple(tensor.shape[:tensor.rank]), _DTYPES[tensor.dtype])


def _as_array(tensor: _Tensor) -> np.ndarray:
    """A copy of the tensor."""
    array = _new_array(tensor)
    if array.nbytes:
        ctypes.memmove(array.ctypes.data, tensor.data, array.nbytes)
    return array
