"""The process that workers are forked from: clean environment, no threads, imports done.

Started afresh (never forked from the program), told a Plan first, then one request a worker.
Control messages are packets of JSON; a request carries the worker's end of its pipe. When the
program goes away, everything here ends.
"""

from __future__ import annotations

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
_WORKER_DESCRIPTOR = 3


class Zygote:
    """Forks a worker for each request and reports how it ended."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._parent = os.getppid()
        self._running: dict[int, int] = {}  # process id -> number of the run
        plan = Plan(**json.loads(control.recv(MAX_PACKET)))
        sys.path[:] = [folder for folder in sys.path if folder] + plan.search_path
        for name in plan.imports:
            _preload(name)
        self._readable = frozenset(map(os.path.realpath, plan.readable))
        self._lockdown = Lockdown(plan)
        self._wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def serve(self) -> None:
        """Answer requests until the parent has gone."""
        gc.collect()
        gc.freeze()
        gc.disable()
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
        for process in self._running:
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
            self._spawn(message["run"], WorkerLimits(*message["limits"]), descriptors[0])
            os.close(descriptors[0])
        return True

    def _spawn(self, number: int, limits: WorkerLimits, descriptor: int) -> None:
        try:
            process = os.fork()
        except OSError as error:
            self._tell({"exit": number, "code": 1, "cpu": 0.0, "memory": 0, "text": str(error)})
            return
        if process:
            self._running[process] = number
            return
        signal.set_wakeup_fd(-1)
        for number_ in (signal.SIGCHLD, signal.SIGINT):
            signal.signal(number_, signal.SIG_DFL)
        os.dup2(descriptor, _WORKER_DESCRIPTOR, inheritable=False)
        worker.main(
            _WORKER_DESCRIPTOR,
            lambda: self._lockdown.apply(
                descriptor=_WORKER_DESCRIPTOR, number=number, limits=limits
            ),
            readable=self._readable,
        )

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
            return  # a grandchild, where nothing keeps workers from forking
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
