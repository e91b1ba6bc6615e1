"""The process that workers are forked from: clean environment, no threads, imports done.

Started afresh (never forked from the program), told a Plan first, then one request a worker.
Control messages are packets of JSON; a request carries the worker's end of its pipe. When the
program goes away, everything here ends.
"""

from __future__ import annotations

import builtins
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from typing import Any

from w4s.sandbox import worker
from w4s.sandbox.lockdown import Lockdown, Plan, WorkerLimits

MAX_PACKET = 1 << 17
_POLL_MILLISECONDS = 1_000


class _Spare:
    """A worker that is forked and nearly locked, and waits for its run."""

    def __init__(self, process: int, order: socket.socket) -> None:
        self.process, self.order = process, order


class Zygote:
    """Gives each request a worker, forked ahead of it, and reports how the worker ended."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._parent = os.getppid()
        self._running: dict[int, int] = {}  # process id -> number of the run
        self._spare: _Spare | None = None
        self._forks = 0
        plan = Plan(**json.loads(control.recv(MAX_PACKET)))
        sys.path[:] = [folder for folder in sys.path if folder] + plan.search_path
        for name in plan.imports:
            _preload(name)
        # without `site` they are missing
        builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]  # as good for programs
        worker.rehearse()
        self._readable = frozenset(map(os.path.realpath, plan.readable))
        self._lockdown = Lockdown(plan)
        self._confined = bool(plan.bpf)
        self._wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def serve(self) -> None:
        """Answer requests until the parent has gone."""
        gc.collect()
        gc.freeze()
        gc.disable()
        self._spare = self._fork()
        self._tell({"ready": os.getpid()})
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while os.getppid() == self._parent:
            for descriptor, _ in poll.poll(_POLL_MILLISECONDS):
                if descriptor == self._wake:
                    self._reap()
                elif not self._request():
                    return

    def end(self) -> None:
        """Kill every worker and leave."""
        for process in [*self._running, *([self._spare.process] if self._spare else [])]:
            os.kill(process, signal.SIGKILL)
        os._exit(0)

    def _request(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._control, MAX_PACKET, 1)
        if not data:
            return False
        message = json.loads(data)
        if "kill" in message:
            self._kill(message["kill"])
        else:
            self._spawn(message["run"], json.dumps(message["limits"]).encode(), descriptors[0])
            os.close(descriptors[0])
        return True

    def _spawn(self, number: int, order: bytes, descriptor: int) -> None:
        try:
            spare = self._hand_over(order, descriptor)
        except OSError as error:  # no process to be had
            sys.stderr.write(f"fork: {error}\n")
            self._tell({"exit": number, "code": 1, "cpu": 0.0, "memory": 0})
            return
        self._running[spare.process] = number

    def _hand_over(self, order: bytes, descriptor: int) -> _Spare:
        spare, self._spare = self._spare or self._fork(), None
        with spare.order:
            try:
                socket.send_fds(spare.order, [order], [descriptor])
            except BrokenPipeError:  # killed while it waited
                fresh = self._fork()
                with fresh.order:
                    socket.send_fds(fresh.order, [order], [descriptor])
                spare = fresh
        with contextlib.suppress(OSError):  # then the next request tries again
            self._spare = self._fork()
        return spare

    def _fork(self) -> _Spare:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._forks += 1
        process = os.fork()
        if process == 0:
            try:
                self._wait_for_run(theirs)
            finally:
                os._exit(1)  # nothing of the zygote's own may run in a worker
        theirs.close()
        return _Spare(process, ours)

    def _wait_for_run(self, order: socket.socket) -> None:
        """Enter the layers, wait for limits and pipe of a run, and run it. Never returns."""
        refusal: OSError | None = None
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            try:
                self._lockdown.enter(number=self._forks, descriptor=order.fileno())
            except OSError as error:
                refusal = error
            data, descriptors, _, _ = socket.recv_fds(order, MAX_PACKET, 1)
            if not data:
                os._exit(0)
            order.close()
        except OSError:
            os._exit(1)
        worker.main(
            descriptors[0],
            lambda: self._seal(refusal, WorkerLimits(*json.loads(data))),
            readable=self._readable,
        )

    def _seal(self, refusal: OSError | None, limits: WorkerLimits) -> None:
        if refusal is not None:
            raise refusal
        self._lockdown.seal(limits)

    def _kill(self, number: int) -> None:
        # not reaped yet, so the process id cannot be another's
        for process, run in self._running.items():
            if run == number:
                os.kill(process, signal.SIGKILL)

    def _reap(self) -> None:
        try:
            os.read(self._wake, 4096)
            while True:
                process, status, usage = os.wait4(-1, os.WNOHANG)
                if process == 0:
                    return
                self._report(process, status, usage)
        except (BlockingIOError, ChildProcessError):
            return  # all reaped

    def _report(self, process: int, status: int, usage: Any) -> None:
        number = self._running.pop(process, None)
        if number is None:
            if self._spare is not None and self._spare.process == process:
                self._spare.order.close()
                self._spare = None
            return  # or a grandchild, where nothing keeps workers from forking
        if not self._confined:  # nothing has kept it from starting others
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process, signal.SIGKILL)
        report = {"exit": number, "code": os.waitstatus_to_exitcode(status)}
        cpu = round(usage.ru_utime + usage.ru_stime, 6)
        self._tell(report | {"cpu": cpu, "memory": usage.ru_maxrss * 1024})

    def _tell(self, message: dict[str, Any]) -> None:
        self._control.send(json.dumps(message).encode())


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
