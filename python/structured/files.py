# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Output files that are written whole or not at all, and safetensors output."""

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Callable, Iterator, Mapping, NamedTuple, Sequence

import numpy as np

from .errors import StructuredError

#: safetensors' name of each NumPy (or ml_dtypes) dtype.
SAFETENSORS_DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16",
    "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8",
    "uint8": "U8", "bool": "BOOL",
}


@contextlib.contextmanager
def staged_directory(directory: Path) -> Iterator[Path]:
    """Yields a scratch directory inside `directory` (created if missing).

    When the block succeeds, the files left in the scratch directory are moved
    into `directory`; otherwise they are removed. Either way no half-written
    file appears under its final name. Raises StructuredError when the
    directory cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=".stage-", dir=directory))
    except OSError as error:
        raise StructuredError(
            f"{directory}: cannot write here: {error.strerror}") from error
    try:
        yield stage
        for file in sorted(stage.iterdir()):
            os.replace(file, directory / file.name)
    except OSError as error:
        raise StructuredError(
            f"{directory}: cannot write: {error.strerror or error}") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes `content` to `path` by way of a temporary file and a rename."""
    temporary = path.with_name(f"{path.name}.tmp.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StructuredError(
            f"{path}: cannot write: {error.strerror or error}") from error


def write_text(path: Path, text: str) -> None:
    """Writes `text` to `path` by way of a temporary file and a rename."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: object) -> None:
    """Writes `value` as indented JSON, by way of a temporary file."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an .npz file by way of a temporary file, in a directory made if
    missing; leaves one alone that holds these very arrays already."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        with np.load(path) as present:
            if set(present) == set(arrays) and all(
                    np.array_equal(present[name], array) for name, array in arrays.items()):
                return
    temporary = path.with_name(f"{path.name}.tmp.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            np.savez(file, **arrays)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StructuredError(f"{path}: cannot write: {error.strerror or error}") from error


class LazyTensor(NamedTuple):
    """A tensor whose data is read only when it is its turn to be written."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    load: Callable[[], np.ndarray]


def write_safetensors(path: Path, tensors: Sequence[LazyTensor],
                      metadata: Mapping[str, str] | None = None) -> None:
    """Writes a safetensors file, holding one tensor in memory at a time.

    The header is padded so that the data starts 64-byte aligned. Raises
    OSError when the file cannot be written; the file may then be partial, so
    call this inside a `staged_directory`.
    """
    header: dict[str, dict] = {"__metadata__": dict(metadata)} if metadata else {}
    offset = 0
    for tensor in tensors:
        end = offset + tensor.dtype.itemsize * int(np.prod(tensor.shape))
        header[tensor.name] = {"dtype": SAFETENSORS_DTYPES[tensor.dtype.name],
                               "shape": list(tensor.shape),
                               "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors:
            file.write(np.ascontiguousarray(tensor.load()).tobytes())
