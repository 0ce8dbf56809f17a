# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The compiler in this process: ctypes over its C API.

    model = Model.load("model.mlir")
    model.run("structured-raise-linear", pass_text("structured-plan", keep=0.5, blocks=4))
    module = runtime.Module.load(model.compile("model.so", weights="model.safetensors"))

The C API is include/structured-c/Compiler.h; it loads LLVM and MLIR. Modules
are loaded and run by `structured.runtime`, which does not.
"""

import ctypes
import functools
import os
import tempfile
import weakref
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Iterable, Literal, Mapping

import numpy as np

from .errors import StructuredError
from .files import SAFETENSORS_DTYPES, LazyTensor, write_safetensors
from .tools import load_library, pass_text

__all__ = ["CompilerError", "Context", "Diagnostic", "Model", "pass_text", "version"]

ABI_VERSION = 1

Severity = Literal["note", "warning", "error", "remark"]
#: The name of each structuredSeverity.
_SEVERITIES: tuple[Severity, ...] = ("note", "warning", "error", "remark")

#: Names of safetensors files, one or several, or arrays by their names.
Weights = str | os.PathLike | Iterable[str | os.PathLike] | Mapping[str, Any]


@dataclass(frozen=True)
class Diagnostic:
    """What MLIR, or one of our passes, says of a place in a model."""

    severity: Severity
    message: str
    location: str  #: as MLIR prints it: loc("model.mlir":3:8)
    file: str | None = None  #: the location's file, or the name that stands for it
    line: int = 0  #: from 1; 0: the location has none
    column: int = 0  #: from 1; 0: the location has none
    notes: "tuple[Diagnostic, ...]" = ()

    def __str__(self) -> str:
        """As compilers print it, a line for it and for each of its notes."""
        place = f"{self.file}: " if self.file else ""
        if self.line:
            place = f"{self.file}:{self.line}:{self.column}: "
        return "\n".join([f"{place}{self.severity}: {self.message}", *map(str, self.notes)])


class CompilerError(StructuredError):
    """A failure of the compiler. Its text is the first error, after its place;
    `diagnostics` is all that was said, in order, remarks too."""

    def __init__(self, message: str, diagnostics: tuple[Diagnostic, ...] = ()):
        super().__init__(message)
        self.diagnostics = diagnostics


class _Diagnostic(ctypes.Structure):
    _fields_ = [("severity", ctypes.c_int32), ("parent", ctypes.c_int32),
                ("message", ctypes.c_char_p), ("location", ctypes.c_char_p),
                ("file", ctypes.c_char_p), ("line", ctypes.c_int32), ("column", ctypes.c_int32)]


@functools.cache
def _library() -> ctypes.CDLL:
    """libStructuredC.so, with the signatures that this file calls."""
    library = load_library(f"libStructuredC.so.{ABI_VERSION}")
    handle, integer, text = ctypes.c_void_p, ctypes.c_int32, ctypes.c_char_p
    result = ctypes.POINTER(handle)
    signatures = {
        "GetAbiVersion": (integer, []),
        "GetVersion": (text, []),
        "GetLastError": (text, []),
        "GetNumDiagnostics": (integer, []),
        "GetDiagnostic": (integer, [integer, ctypes.POINTER(_Diagnostic)]),
        "ContextCreate": (handle, []),
        "ContextFree": (None, [handle]),
        "ModelParse": (integer, [handle, text, ctypes.c_int64, text, result]),
        "ModelParseFile": (integer, [handle, text, result]),
        "ModelClone": (integer, [handle, result]),
        "ModelFree": (None, [handle]),
        "ModelPrint": (integer, [handle, integer, result]),
        "StringFree": (None, [handle]),
        "ModelRunPipeline": (integer, [handle, text]),
        "CompileOptionsCreate": (handle, []),
        "CompileOptionsFree": (None, [handle]),
        "CompileOptionsSet": (integer, [handle, text, text]),
        "ModelCompile": (integer, [handle, text, handle]),
    }
    for name, (kind, arguments) in signatures.items():
        function = getattr(library, f"structured{name}")
        function.restype, function.argtypes = kind, arguments
    found = library.structuredGetAbiVersion()
    if found != ABI_VERSION:
        raise StructuredError(f"libStructuredC.so: ABI version {found}, expected {ABI_VERSION}")
    return library


def version() -> str:
    """The compiler's and LLVM's version: "0.1.0 (LLVM 22.1.8)"."""
    return _library().structuredGetVersion().decode()


def _diagnostics() -> tuple[Diagnostic, ...]:
    """What this thread's last call of the library has given."""
    library, found = _library(), _Diagnostic()
    below: dict[int, list[Diagnostic]] = defaultdict(list)  # by parent, backwards
    for index in reversed(range(library.structuredGetNumDiagnostics())):
        library.structuredGetDiagnostic(index, ctypes.byref(found))
        below[found.parent].append(Diagnostic(
            _SEVERITIES[found.severity], found.message.decode(), found.location.decode(),
            found.file.decode() if found.file else None, found.line, found.column,
            tuple(reversed(below.pop(index, [])))))
    return tuple(reversed(below[-1]))


def _last_error(diagnostics: tuple[Diagnostic, ...] = ()) -> CompilerError:
    return CompilerError(_library().structuredGetLastError().decode(), diagnostics)


class Context:
    """MLIR's context: what models share that are worked on by one thread.

    Calls on models of one context wait for each other. Models keep their context.
    """

    def __init__(self):
        library = _library()
        self._handle = ctypes.c_void_p(library.structuredContextCreate())
        self._finalizer = weakref.finalize(self, library.structuredContextFree, self._handle)


class Model:
    """A model: an MLIR module, between the import and the compiled module.

    `str(model)` is its text. A call that fails raises CompilerError, with MLIR's
    diagnostics, and leaves the model as it was.
    """

    #: What the last call on this model has said: remarks and warnings.
    diagnostics: tuple[Diagnostic, ...]

    def __init__(self, handle: ctypes.c_void_p):
        self._handle, self.diagnostics = handle, ()
        self._finalizer = weakref.finalize(self, _library().structuredModelFree, handle)

    @classmethod
    def parse(cls, text: str | bytes, name: str = "<string>",
              context: Context | None = None) -> "Model":
        """Parses and verifies MLIR's text or bytecode. `name` stands for the file
        in locations; without a context the model gets its own."""
        data = text.encode() if isinstance(text, str) else bytes(text)
        handle, context = ctypes.c_void_p(), context or Context()
        return cls._parsed(handle, _library().structuredModelParse(
            context._handle, data, len(data), name.encode(), ctypes.byref(handle)))

    @classmethod
    def load(cls, path: str | os.PathLike, context: Context | None = None) -> "Model":
        """Parses and verifies a file with MLIR's text or bytecode."""
        handle, context = ctypes.c_void_p(), context or Context()
        return cls._parsed(handle, _library().structuredModelParseFile(
            context._handle, os.fsencode(path), ctypes.byref(handle)))

    @classmethod
    def _parsed(cls, handle: ctypes.c_void_p, status: int) -> "Model":
        diagnostics = _diagnostics()
        if status != 0:
            raise _last_error(diagnostics)
        model = cls(handle)
        model.diagnostics = diagnostics
        return model

    def clone(self) -> "Model":
        """An independent copy in the same context."""
        handle = ctypes.c_void_p()
        if _library().structuredModelClone(self._handle, ctypes.byref(handle)) != 0:
            raise _last_error()
        return Model(handle)

    def to_text(self, locations: bool = False) -> str:
        """The model as MLIR prints it, with locations on demand."""
        library, text = _library(), ctypes.c_void_p()
        if library.structuredModelPrint(self._handle, locations, ctypes.byref(text)) != 0:
            raise _last_error()
        try:
            return ctypes.string_at(text).decode()
        finally:
            library.structuredStringFree(text)

    def __str__(self) -> str:
        return self.to_text()

    def run(self, *passes: str) -> "Model":
        """Runs passes, ours and upstream's, and returns the model.

        Each is written as in structured-opt's --pass-pipeline, with its options
        in braces (`pass_text` writes them): "structured-raise-linear",
        "func.func(canonicalize)", or several, separated by commas.
        """
        return self._done(_library().structuredModelRunPipeline(
            self._handle, ",".join(passes).encode()))

    def compile(self, output: str | os.PathLike, weights: Weights = (),
                **options: str | int | bool) -> Path:
        """Compiles to the module `output` (a shared object; its parameters go
        beside it, with the extension .safetensors) and returns its path. The
        model stays as it is.

        `weights` holds the parameters: names of safetensors files, or arrays by
        the parameters' names (NumPy's, ml_dtypes', or through DLPack, with the
        parameters' dtypes and shapes, row-major or not).
        `options` are those of structured-compile, with `_` for `-`:
        target="cuda", chip="sm_90a", mcpu="znver4", parallel=False,
        tile_tokens=16, emit="asm" (then the output is what that says).
        """
        library = _library()
        handle = ctypes.c_void_p(library.structuredCompileOptionsCreate())

        def set_option(name: str, value: bytes) -> None:
            if library.structuredCompileOptionsSet(handle, name.encode(), value) != 0:
                raise _last_error()

        with ExitStack() as stack:
            stack.callback(library.structuredCompileOptionsFree, handle)
            for path in _weights_files(weights, stack):
                set_option("weights", os.fsencode(path))
            for name, value in options.items():
                text = str(value).lower() if isinstance(value, bool) else str(value)
                set_option(name.replace("_", "-"), os.fsencode(text))
            self._done(library.structuredModelCompile(self._handle, os.fsencode(output), handle))
        return Path(output)

    def _done(self, status: int) -> "Model":
        self.diagnostics = _diagnostics()
        if status != 0:
            raise _last_error(self.diagnostics)
        return self


def _weights_files(weights: Weights, stack: ExitStack) -> list[str | os.PathLike]:
    """The files of the weights; arrays are written to one that `stack` removes."""
    if isinstance(weights, (str, os.PathLike)):
        return [weights]
    if not isinstance(weights, Mapping):
        return list(weights)
    arrays = {name: _as_array(name, array) for name, array in weights.items()}
    # Wide elements first: the format allows no padding.
    tensors = [LazyTensor(name, array.dtype, array.shape, partial(arrays.__getitem__, name))
               for name, array in sorted(arrays.items(), key=lambda item: -item[1].itemsize)]
    path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "weights.safetensors"
    try:
        write_safetensors(path, tensors)
    except OSError as error:
        raise StructuredError(f"{path}: cannot write: {error.strerror or error}") from error
    return [path]


def _as_array(name: str, value: Any) -> np.ndarray:
    """A NumPy array of a weight, with a dtype that files can have."""
    try:
        array = (np.asarray(value) if isinstance(value, np.ndarray)
                 or not hasattr(value, "__dlpack__") else np.from_dlpack(value))
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise StructuredError(f"weight '{name}': {error}") from error
    if array.dtype.name not in SAFETENSORS_DTYPES:
        raise StructuredError(f"weight '{name}' has dtype {array.dtype}, which files of "
                              "weights cannot have")
    return array
