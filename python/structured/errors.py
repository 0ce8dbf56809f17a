# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The exception of this package."""


class StructuredError(Exception):
    """An expected failure: bad input, a missing tool, a tool that failed.

    The message is one line for the user and names the file, layer or op.
    """
