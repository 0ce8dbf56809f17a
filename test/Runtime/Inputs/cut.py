# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""cut.py WHOLE CUT COMMAND...: runs COMMAND on the file WHOLE cut off (as CUT)
after many numbers of bytes; each run must end with status 1 and an error that
names CUT.

What the loader reads ends before the section headers do, so the cuts stop where
the last loaded segment does.
"""

import struct
import subprocess
import sys

whole, cut, *command = sys.argv[1:]
with open(whole, "rb") as file:
    content = file.read()
table, = struct.unpack_from("<Q", content, 32)
entry_size, count = struct.unpack_from("<HH", content, 54)
ends = []
for i in range(count):
    kind, = struct.unpack_from("<I", content, table + i * entry_size)
    offset, = struct.unpack_from("<Q", content, table + i * entry_size + 8)
    size, = struct.unpack_from("<Q", content, table + i * entry_size + 32)
    if kind == 1:  # PT_LOAD
        ends.append(offset + size)
last = max(ends)
for size in sorted({0, 3, 4, 20, 63, 64, 65, table + entry_size, last // 4, last // 2,
                    last - 4096, last - 1, *(end - 1 for end in ends)}):
    with open(cut, "wb") as file:
        file.write(content[:size])
    result = subprocess.run([*command, cut], capture_output=True, text=True)
    if result.returncode != 1 or f"error: {cut}: " not in result.stderr:
        sys.exit(f"cut to {size} bytes: status {result.returncode}, {result.stderr}")
print("every cut is refused")
