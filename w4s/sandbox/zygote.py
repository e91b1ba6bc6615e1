"""The process that workers are forked from: clean environment, no threads, imports done.

Started afresh (never forked from the program), told a Plan first, then one order a worker: its
limits, and its end of the pipe. A worker locks itself at once and waits there for its program.
When the program that gives the orders goes away, everything here ends.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` turns every number into an enum and back: many pages to copy
import builtins
import contextlib
import gc
import importlib
import json
import os
import posix
import select
import socket
import struct
import sys
from typing import Any

from w4s.sandbox import audit, worker
from w4s.sandbox.lockdown import Lockdown, Plan, WorkerLimits

LONGEST_PLAN = 1 << 17
READY = b"ready"
RUN = struct.Struct("=IQI")  # its number, bytes of memory, seconds of processor time
KILL = struct.Struct("=I")  # its number
EXIT = struct.Struct("=IidQ")  # its number, code, seconds of processor time, bytes of memory
MOST_EXITS = 64  # of one packet

_LONGEST_ORDER = 64
_DESCRIPTOR = socket.CMSG_SPACE(4)
_POLL_MILLISECONDS = 1_000


class Zygote:
    """Forks a worker for each order and reports how it ended."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._parent = os.getppid()
        self._running: dict[int, int] = {}  # process id -> number of the run
        # begins anywhere: other zygotes of the machine give out the same users
        self._forks = int.from_bytes(os.urandom(4), sys.byteorder)
        plan = Plan(**json.loads(control.recv(LONGEST_PLAN)))
        sys.path[:] = [folder for folder in sys.path if folder] + plan.search_path
        for name in plan.imports:
            _preload(name)
        os.register_at_fork = posix.register_at_fork
        # without `site` they are missing
        builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]  # as good for programs
        worker.rehearse()
        self._watch = audit.prepare(readable=frozenset(map(os.path.realpath, plan.readable)))
        self._lockdown = Lockdown(plan)
        self._confined = bool(plan.bpf)
        self._wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        _signal.set_wakeup_fd(wake)
        _signal.signal(_signal.SIGCHLD, lambda *_: None)
        _signal.signal(_signal.SIGINT, _signal.SIG_IGN)

    def serve(self) -> None:
        """Obey orders until the parent has gone."""
        gc.collect()
        gc.freeze()
        gc.disable()
        self._control.send(READY)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while os.getppid() == self._parent:
            for descriptor, _ in poll.poll(_POLL_MILLISECONDS):
                if descriptor == self._wake:
                    self._reap()
                elif not self._obey():
                    return

    def end(self) -> None:
        """Kill every worker and leave."""
        for process in self._running:
            os.kill(process, _signal.SIGKILL)
        os._exit(0)

    def _obey(self) -> bool:
        order, sent, _, _ = self._control.recvmsg(_LONGEST_ORDER, _DESCRIPTOR)
        if not order:
            return False
        if len(order) == KILL.size:
            self._kill(*KILL.unpack(order))
            return True
        number, memory_bytes, cpu_seconds = RUN.unpack(order)
        end = int.from_bytes(sent[0][2], sys.byteorder)
        self._fork(number, WorkerLimits(memory_bytes, cpu_seconds), end)
        os.close(end)
        return True

    def _fork(self, number: int, limits: WorkerLimits, end: int) -> None:
        self._forks += 1
        try:
            process = os.fork()
        except OSError as error:  # no process to be had
            sys.stderr.write(f"fork: {error}\n")
            self._control.send(EXIT.pack(number, 1, 0.0, 0))
            return
        if process == 0:
            try:
                worker.main(end, lambda: self._lock(end, limits), watch=self._watch)
            finally:
                os._exit(1)  # nothing of the zygote's own may run in a worker
        self._running[process] = number

    def _lock(self, end: int, limits: WorkerLimits) -> None:
        """Take every layer in a just forked process. Raises OSError."""
        _signal.set_wakeup_fd(-1)
        for number in (_signal.SIGCHLD, _signal.SIGINT):
            _signal.signal(number, _signal.SIG_DFL)
        self._lockdown.enter(number=self._forks, descriptor=end)
        self._lockdown.seal(limits)

    def _kill(self, number: int) -> None:
        # not reaped yet, so the process id cannot be another's
        for process, run in self._running.items():
            if run == number:
                os.kill(process, _signal.SIGKILL)

    def _reap(self) -> None:
        reports: list[bytes] = []
        with contextlib.suppress(BlockingIOError, ChildProcessError):  # all reaped
            os.read(self._wake, 4096)
            while True:
                process, status, usage = os.wait4(-1, os.WNOHANG)
                if process == 0:
                    break
                reports += self._report(process, status, usage)
        for start in range(0, len(reports), MOST_EXITS):
            self._control.send(b"".join(reports[start : start + MOST_EXITS]))

    def _report(self, process: int, status: int, usage: Any) -> list[bytes]:
        number = self._running.pop(process, None)
        if number is None:  # a grandchild, where nothing keeps workers from forking
            return []
        if not self._confined:  # nothing has kept it from starting others
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process, _signal.SIGKILL)
        cpu_seconds = round(usage.ru_utime + usage.ru_stime, 6)
        code = os.waitstatus_to_exitcode(status)
        return [EXIT.pack(number, code, cpu_seconds, usage.ru_maxrss * 1024)]


def _preload(name: str) -> None:
    try:
        importlib.import_module(name)
    except ImportError:
        return  # a program that imports it will see the same error


def main(descriptor: int) -> None:
    """Run a zygote that is controlled over the socket `descriptor`. Never returns."""
    zygote = Zygote(socket.socket(fileno=descriptor))
    try:
        zygote.serve()
    except (BrokenPipeError, ConnectionResetError):
        pass  # the parent has gone
    finally:
        zygote.end()
