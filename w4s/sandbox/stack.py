"""The combinations of layers that are safe, strongest first, and what each leaves open.

A combination is only a wish here; `probe` attacks it before it is used.
"""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from w4s.sandbox import bubblewrap, landlock, privileges, seccomp
from w4s.sandbox.lockdown import Plan

_NAMES = """
abc array ast asyncio base64 bisect calendar cmath collections concurrent.futures contextlib
copy dataclasses datetime decimal difflib enum fractions functools hashlib heapq inspect io
itertools json math numbers operator os pprint queue random re statistics string struct
textwrap threading time traceback types typing unicodedata uuid
"""
_STANDARD_IMPORTS = tuple(_NAMES.split())
_HEAVY_IMPORTS = ("numpy", "numpy.random", "numpy.linalg", "sympy")


@dataclass(frozen=True, slots=True)
class Stack:
    """Layers that go together; `isolated` is False only for a machine declared disposable."""

    namespaces: bool
    landlock: bool
    seccomp: bool
    own_users: bool

    @property
    def isolated(self) -> bool:
        """Whether a hostile program is held."""
        return self.seccomp and (self.landlock or self.namespaces)

    @property
    def name(self) -> str:
        """The layers' names, e.g. `bubblewrap + rlimits + landlock + seccomp`."""
        names = [
            "bubblewrap" if self.namespaces else "",
            "rlimits",
            "users" if self.own_users else "",
            "landlock" if self.landlock else "",
            "seccomp" if self.seccomp else "",
        ]
        return " + ".join(name for name in names if name)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything a link needs to start zygotes of one stack."""

    light: Plan
    heavy: Plan
    bound: list[str] | None


def candidates() -> tuple[list[Stack], list[str]]:
    """Return the stacks worth a try, strongest first, and why layers are missing."""
    missing = []
    if sys.platform != "linux":
        return [], [f"{platform.system()} has no Landlock and no seccomp: use a Linux container"]
    filter_missing = seccomp.supported()
    if filter_missing:
        missing.append(f"seccomp: {filter_missing}")
    files = landlock.abi() >= 1
    if not files:
        missing.append("landlock: this kernel does not offer it (Linux 5.13 or newer does)")
    wrapped = bubblewrap.program() is not None
    if not wrapped:
        missing.append("bubblewrap: not installed")
    users = os.geteuid() == 0 and privileges.worker_ids() is not None
    if filter_missing:
        return [], missing
    stacks = [
        Stack(namespaces, landlock_, True, own_users)
        for namespaces in (True, False)
        for landlock_ in (True, False)
        for own_users in (True, False)
        if (wrapped or not namespaces) and (files or not landlock_) and (users or not own_users)
        if namespaces or landlock_
    ]
    return stacks, missing


def bare() -> Stack:
    """Return the stack without isolation, for a machine that is itself disposable."""
    return Stack(namespaces=False, landlock=False, seccomp=False, own_users=False)


def recipe(stack: Stack) -> Recipe:
    """Return the plans of a stack's zygotes. Raises OSError or RuntimeError without its layers."""
    search_path = _site_folders()
    read, listed = landlock.readable_paths(search_path)
    users = privileges.worker_ids() if stack.own_users else None
    light = Plan(
        bpf=seccomp.compile_filter().hex() if stack.seccomp else "",
        read=read if stack.landlock else [],
        listed=listed if stack.landlock else [],
        readable=[*read, *listed],
        first_user=users.first if users else None,
        users=users.count if users else 0,
        may_read=bool(users) and stack.landlock and not _public(read),
        search_path=search_path,
        imports=list(_STANDARD_IMPORTS),
    )
    heavy = replace(light, imports=[*_STANDARD_IMPORTS, *_HEAVY_IMPORTS])
    return Recipe(light, heavy, read if stack.namespaces else None)


def _site_folders() -> list[str]:
    names = ("site-packages", "dist-packages")
    return [os.path.realpath(path) for path in sys.path if Path(path).name in names]


def _public(paths: list[str]) -> bool:
    """Whether an ordinary user can reach and read all the paths."""
    for text in paths:
        path = Path(text)
        if not path.stat().st_mode & 0o004:
            return False
        if not all(parent.stat().st_mode & 0o001 for parent in path.parents):
            return False
    return True
