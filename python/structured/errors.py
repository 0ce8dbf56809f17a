# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The exception of this package, and what it says of others."""


class StructuredError(Exception):
    """An expected failure: bad input, a missing tool, a tool that failed.

    The message is one line for the user and names the file, layer or op.
    """


def first_line(error: Exception) -> str:
    """The first line of another package's error that is not blank, else its type."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
