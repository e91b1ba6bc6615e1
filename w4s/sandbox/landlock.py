"""Landlock rules: which files a locked worker may read.

It may read the standard library and a few named packages, and list the folders that an import
searches; nothing else, and it may write nowhere. Newer kernels also refuse TCP, abstract
sockets and signals to processes outside. What Landlock never hides is metadata (stat).
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from w4s.sandbox import kernel

# one number on every processor
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1
_WRITE_FILE, _READ_FILE, _READ_DIR = 2, 4, 8
_TRUNCATE, _TRUNCATE_SINCE = 1 << 14, 3
_NET_TCP = 3  # bind, connect
_SCOPES = 3  # abstract unix sockets, signals

PACKAGES = ("numpy", "numpy.libs", "sympy", "mpmath", "gmpy2", "gmpy2.libs")
_SITE_FOLDERS = ("site-packages", "dist-packages")
_SYSTEM_PATHS = (
    "/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/dev/null",
    "/dev/urandom",
)


class _RulesetAttribute(ctypes.Structure):
    _fields_ = (
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("descriptor", ctypes.c_int32))


def abi() -> int:
    """Return the version of Landlock that this kernel offers, 0 for none."""
    if sys.platform != "linux":
        return 0
    version = kernel.syscall(
        _CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION_FLAG)
    )
    return max(version, 0)


def readable_paths(search_path: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return (paths whose files may be read, folders whose names may be listed).

    `search_path` are the site folders on `sys.path`. Because a site folder may lie inside the
    standard library's, that one is granted entry by entry.
    """
    library = Path(sysconfig.get_paths()["stdlib"]).resolve()
    entries = sorted(entry for entry in library.iterdir() if entry.name not in _SITE_FOLDERS)
    packages = [Path(folder, name) for folder in search_path for name in PACKAGES]
    # libraries beside the interpreter, as conda and /usr/local have them
    shared = sorted(library.parent.glob("lib*.so*"))
    read = [*entries, *packages, *shared, *map(Path, _SYSTEM_PATHS)]
    return [str(path) for path in dict.fromkeys(read) if path.exists()], [
        str(library),
        *search_path,
    ]


def create_ruleset(read: Sequence[str], listed: Sequence[str]) -> int:
    """Return the descriptor of a ruleset that allows just these paths. Raises OSError."""
    version = abi()
    if version < 1:
        raise OSError(errno.ENOSYS, "Landlock is not available")
    attribute = _RulesetAttribute(_handled_files(version), _NET_TCP, _SCOPES)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    descriptor = kernel.check(
        kernel.syscall(
            _CREATE_RULESET, ctypes.byref(attribute), ctypes.c_size_t(size), ctypes.c_uint(0)
        ),
        "landlock_create_ruleset",
    )
    for path in read:
        _allow(descriptor, path, _READ_FILE | _READ_DIR)
    for path in listed:
        _allow(descriptor, path, _READ_DIR)
    # programs silence themselves with open(os.devnull, "w")
    _allow(descriptor, "/dev/null", _WRITE_FILE | (_TRUNCATE if version >= _TRUNCATE_SINCE else 0))
    return descriptor


def restrict(descriptor: int) -> None:
    """Bind the calling thread to the ruleset for good; needs no_new_privs. Raises OSError."""
    result = kernel.syscall(_RESTRICT_SELF, ctypes.c_int(descriptor), ctypes.c_uint(0))
    kernel.check(result, "landlock_restrict_self")


def _handled_files(version: int) -> int:
    handled = (1 << 13) - 1
    for since, bit in ((2, 13), (3, 14), (5, 15)):  # rename across folders, truncate, device ioctl
        if version >= since:
            handled |= 1 << bit
    return handled


def _allow(ruleset: int, path: str, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # nothing to read is nothing to allow
    try:
        if not os.path.isdir(path):  # noqa: PTH112  # a worker's zygote imports no more than it needs
            access &= ~_READ_DIR
        rule = _PathBeneath(access, descriptor)
        result = kernel.syscall(
            _ADD_RULE,
            ctypes.c_int(ruleset),
            ctypes.c_int(_RULE_PATH_BENEATH),
            ctypes.byref(rule),
            ctypes.c_uint(0),
        )
        kernel.check(result, f"landlock_add_rule {path}")
    finally:
        os.close(descriptor)
