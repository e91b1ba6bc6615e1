"""Thin wrappers around the Linux calls that the standard library does not offer.

Decides nothing: which layers are applied, and in which order, is `lockdown`'s matter.
"""

from __future__ import annotations

import ctypes
import functools
import os

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_CAPBSET_DROP = 24
PR_SET_SECUREBITS = 28
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

CAP_DAC_READ_SEARCH = 2
CAP_KILL = 5
CAP_SETGID = 6
CAP_SETUID = 7

_CAPABILITY_VERSION_3 = 0x20080522
_LAST_POSSIBLE_CAPABILITY = 63
_CAPABILITY_HEADER = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)


def check(result: int, what: str) -> int:
    """Return `result`, or raise OSError with the call's errno where it is negative."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def prctl(option: int, argument: int = 0) -> int:
    """Call prctl(2). Raises OSError."""
    return check(_libc.prctl(option, argument, 0, 0, 0), "prctl")


def syscall(number: int, *arguments: object) -> int:
    """Call syscall(2) with ctypes values and return its result, negative on failure."""
    return int(_libc.syscall(ctypes.c_long(number), *arguments))


def set_capabilities(*kept: int) -> None:
    """Keep just these capabilities, permitted and effective. Raises OSError."""
    check(_libc.capset(_CAPABILITY_HEADER, _capability_words(*kept)), "capset")


@functools.cache
def _capability_words(*kept: int) -> object:
    mask = sum(1 << capability for capability in kept)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    return (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)


def drop_bounding_set() -> None:
    """Give up every capability for whatever is executed later; needs CAP_SETPCAP."""
    for capability in range(_LAST_POSSIBLE_CAPABILITY + 1):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:  # past the last capability of this kernel, or not permitted
            return
