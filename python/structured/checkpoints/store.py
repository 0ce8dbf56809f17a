# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tensors by name, from safetensors files and from files of `torch.save`.

PyTorch is not needed: its zip archives are unpickled by a reader that builds
tensors, containers and nothing else, so that no code of a file can run.
"""

import collections
import contextlib
import json
import pickle
import zipfile
from pathlib import Path
from typing import Callable, Iterable, Iterator, NamedTuple

import numpy as np

from ..errors import StructuredError
from ..files import SAFETENSORS_DTYPES, LazyTensor

#: Ending of the files that `torch.save` wrote.
TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".tensor")

#: Keys under which training frameworks keep a model's tensors in a checkpoint.
STATE_KEYS = ("state_dict", "model_state_dict", "model", "module")

_TORCH_DTYPES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32",
    "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
    "BoolStorage": "bool",
}


def numpy_dtype(name: str) -> np.dtype:
    """The dtype of that name; bfloat16 is ml_dtypes'."""
    if name == "bfloat16":
        import ml_dtypes
        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


class StoredTensor(NamedTuple):
    """A tensor in a file, read when it is asked for."""

    dtype: np.dtype
    shape: tuple[int, ...]
    file: Path
    load: Callable[[], np.ndarray]


class Store:
    """The tensors of one or more files, by name."""

    def __init__(self) -> None:
        self.tensors: dict[str, StoredTensor] = {}
        self.metadata: dict[str, str] = {}
        self.files: list[Path] = []

    @classmethod
    def open(cls, paths: Iterable[Path]) -> "Store":
        """Opens safetensors files, PyTorch files, and directories of them.

        Raises StructuredError for a file that cannot be read, and for a name
        that two files hold.
        """
        store = cls()
        for path in paths:
            for file in _expand(path):
                store._add(file)
        if not store.tensors:
            raise StructuredError(f"{', '.join(map(str, paths))}: no tensors")
        return store

    def _add(self, file: Path) -> None:
        if file.suffix in TORCH_SUFFIXES:
            tensors, metadata = _open_torch(file), {}
        else:
            tensors, metadata = _open_safetensors(file)
        for name, tensor in tensors.items():
            if name in self.tensors:
                raise StructuredError(f"{file}: '{name}' is in "
                                      f"{self.tensors[name].file}, too")
            self.tensors[name] = tensor
        self.metadata |= metadata
        self.files.append(file)

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def where(self, name: str) -> str:
        """`file: 'name'`, to begin an error with."""
        return f"{self.tensors[name].file}: '{name}'"

    def shape(self, name: str) -> tuple[int, ...]:
        return self.tensors[name].shape

    def dtype(self, name: str) -> np.dtype:
        return self.tensors[name].dtype

    def read(self, name: str, finite: bool = True) -> np.ndarray:
        """The tensor; with `finite`, StructuredError if a number is not."""
        tensor = self.tensors[name]
        array = tensor.load()
        if finite and array.dtype.kind not in "iub":
            bad = ~np.isfinite(array)
            if bad.any():
                where = tuple(map(int, np.argwhere(bad)[0]))
                raise StructuredError(
                    f"{self.where(name)} holds {array[where]} at {list(where)}")
        return array

    def matrix_shape(self, name: str) -> tuple[int, ...]:
        """The shape of `read_matrix`."""
        shape = self.shape(name)
        return (shape[0], shape[1] * shape[2] * shape[3]) if len(shape) == 4 else shape

    def read_matrix(self, name: str, channels_first: bool = False) -> np.ndarray:
        """A dense weight; a convolution's [oc,ic,k1,k2] as `oc × (k1 k2 ic)`, or
        with `channels_first` as `oc × (ic k1 k2)`."""
        array = self.read(name)
        if array.ndim == 4:
            order = (0, 1, 2, 3) if channels_first else (0, 2, 3, 1)
            array = array.transpose(order).reshape(len(array), -1)
        return array

    def lazy(self, name: str) -> LazyTensor:
        """The tensor as it is, to be written."""
        tensor = self.tensors[name]
        return LazyTensor(name, tensor.dtype, tensor.shape, tensor.load)


def _expand(path: Path) -> list[Path]:
    """The files of a checkpoint: itself, or those of the directory, by the
    index of its shards if there is one."""
    if path.suffix == ".json":
        return _shards(path)
    if not path.is_dir():
        return [path]
    index = path / "model.safetensors.index.json"
    if index.is_file():
        return _shards(index)
    files = sorted(path.glob("*.safetensors")) or sorted(
        file for file in path.iterdir() if file.suffix in TORCH_SUFFIXES)
    if not files:
        raise StructuredError(f"{path}: holds neither safetensors nor PyTorch files")
    return files


def _shards(index: Path) -> list[Path]:
    try:
        shards = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        return [index.parent / shard for shard in shards]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StructuredError(f"{index}: not an index of shards: {error}") from error


def _open_safetensors(file: Path) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    import safetensors
    names = {stored: name for name, stored in SAFETENSORS_DTYPES.items()}
    try:
        handle = safetensors.safe_open(file, framework="numpy")
        tensors = {}
        for name in handle.keys():
            view = handle.get_slice(name)
            if view.get_dtype() not in names:
                raise StructuredError(
                    f"{file}: '{name}' has the dtype {view.get_dtype()}, which is not supported")
            tensors[name] = StoredTensor(
                numpy_dtype(names[view.get_dtype()]), tuple(view.get_shape()), file,
                lambda name=name: handle.get_tensor(name))
        return tensors, handle.metadata() or {}
    except FileNotFoundError as error:
        raise StructuredError(f"{file}: No such file") from error
    except safetensors.SafetensorError as error:
        raise StructuredError(f"{file}: not a safetensors file: {error}") from error


class _TorchStorage(NamedTuple):
    dtype: str
    key: str
    size: int


class _TorchTensor(NamedTuple):
    storage: _TorchStorage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Ignored:
    """Stands for any object of a checkpoint that is no tensor or container."""

    def __new__(cls, *args, **kwargs):
        return super().__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        pass

    def __setitem__(self, key, value):
        pass

    def append(self, item):
        pass

    def extend(self, items):
        pass


class _TensorUnpickler(pickle.Unpickler):
    """Builds tensors and built-in containers; knows no other class."""

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: _TorchTensor(
                storage, offset, tuple(shape), tuple(strides))
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda data, *_: data
        if module == "torch" and name in _TORCH_DTYPES:
            return _TORCH_DTYPES[name]
        return _Ignored

    def persistent_load(self, pid):
        kind, dtype, key, _, size = pid
        if kind != "storage" or not isinstance(dtype, str):
            return _Ignored()
        return _TorchStorage(dtype, key, size)


@contextlib.contextmanager
def _refusing(message: str) -> Iterator[None]:
    """Turns any exception into a StructuredError that begins with the message:
    of a malformed archive or pickle there may be any."""
    try:
        yield
    except StructuredError:
        raise
    except Exception as error:
        raise StructuredError(f"{message}: {str(error) or type(error).__name__}") from error


def _open_torch(file: Path) -> dict[str, StoredTensor]:
    if not file.is_file():
        raise StructuredError(f"{file}: No such file")
    with _refusing(f"{file}: not an archive of torch.save (PyTorch 1.6 or later); save it "
                   "again, or as safetensors"):
        archive = zipfile.ZipFile(file)
        members = archive.namelist()
        pickles = [member for member in members if member.endswith("data.pkl")]
        if not pickles:
            raise ValueError("no data.pkl")
        root = pickles[0].removesuffix("data.pkl")
        if f"{root}byteorder" in members and archive.read(f"{root}byteorder") != b"little":
            raise ValueError("written on a big-endian machine")
    with _refusing(f"{file}: cannot be unpickled"), archive.open(f"{root}data.pkl") as data:
        content = _TensorUnpickler(data).load()
    if isinstance(content, _TorchTensor):
        # `<layer>-B.tensor`: how the BLAST authors' decomposer names its files.
        content = {".".join(file.stem.rsplit("-", 1)): content}
    for key in STATE_KEYS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    if not isinstance(content, dict):
        raise StructuredError(f"{file}: holds no dictionary of tensors")
    return {name: StoredTensor(numpy_dtype(value.storage.dtype), value.shape, file,
                               lambda value=value: _load_torch(file, archive, root, value))
            for name, value in content.items()
            if isinstance(name, str) and isinstance(value, _TorchTensor)
            and isinstance(value.storage, _TorchStorage)}


def _load_torch(file: Path, archive: zipfile.ZipFile, root: str,
                tensor: _TorchTensor) -> np.ndarray:
    with _refusing(f"{file}: damaged"):
        array = np.frombuffer(archive.read(f"{root}data/{tensor.storage.key}"),
                              numpy_dtype(tensor.storage.dtype))
        if 0 in tensor.shape:
            return np.empty(tensor.shape, array.dtype)
        last = tensor.offset + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides))
        if (len(tensor.shape) != len(tensor.strides) or last >= array.size
                or min((tensor.offset, *tensor.strides, *tensor.shape)) < 0):
            raise ValueError("a tensor lies outside of its storage")
        return np.lib.stride_tricks.as_strided(
            array[tensor.offset:], tensor.shape,
            [s * array.itemsize for s in tensor.strides]).copy()
