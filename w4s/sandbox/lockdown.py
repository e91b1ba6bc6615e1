"""The layers in the order in which a forked worker applies them.

A layer that does not take raises, and the worker ends before it has read a line of the program.
Which layers there are to apply is decided by the parent (`doctor`, `host`) and written in a Plan.
"""

from __future__ import annotations

import fcntl
import os
import signal
from dataclasses import asdict, dataclass, field
from typing import Any

from w4s.sandbox import kernel, landlock, privileges, seccomp

_RULESET_DESCRIPTOR = 40  # above the ones that a worker rearranges
_DESCRIPTORS_END = 1 << 16


@dataclass(frozen=True, slots=True)
class Plan:
    """What a zygote is told once: the layers of its workers and what it imports beforehand.

    An empty `bpf` is no seccomp, empty `read` no Landlock; `first_user` is None where workers
    stay who they are.
    """

    bpf: str = ""  # hexadecimal
    read: list[str] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)
    readable: list[str] = field(default_factory=list)  # what a program may open uncounted
    first_user: int | None = None
    users: int = 0
    may_read: bool = False
    search_path: list[str] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What the kernel enforces on one worker; processor time in whole seconds."""

    memory_bytes: int
    cpu_seconds: int


class Lockdown:
    """The layers of a plan, prepared once in the zygote: applying them takes microseconds."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._zygote = os.getpid()
        self._filter = seccomp.Filter(bytes.fromhex(plan.bpf)) if plan.bpf else None
        self._ruleset: int | None = None
        if plan.read:
            ruleset = landlock.create_ruleset(plan.read, plan.listed)
            self._ruleset = fcntl.fcntl(ruleset, fcntl.F_DUPFD_CLOEXEC, _RULESET_DESCRIPTOR)
            os.close(ruleset)
        self._tasks = privileges.task_limit(own_user=plan.first_user is not None)
        self._protect_zygote()
        self._base_bytes = privileges.address_space()

    def _protect_zygote(self) -> None:
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        # before it ceases to be dumpable: /proc/self is root's from then on
        with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
            file.write("1000")  # workers inherit it: the kernel takes them first
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        if os.geteuid() == 0:
            privileges.reduce_root(worker_group=self._plan.first_user)
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)

    def enter(self, *, number: int, descriptor: int) -> None:
        """Take the layers that do not depend on the run; only `descriptor` stays open.

        For a just forked process; it may still receive a descriptor. Raises OSError.
        """
        os.setsid()
        os.dup2(1, 2)  # the zygote's stderr is a file of the program's, its stdout is not
        kept = sorted({descriptor, self._ruleset if self._ruleset is not None else descriptor})
        _close_all_but(kept)
        if self._plan.first_user is not None:
            user = self._plan.first_user + number % self._plan.users
            privileges.become(user, may_read=self._plan.may_read)
        # after the change of user, which clears it
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._zygote:
            os._exit(1)  # it died before the line above
        if self._ruleset is not None:
            landlock.restrict(self._ruleset)
            os.close(self._ruleset)

    def seal(self, limits: WorkerLimits) -> None:
        """Take the limits of the run and the last layer. Raises OSError."""
        privileges.limit_resources(
            memory_bytes=self._base_bytes + limits.memory_bytes,
            cpu_seconds=limits.cpu_seconds,
            tasks=self._tasks,
        )
        if self._filter is not None:
            self._filter.load()


def _close_all_but(kept: list[int]) -> None:
    low = 3
    for descriptor in kept:
        if descriptor > low:
            os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, _DESCRIPTORS_END)
