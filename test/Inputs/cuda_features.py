# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""lit's features of the machine's GPUs."""

import subprocess


def detect():
    """`cuda`: there is one; `sm90`: one has compute capability 9.0."""
    try:
        capabilities = subprocess.run(
            ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=20).stdout.split()
    except (OSError, subprocess.TimeoutExpired):
        return set()
    return ({"cuda"} if capabilities else set()) | (
        {"sm90"} if any(c.startswith("9.") for c in capabilities) else set())
