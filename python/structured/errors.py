# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The exception of this package, and what it says of others."""

import sys
from typing import Callable


class StructuredError(Exception):
    """An expected failure: bad input, a missing tool, a tool that failed.

    The message is one line for the user and names the file, layer or op.
    """


def first_line(error: Exception) -> str:
    """The first line of another package's error that is not blank, else its type."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def run_command(program: str, command: Callable[[], int | None]) -> int:
    """Runs a command line's work; the exit status: what it returns, 0 for None.

    A failure is one line on stderr, "program: error: …", and status 1. An
    interrupt is status 130; what all our commands write can be gone on with.
    """
    try:
        return command() or 0
    except StructuredError as error:
        print(f"{program}: error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{program}: error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{program}: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
