"""Keep the C library's heap small in a process that computes with tensors.

glibc gives each thread an arena of its own, where freed tensors stay: a process with thirty threads
held 2 GB that nothing used.
"""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8
_ARENAS = 2


def share_arenas() -> None:
    """Let all threads share two arenas from now on, where the C library is glibc."""
    option = getattr(ctypes.CDLL(None), "mallopt", None)
    if option is not None:
        option(_M_ARENA_MAX, _ARENAS)


def return_freed_memory() -> None:
    """Give the heap's free pages back to the system, where the C library is glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
