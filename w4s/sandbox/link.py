"""The parent's connection to one zygote: start it, ask for workers, learn how they ended.

Workers are asked for ahead of need: one that is taken is locked already and waits for its
program. Knows nothing of programs and results. Everything is done in callbacks of the event
loop, since hundreds of workers share one link.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import json
import socket
import subprocess
import tempfile
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from w4s.errors import SandboxError
from w4s.sandbox.launch import ENVIRONMENT, command
from w4s.sandbox.lockdown import Plan
from w4s.sandbox.zygote import EXIT, KILL, MOST_EXITS, READY, RUN

_START_SECONDS = 60.0
_STOP_SECONDS = 3.0
_REFILL_SECONDS = 0.02  # after the last one was taken: those that run come first
_MOST_AHEAD = 64  # of the same limits
_MOST_STOCKS = 3


@dataclass(frozen=True, slots=True)
class Exit:
    """How a worker ended. `code` is negative for a signal, None where its zygote was lost."""

    code: int | None
    cpu_seconds: float = 0.0
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that waits for its program at the other side of `end`, and how it will end."""

    number: int
    end: socket.socket
    exited: asyncio.Future[Exit]


class _Stock:
    """Workers of the same limits that wait for a program."""

    def __init__(self, memory_bytes: int, cpu_seconds: int) -> None:
        self.memory_bytes, self.cpu_seconds = memory_bytes, cpu_seconds
        self.workers: deque[Worker] = deque()
        self.wanted = 1


class Link:
    """One zygote and its workers. Use `start`."""

    def __init__(
        self,
        control: socket.socket,
        process: subprocess.Popen[bytes],
        errors: IO[bytes],
        *,
        most_ahead: int,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._control = control
        self._process = process
        self._errors = errors
        self._most_ahead = min(most_ahead, _MOST_AHEAD)
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._numbers = itertools.count(1)
        self._exits: dict[int, asyncio.Future[Exit]] = {}
        self._stocks: dict[tuple[int, int], _Stock] = {}  # the last used one last
        self._refilling: asyncio.TimerHandle | None = None
        self._queue: deque[tuple[bytes, socket.socket | None]] = deque()
        self.alive = True
        self._loop.add_reader(control, self._readable)

    @property
    def process_id(self) -> int:
        """The process that was started: the zygote, or bubblewrap around it."""
        return self._process.pid

    @classmethod
    async def start(cls, plan: Plan, *, bound: Sequence[str] | None, most_ahead: int = 1) -> Link:
        """Start a zygote and wait until it has imported everything. Raises SandboxError.

        With `bound`, it runs inside bubblewrap and sees just those paths. As many workers as
        ran at once are kept ready, but no more than `most_ahead`.
        """
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control.setblocking(False)
        errors = tempfile.TemporaryFile()  # noqa: SIM115  # the link closes it
        with theirs:
            process = subprocess.Popen(
                command(theirs.fileno(), bound),
                env=ENVIRONMENT,
                cwd="/",
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,  # an interrupt at the terminal is for the program alone
            )
        link = cls(control, process, errors, most_ahead=most_ahead)
        try:
            link._send(json.dumps(plan.to_json()).encode(), None)
            await asyncio.wait_for(link._ready, _START_SECONDS)
        except BaseException:
            await link.close()
            raise
        return link

    def take(self, *, memory_bytes: int, cpu_seconds: int) -> Worker:
        """Return a worker of these limits, from the stock where it has one."""
        stock = self._stock_of(memory_bytes, cpu_seconds)
        self._refill_soon()
        while stock.workers:
            worker = stock.workers.popleft()
            if not worker.exited.done():
                return worker
            worker.end.close()  # it was killed while it waited
        stock.wanted = min(self._most_ahead, stock.wanted + 1)
        try:
            return self._spawn(stock)
        except OSError:  # no descriptors to be had
            self.shed()
            return self._spawn(stock)

    def prepare(self, *, memory_bytes: int, cpu_seconds: int) -> None:
        """Get as many workers of these limits ready as may be kept."""
        self._stock_of(memory_bytes, cpu_seconds).wanted = self._most_ahead
        self._refill_soon()

    def shed(self) -> None:
        """End those that wait: what they hold is needed by programs that are there."""
        for stock in self._stocks.values():
            self._drop(stock)
            stock.wanted = 0

    @property
    def waiting(self) -> int:
        """How many workers wait for a program."""
        return sum(len(stock.workers) for stock in self._stocks.values())

    def _stock_of(self, memory_bytes: int, cpu_seconds: int) -> _Stock:
        key = memory_bytes, cpu_seconds
        stock = self._stocks.pop(key, None) or _Stock(memory_bytes, cpu_seconds)
        self._stocks[key] = stock
        if len(self._stocks) > _MOST_STOCKS:
            self._drop(self._stocks.pop(next(iter(self._stocks))))
        return stock

    def _drop(self, stock: _Stock) -> None:
        for worker in stock.workers:
            worker.end.close()  # which ends it
        stock.workers.clear()

    def _refill_soon(self) -> None:
        if self._refilling is not None:
            self._refilling.cancel()
        self._refilling = self._loop.call_later(_REFILL_SECONDS, self._refill)

    def _refill(self) -> None:
        self._refilling = None
        for stock in self._stocks.values():
            try:
                while self.alive and len(stock.workers) < stock.wanted:
                    stock.workers.append(self._spawn(stock))
            except OSError:  # the last descriptors are for programs that are there
                stock.wanted = len(stock.workers)

    def _spawn(self, stock: _Stock) -> Worker:
        ours, theirs = socket.socketpair()
        worker = Worker(next(self._numbers), ours, self._loop.create_future())
        if not self.alive:
            theirs.close()
            worker.exited.set_result(Exit(None))
            return worker
        self._exits[worker.number] = worker.exited
        order = RUN.pack(worker.number, stock.memory_bytes, stock.cpu_seconds)
        self._send(order, theirs)
        return worker

    def kill(self, number: int) -> None:
        """Kill a worker if it still runs."""
        if self.alive and number in self._exits:
            self._send(KILL.pack(number), None)

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
                    packet = self._control.recv(MOST_EXITS * EXIT.size)
                except ConnectionError:
                    packet = b""
                if not packet:
                    self._lost()
                    return
                if packet == READY:
                    self._ready.set_result(None)
                    continue
                for number, *ended in EXIT.iter_unpack(packet):
                    future = self._exits.pop(number, None)
                    if future is not None and not future.done():
                        future.set_result(Exit(*ended))

    def _lost(self) -> None:
        if not self.alive:
            return
        self.alive = False
        if self._refilling is not None:
            self._refilling.cancel()
        for stock in self._stocks.values():
            self._drop(stock)
        self._stocks.clear()
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
