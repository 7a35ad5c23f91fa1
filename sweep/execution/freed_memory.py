"""Memory that a worker frees stays with it."""

from __future__ import annotations

import contextlib
import ctypes

__all__ = ["keep_freed_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of <malloc.h>


def keep_freed_memory() -> None:
    """Let the C library keep up to 2 GiB that this process frees, in pieces below 1 GiB.

    A step of a wide stack needs tensors of over 32 MiB. By default glibc maps these anew each time,
    and the kernel has to clear every page. Does nothing where there is no glibc.
    """
    with contextlib.suppress(AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, 2**30)
        library.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
