"""A worker that frees memory and asks for it again is given pages that it has touched."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

_CODE = """
import resource
from sweep.execution.freed_memory import keep_freed_memory

keep_freed_memory()
bytearray(b"x") * 2**26
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
bytearray(b"x") * 2**26
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc")
def test_freed_memory_is_used_again() -> None:
    command = [sys.executable, "-c", _CODE]
    faults = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert faults < 1000  # 16384 pages
