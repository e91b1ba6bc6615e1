"""The parent's end of one run: frames in, answers out, and the first thing that ends it.

Trusts nothing that arrives. Does not know how the process is started or how it died.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from w4s.errors import SandboxError
from w4s.sandbox import wire
from w4s.sandbox.base import Handler, HandlerError, LimitHit, Limits
from w4s.sandbox.calls import check_call
from w4s.types import Failure, FailureKind

_CHUNK = 1 << 18
_MAX_NOTES = 1_000
_MAX_ERROR = 2_000
_ESCAPED = 6  # as \u0000


@dataclass(frozen=True, slots=True)
class Ending:
    """The last word of a run: the child's report, a failure seen here, or neither (it died)."""

    report: Mapping[str, Any] | None = None
    failure: Failure | None = None


def longest_message(limits: Limits) -> int:
    """Return the bytes of the longest frame: a message, and output whose every byte is escaped."""
    return limits.message_bytes + _ESCAPED * limits.output_bytes


class Session:
    """Talks to one child over a socket until `ended` is set."""

    def __init__(
        self,
        end: socket.socket,
        *,
        handler: Handler | None,
        limits: Limits,
        begun: Callable[[], None],
    ) -> None:
        """Talk over `end`; `begun` is called, maybe more than once, when the program shows life."""
        end.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._end = end
        self._descriptor = end.fileno()
        self._handler = handler
        self._limits = limits
        self._begun = begun
        self._incoming = bytearray()
        self._outgoing = bytearray()
        self._writing = False  # whether the loop tells when the child reads on
        self._locked = False
        self._cut = False  # whether the child died with something unsent or unread
        self._notes = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.ended: asyncio.Future[Ending] = self._loop.create_future()
        self.calls = 0
        self.refused: list[str] = []
        self._own_left = limits.wall_seconds
        self._waiting_left = limits.waiting_seconds
        self._since = self._loop.time()
        self._timer = self._loop.call_later(self._own_left, self._expired)
        self._loop.add_reader(self._descriptor, self._readable)
        self._readable()  # a worker of the stock has said already that it is locked

    @property
    def unheard(self) -> bool:
        """Whether the child ended before it had all of its program, so that no line of it ran."""
        return not self.calls and (self._cut or not self._locked)

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one frame of the program's own making, now or as soon as the child reads."""
        self.send_body(json.dumps(message).encode())

    def send_body(self, body: bytes) -> None:
        """Send a frame whose JSON is written already."""
        waiting = bool(self._outgoing)
        self._outgoing += wire.HEADER.pack(len(body)) + body
        if not waiting:
            self._writable()

    async def close(self) -> None:
        """Cut the connection and wait until every unanswered call is cancelled."""
        self._timer.cancel()
        if self._end.fileno() >= 0:
            self._loop.remove_reader(self._descriptor)
            self._stop_writing()
            self._end.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    # -------------------------------------------------------------- ends

    def _finish(self, ending: Ending) -> None:
        self._begun()
        if not self.ended.done():
            self.ended.set_result(ending)
            self._timer.cancel()
            self._loop.remove_reader(self._descriptor)

    def _fail(self, kind: FailureKind, text: str) -> None:
        self._finish(Ending(failure=Failure(kind, text)))

    def _expired(self) -> None:
        text = f"not finished within {self._limits.wall_seconds:g} seconds"
        self._fail(FailureKind.WALL_TIME, text)

    def _unanswered(self) -> None:
        text = f"no reply to its calls within {self._limits.waiting_seconds:g} seconds"
        self._fail(FailureKind.EXECUTOR, text)

    # -------------------------------------------------------------- bytes

    def _readable(self) -> None:
        try:
            data = self._end.recv(_CHUNK)
        except BlockingIOError:
            return
        except ConnectionError:  # it died with unread data
            self._cut = True
            data = b""
        if not data:
            self._finish(Ending())
            return
        self._incoming += data
        try:
            while not self.ended.done() and (body := self._next_frame()) is not None:
                self._frame(wire.decode(body))
        except wire.WireError as error:
            self._fail(FailureKind.PROTOCOL, str(error))

    def _next_frame(self) -> bytes | None:
        size = wire.HEADER.size
        if len(self._incoming) < size:
            return None
        (length,) = wire.HEADER.unpack_from(self._incoming)
        longest = longest_message(self._limits)
        if length > longest:
            raise wire.WireError(f"a message of {length} bytes; {longest} are allowed")
        if len(self._incoming) < size + length:
            return None
        body = bytes(self._incoming[size : size + length])
        del self._incoming[: size + length]
        return body

    def _writable(self) -> None:
        if self._end.fileno() < 0:
            return
        try:
            while self._outgoing:
                del self._outgoing[: self._end.send(self._outgoing[:_CHUNK])]
        except BlockingIOError:
            self._writing = True
            self._loop.add_writer(self._descriptor, self._writable)
            return
        except ConnectionError:  # it has died; reading will tell
            self._cut = True
            self._outgoing.clear()
        self._stop_writing()

    def _stop_writing(self) -> None:
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._descriptor)

    # -------------------------------------------------------------- messages

    def _frame(self, message: dict[str, Any]) -> None:
        operation = message.get("op")
        if not self._locked:
            self._first(operation, message)
            return
        self._begun()
        if operation == "call":
            self._call(message)
        elif operation in ("done", "failed"):
            self._finish(Ending(report=message))
        elif operation == "refused":
            self._note(message)
        elif operation == "full":
            text = f"printed more than {self._limits.output_bytes} bytes"
            self._fail(FailureKind.OUTPUT, text)
        else:
            raise wire.WireError(f"a message of the unknown kind {str(operation)[:100]!r}")

    def _first(self, operation: object, message: dict[str, Any]) -> None:
        # before any line of the program has run, so this much can be believed
        if operation != "locked":
            text = f"a layer of the sandbox did not take: {message.get('text')}"
            self.ended.set_exception(SandboxError(text))
            return
        self._locked = True

    def _note(self, message: dict[str, Any]) -> None:
        self._notes += 1
        if self._notes > _MAX_NOTES:
            raise wire.WireError(f"more than {_MAX_NOTES} notes")
        self.refused.append(str(message.get("what"))[:300])

    def _call(self, message: dict[str, Any]) -> None:
        number = message.get("id")
        if type(number) is not int or self._handler is None:
            raise wire.WireError("a call without a number, or where none is answered")
        arguments = check_call(message.get("name"), message.get("arguments"))
        self.calls += 1
        if self.calls > self._limits.calls:
            text = f"more than {self._limits.calls} calls for one problem"
            self._fail(FailureKind.CALLS, text)
            return
        if not self._tasks:
            self._wait()
        task = self._loop.create_task(
            self._answer(self._handler, number, str(message["name"]), arguments)
        )
        self._tasks.add(task)
        task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._tasks and not self.ended.done():
            self._go_on()

    def _wait(self) -> None:
        # the program does not answer for the executor's time: an outage is no fault of it
        self._own_left = max(0.0, self._own_left - self._elapsed())
        self._timer = self._loop.call_later(self._waiting_left, self._unanswered)

    def _go_on(self) -> None:
        self._waiting_left = max(0.0, self._waiting_left - self._elapsed())
        self._timer = self._loop.call_later(self._own_left, self._expired)

    def _elapsed(self) -> float:
        """Stop the clock that runs and return its seconds."""
        self._timer.cancel()
        start, self._since = self._since, self._loop.time()
        return self._since - start

    async def _answer(
        self, handler: Handler, number: int, name: str, arguments: dict[str, Any]
    ) -> None:
        try:
            self.send({"id": number, "value": await handler(name, arguments)})
        except HandlerError as error:
            self.send({"id": number, "error": str(error)[:_MAX_ERROR]})
        except LimitHit as hit:
            self._finish(Ending(failure=hit.failure))
        except Exception as error:  # noqa: BLE001  # handed on to whoever awaits the run
            if not self.ended.done():
                self.ended.set_exception(error)
