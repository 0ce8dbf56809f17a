# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes and shows tensor files with the standard library only.

  tensors.py npy FILE DESCR SHAPE VALUE...
  tensors.py safetensors FILE NAME:DTYPE:SHAPE=VALUE,VALUE... | @LIST
  tensors.py show FILE.npy
  tensors.py edit-json FILE KEY=VALUE...   (KEY: a path such as entries.0.name;
                                            VALUE: JSON, or nothing to delete)

A shape is written 2x3; a scalar's is empty. LIST is a file with a tensor a line.
"""

import ast
import json
import math
import struct
import sys

FORMATS = {"f8": "d", "f4": "f", "f2": "e", "i8": "q", "i4": "i", "i2": "h",
           "i1": "b", "u1": "B", "u2": "H", "b1": "?",
           "F64": "d", "F32": "f", "F16": "e", "BF16": "H", "I64": "q",
           "I32": "i", "I16": "h", "I8": "b", "U8": "B", "BOOL": "?"}


def parse_shape(text):
    return [int(size) for size in text.split("x")] if text else []


def pack(code, values):
    convert = float if code in "dfe" else int
    return struct.pack(f"<{len(values)}{code}", *map(convert, values))


def write_npy(path, descr, shape, *values):
    shape = tuple(parse_shape(shape))
    header = repr({"descr": descr, "fortran_order": False, "shape": shape})
    header += " " * (-(len(header) + 11) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)))
        file.write(header.encode() + pack(FORMATS[descr[1:]], values))


def write_safetensors(path, *tensors):
    header, data = {}, b""
    if tensors[0].startswith("@"):
        with open(tensors[0][1:]) as file:
            tensors = file.read().split()
    for tensor in tensors:
        declaration, _, values = tensor.partition("=")
        name, dtype, shape = declaration.split(":")
        packed = pack(FORMATS[dtype], values.split(",") if values else [])
        header[name] = {"dtype": dtype, "shape": parse_shape(shape),
                        "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + 8) % 64)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def show(path):
    with open(path, "rb") as file:
        content = file.read()
    assert content[:8] == b"\x93NUMPY\1\0", "magic string and version"
    size, = struct.unpack("<H", content[8:10])
    assert (10 + size) % 64 == 0, "alignment of the data"
    header = ast.literal_eval(content[10:10 + size].decode())
    code = FORMATS[header["descr"][1:]]
    values = struct.unpack(f"<{math.prod(header['shape'])}{code}", content[10 + size:])
    print(header["descr"], header["fortran_order"], header["shape"], *values)


def edit_json(path, *edits):
    with open(path) as file:
        document = json.load(file)
    for edit in edits:
        keys, _, value = edit.partition("=")
        *parents, last = (int(k) if k.isdigit() else k for k in keys.split("."))
        target = document
        for key in parents:
            target = target[key]
        if value:
            target[last] = json.loads(value)
        else:
            del target[last]
    with open(path, "w") as file:
        json.dump(document, file)


if __name__ == "__main__":
    {"npy": write_npy, "safetensors": write_safetensors, "show": show,
     "edit-json": edit_json}[sys.argv[1]](*sys.argv[2:])
