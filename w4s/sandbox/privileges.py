"""Resource limits and privileges that a forked worker gives up for good.

Works before any untrusted code runs; every step raises OSError where it does not take.
"""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass

from w4s.sandbox import kernel

_WIDE_MAP = 4_294_967_295  # the initial user namespace maps every id
_WIDE_BASE = 0x60000000  # far from any id that a system hands out
_WIDE_COUNT = 65_536
_NARROW_COUNT = 512
_NOBODY = 65_534
_OPEN_FILES = 64
_OWN_TASKS = 128  # threads of one worker that has a user of its own
_SHARED_TASKS = 1_024  # threads beyond those that the user already has


@dataclass(frozen=True, slots=True)
class IdRange:
    """User ids that workers take in turn, so that none can reach another."""

    first: int
    count: int


def worker_ids() -> IdRange | None:
    """Return ids that root can hand out in this user namespace, or None where it has none."""
    with open("/proc/self/uid_map") as file:  # noqa: PTH123  # runs in the zygote, too
        spans = [tuple(map(int, line.split())) for line in file]
    for inside, _, count in spans:
        if count == _WIDE_MAP:
            return IdRange(_WIDE_BASE, _WIDE_COUNT)
        if count > _NOBODY // 2:  # the top end, below nobody
            return IdRange(inside + count - _NARROW_COUNT - 8, _NARROW_COUNT)
    return None


def limit_resources(*, memory_bytes: int, cpu_seconds: int, tasks: int) -> None:
    """Bound address space, processor time, tasks and descriptors; forbid files and core dumps."""
    _lower(resource.RLIMIT_AS, memory_bytes)
    _lower(resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 1)
    _lower(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _lower(resource.RLIMIT_NPROC, tasks)
    for nothing in (
        resource.RLIMIT_FSIZE,
        resource.RLIMIT_CORE,
        resource.RLIMIT_MEMLOCK,
        resource.RLIMIT_MSGQUEUE,
    ):
        _lower(nothing, 0)


def task_limit(*, own_user: bool) -> int:
    """Return a bound for RLIMIT_NPROC, which counts all threads of the user."""
    if own_user:
        return _OWN_TASKS
    user = os.getuid()
    return _SHARED_TASKS + sum(
        _threads(entry)
        for entry in os.listdir("/proc")  # noqa: PTH208  # names are all it needs
        if _is_of(entry, user)
    )


def become(user: int, *, may_read: bool) -> None:
    """Turn the zygote's root into `user` without capabilities, its group being another already.

    `may_read` keeps CAP_DAC_READ_SEARCH, for an interpreter that only root can read; what may
    be read is then Landlock's to say alone.
    """
    if may_read:
        kernel.prctl(kernel.PR_SET_KEEPCAPS, 1)
    os.setresuid(user, user, user)
    if os.getresuid() != (user,) * 3 or 0 in os.getresgid() or os.getgroups():
        raise PermissionError("the change of user did not take")
    if may_read:
        kernel.set_capabilities(kernel.CAP_DAC_READ_SEARCH)
        kernel.prctl(kernel.PR_SET_KEEPCAPS, 0)


def reduce_root(*, worker_group: int | None) -> None:
    """Reduce root to what a zygote needs; with `worker_group` it can turn workers into others."""
    kernel.drop_bounding_set()
    if worker_group is not None:
        os.setgroups([])
        os.setresgid(worker_group, worker_group, worker_group)
        kernel.set_capabilities(kernel.CAP_SETUID, kernel.CAP_KILL, kernel.CAP_DAC_READ_SEARCH)
    else:
        kernel.set_capabilities()


def address_space() -> int:
    """Return the size of this process's address space in bytes."""
    with open("/proc/self/statm") as file:  # noqa: PTH123  # runs in the zygote
        return int(file.read().split()[0]) * resource.getpagesize()


def _lower(which: int, soft: int, hard: int | None = None) -> None:
    hard = soft if hard is None else hard
    ceiling = resource.getrlimit(which)[1]
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(which, (soft, hard))


def _is_of(entry: str, user: int) -> bool:
    try:
        return entry.isdigit() and os.stat(f"/proc/{entry}").st_uid in (user, 0)  # noqa: PTH116
    except OSError:  # it has ended
        return False


def _threads(entry: str) -> int:
    try:
        return len(os.listdir(f"/proc/{entry}/task"))  # noqa: PTH208
    except OSError:  # it has ended
        return 0
