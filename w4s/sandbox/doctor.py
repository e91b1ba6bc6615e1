"""Tell which layers of the sandbox hold on this machine, and what that leaves uncovered.

Starts a sandbox for it and attacks it, as every start does. Prints nothing: the command line does.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from w4s.errors import SandboxError
from w4s.sandbox import bubblewrap, landlock
from w4s.sandbox.host import ProcessSandbox
from w4s.sandbox.stack import Stack

_ALWAYS_OPEN = (
    "a fault of the kernel itself: only a virtual machine covers that",
    "total memory: it is workers times memory_mb, so bound the number of workers",
)
_METADATA = (
    "names, sizes and times of files can be asked for by path (not their contents): "
    "bubblewrap hides them"
)
_LISTED = (
    "the names of installed packages and the contents of the standard library, numpy and sympy"
    " can be read"
)
_SHARED_USER = (
    "programs run as your own user, so that seccomp and Landlock alone keep them from signalling "
    "your processes"
)
_ROOT_THREADS = "root's threads are bounded by memory alone: run as an ordinary user"
_OLD_LANDLOCK = "this Landlock (before 6) leaves signals and abstract sockets to seccomp alone"
_ONE_LAYER = "files are guarded by one layer only"


@dataclass(frozen=True, slots=True)
class LayerStatus:
    """One layer: whether it is in use, what it stops, and the reason or version."""

    name: str
    active: bool
    stops: str
    detail: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Whether generated code can run safely here, by which layers, and what they leave open.

    `problem` says why not, with what to install or configure, where `safe` is False.
    """

    safe: bool
    layers: tuple[LayerStatus, ...]
    uncovered: tuple[str, ...]
    problem: str | None


async def diagnose() -> Diagnosis:
    """Start the strongest sandbox of this machine, attack it and describe it."""
    try:
        async with ProcessSandbox(workers=1) as sandbox:
            stack = sandbox.stack
    except SandboxError as error:
        nothing = Stack(namespaces=False, landlock=False, seccomp=False, own_users=False)
        everything = ("everything: generated code is not run on this machine",)
        return Diagnosis(False, _layers(nothing), everything, str(error))
    return Diagnosis(True, _layers(stack), uncovered(stack), None)


def uncovered(stack: Stack) -> tuple[str, ...]:
    """Return what the layers of `stack` leave open, in words."""
    if not stack.isolated:
        return ("everything: generated code can do whatever your user can",)
    open_ = []
    if not stack.namespaces:
        open_.append(_METADATA)
    if not stack.own_users:
        open_.append(_SHARED_USER)
        if os.geteuid() == 0:
            open_.append(_ROOT_THREADS)
    if not (stack.landlock and stack.namespaces):
        open_.append(_ONE_LAYER)
    if stack.landlock and landlock.abi() < 6:
        open_.append(_OLD_LANDLOCK)
    return (*open_, _LISTED, *_ALWAYS_OPEN)


def _describe_wrapper(stack: Stack) -> str:
    path = bubblewrap.program()
    if path is None:
        return "optional, not installed (apt-get install bubblewrap)"
    return path if stack.namespaces else f"{path} does not work here: no user namespaces?"


def _layers(stack: Stack) -> tuple[LayerStatus, ...]:
    abi = landlock.abi()
    return (
        LayerStatus(
            "seccomp",
            stack.seccomp,
            "processes, sockets, signals, tracing and all system calls that are not needed",
            "an allow-list; everything else fails with EPERM",
        ),
        LayerStatus(
            "landlock",
            stack.landlock,
            "reading and writing files",
            f"version {abi} of the kernel" if abi else "the kernel does not offer it",
        ),
        LayerStatus(
            "bubblewrap",
            stack.namespaces,
            "seeing other files, processes and the network at all",
            _describe_wrapper(stack),
        ),
        LayerStatus(
            "users",
            stack.own_users,
            "reaching processes and files of root, and other programs",
            "each run as a user of its own" if stack.own_users else "only where w4s runs as root",
        ),
        LayerStatus(
            "rlimits", True, "using up memory, processor time, threads and descriptors", "always"
        ),
    )
