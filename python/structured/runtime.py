# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiled modules called with NumPy arrays: ctypes over the runtime's C API.

    module = Module.load("model.so")
    hidden, = module(input_ids=ids, attention_mask=mask, token_type_ids=types)

The C API is runtime/include/structured-runtime.h.
"""

import ctypes
import functools
import json
import os
import weakref
from pathlib import Path

import numpy as np

from .errors import StructuredError
from .tools import search_directories

ABI_VERSION = 1
MAX_RANK = 8

#: NumPy dtype of each structuredRtDType; bfloat16 has none (see `Module`).
_DTYPES = {0: np.float64, 1: np.float32, 2: np.float16, 4: np.int64,
           5: np.int32, 6: np.int16, 7: np.int8, 8: np.uint8, 9: np.bool_}
_CODES = {np.dtype(dtype): code for code, dtype in _DTYPES.items()}


class _Tensor(ctypes.Structure):
    _fields_ = [("dtype", ctypes.c_int32), ("rank", ctypes.c_int32),
                ("shape", ctypes.c_int64 * MAX_RANK),
                ("data", ctypes.c_void_p), ("owner", ctypes.c_void_p)]


class _TensorType(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("dtype", ctypes.c_int32),
                ("rank", ctypes.c_int32), ("shape", ctypes.c_int64 * MAX_RANK)]


@functools.cache
def _library() -> ctypes.CDLL:
    """libStructuredRuntime.so, with the signatures that this file calls."""
    candidates = [directory / "lib" / "libStructuredRuntime.so"
                  for directory in search_directories()]
    path = next((c for c in candidates if c.is_file()), "libStructuredRuntime.so")
    try:
        library = ctypes.CDLL(os.fspath(path))
    except OSError as error:
        raise StructuredError(f"cannot load the runtime: {error}; set "
                              "STRUCTURED_BUILD_DIR to the build directory") from error
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
        "EntryRun": (index, [handle, index, tensors, index, tensors, index]),
        "TensorFree": (None, [tensors]),
        "SetNumThreads": (index, [index]),
        "GetNumThreads": (index, []),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, f"structuredRt{name}")
        function.restype, function.argtypes = result, arguments
    version = library.structuredRtGetAbiVersion()
    if version != ABI_VERSION:
        raise StructuredError(f"{path}: ABI version {version}, expected {ABI_VERSION}")
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


class Module:
    """A compiled module (model.so with its weights), ready to be called.

    Loading runs code of the module: load only what you trust. Every failure
    raises StructuredError with the runtime's reason. NumPy has no bfloat16:
    entries with bf16 inputs or outputs cannot be called from Python.
    """

    def __init__(self, handle: ctypes.c_void_p):
        self._handle = handle
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

    def __call__(self, *arrays: np.ndarray, entry: str = "main",
                 **named: np.ndarray) -> list[np.ndarray]:
        """Runs `entry` and returns its outputs.

        Inputs are given in declared order or by name, with exactly the
        declared dtypes and shapes; each may be any NumPy layout (it is copied
        when not row-major). Outputs are new arrays.
        """
        library, index = _library(), ctypes.c_int32()
        _check(library.structuredRtModuleFindEntry(
            self._handle, entry.encode(), ctypes.byref(index)))
        arrays = [np.asarray(a, order="C") for a in self._in_order(index, entry, arrays, named)]
        inputs = (_Tensor * len(arrays))(*map(_as_tensor, arrays))
        count = library.structuredRtEntryGetNumOutputs(self._handle, index)
        outputs = (_Tensor * count)()
        _check(library.structuredRtEntryRun(
            self._handle, index, inputs, len(inputs), outputs, count))
        try:
            return [_as_array(tensor) for tensor in outputs]
        finally:
            for tensor in outputs:
                library.structuredRtTensorFree(ctypes.byref(tensor))

    def _in_order(self, index: ctypes.c_int32, entry: str, arrays: tuple,
                  named: dict[str, np.ndarray]) -> list[np.ndarray]:
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


def _as_array(tensor: _Tensor) -> np.ndarray:
    """A copy of the tensor."""
    if tensor.dtype not in _DTYPES:
        name = _library().structuredRtDTypeGetName(tensor.dtype).decode()
        raise StructuredError(f"an output has dtype {name}, which NumPy lacks")
    shape = tuple(tensor.shape[:tensor.rank])
    array = np.empty(shape, _DTYPES[tensor.dtype])
    if array.nbytes:
        ctypes.memmove(array.ctypes.data, tensor.data, array.nbytes)
    return array
