"""The parent's connection to one zygote: start it, ask for workers, learn how they ended.

Knows nothing of programs and results. Everything is done in callbacks of the event loop, since
hundreds of workers share one link.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from w4s.errors import SandboxError
from w4s.sandbox import bubblewrap
from w4s.sandbox.lockdown import Plan
from w4s.sandbox.zygote import MAX_PACKET

_START_SECONDS = 60.0
_STOP_SECONDS = 3.0
_FOLDER = Path(__file__).resolve().parent
_CHILD_NAMES = """
audit calls channel extract handle kernel landlock lockdown plain privileges program seccomp wire
worker zygote
"""
# the packages' own __init__ files stay out: the child must not import the program
_BOOT = """
import sys, types
package, sandbox, descriptor = sys.argv[1:]
for name, folder in (("w4s", package), ("w4s.sandbox", sandbox)):
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = [folder]
from w4s.sandbox.zygote import main
main(int(descriptor))
"""
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/",
    "LANG": "C.UTF-8",
    "MALLOC_ARENA_MAX": "2",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",  # the same order of sets in every run
}


@dataclass(frozen=True, slots=True)
class Exit:
    """How a worker ended. `code` is negative for a signal, None where its zygote was lost."""

    code: int | None
    cpu_seconds: float = 0.0
    memory_bytes: int = 0


class Link:
    """One zygote and its workers. Use `start`."""

    def __init__(
        self, control: socket.socket, process: subprocess.Popen[bytes], errors: IO[bytes]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._control = control
        self._process = process
        self._errors = errors
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._exits: dict[int, asyncio.Future[Exit]] = {}
        self._queue: deque[tuple[bytes, socket.socket | None]] = deque()
        self.alive = True
        self._loop.add_reader(control, self._readable)

    @property
    def process_id(self) -> int:
        """The process that was started: the zygote, or bubblewrap around it."""
        return self._process.pid

    @classmethod
    async def start(cls, plan: Plan, *, bound: Sequence[str] | None) -> Link:
        """Start a zygote and wait until it has imported everything. Raises SandboxError.

        With `bound`, it runs inside bubblewrap and sees just those paths.
        """
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control.setblocking(False)
        errors = tempfile.TemporaryFile()  # noqa: SIM115  # the link closes it
        with theirs:
            process = subprocess.Popen(
                _command(theirs.fileno(), bound),
                env=ENVIRONMENT,
                cwd="/",
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,  # an interrupt at the terminal is for the program alone
            )
        link = cls(control, process, errors)
        try:
            link._send(json.dumps(plan.to_json()).encode(), None)
            await asyncio.wait_for(link._ready, _START_SECONDS)
        except BaseException:
            await link.close()
            raise
        return link

    def spawn(
        self, number: int, *, memory_bytes: int, cpu_seconds: int, end: socket.socket
    ) -> asyncio.Future[Exit]:
        """Ask for a worker that speaks over `end`, which is closed; return how it will end."""
        future: asyncio.Future[Exit] = self._loop.create_future()
        if not self.alive:
            end.close()
            future.set_result(Exit(None))
            return future
        self._exits[number] = future
        self._send(b'{"run":%d,"limits":[%d,%d]}' % (number, memory_bytes, cpu_seconds), end)
        return future

    def kill(self, number: int) -> None:
        """Kill a worker if it still runs."""
        if self.alive and number in self._exits:
            self._send(b'{"kill":%d}' % number, None)

    async def close(self) -> None:
        """End the zygote and with it every worker."""
        self._lost()
        try:
            await asyncio.to_thread(self._process.wait, _STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
        self._errors.close()

    def _send(self, packet: bytes, end: socket.socket | None) -> None:
        self._queue.append((packet, end))
        if len(self._queue) == 1:
            self._flush()

    def _flush(self) -> None:
        while self._queue:
            packet, end = self._queue[0]
            try:
                if end is None:
                    self._control.send(packet)
                else:
                    socket.send_fds(self._control, [packet], [end.fileno()])
            except OSError as error:
                if error.errno == errno.ETOOMANYREFS:  # too many descriptors on their way
                    self._loop.call_later(0.001, self._flush)
                elif isinstance(error, BlockingIOError):
                    self._loop.add_writer(self._control, self._writable)
                else:
                    self._lost()
                return
            self._queue.popleft()
            if end is not None:
                end.close()

    def _writable(self) -> None:
        self._loop.remove_writer(self._control)
        self._flush()

    def _readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self.alive:
                try:
                    packet = self._control.recv(MAX_PACKET)
                except ConnectionError:
                    packet = b""
                if not packet:
                    self._lost()
                    return
                self._told(json.loads(packet))

    def _told(self, message: dict[str, int | float]) -> None:
        if "ready" in message:
            self._ready.set_result(None)
            return
        future = self._exits.pop(int(message["exit"]), None)
        if future is not None and not future.done():
            exit_ = Exit(int(message["code"]), float(message["cpu"]), int(message["memory"]))
            future.set_result(exit_)

    def _lost(self) -> None:
        if not self.alive:
            return
        self.alive = False
        self._loop.remove_reader(self._control)
        self._loop.remove_writer(self._control)
        self._control.close()
        for _, end in self._queue:
            if end is not None:
                end.close()
        self._queue.clear()
        for future in self._exits.values():
            if not future.done():
                future.set_result(Exit(None))
        self._exits.clear()
        if not self._ready.done():
            self._ready.set_exception(
                SandboxError(f"the sandbox did not start: {self._last_words()}")
            )

    def _last_words(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_SECONDS)
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:500] if lines else f"it ended with status {self._process.returncode}"


def _command(descriptor: int, bound: Sequence[str] | None) -> list[str]:
    interpreter = os.path.realpath(sys.executable)
    # no site, no user folder, no working directory on the path, no .pyc files; but the
    # environment counts, for the hash seed
    command = [interpreter, "-s", "-P", "-S", "-B", "-c", _BOOT]
    command += [str(_FOLDER.parent), str(_FOLDER), str(descriptor)]
    if bound is None:
        return command
    modules = [str(_FOLDER / f"{name}.py") for name in _CHILD_NAMES.split()]
    outer = bubblewrap.command(
        [interpreter, *bound, *modules], environment=ENVIRONMENT, root=os.geteuid() == 0
    )
    return [*outer, *command]
