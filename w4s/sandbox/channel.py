"""The child's end of the pipe to the parent: thread-safe calls, notes, one final result.

Everything sent here is untrusted for the parent, which checks it again.
"""

from __future__ import annotations

import json
import os
import threading
from typing import Any

from w4s.sandbox import wire

_MAX_NOTES = 200
_CHUNK = 1 << 14


class MessageTooLongError(ValueError):
    """A message is longer than one message may be."""


class ParentGoneError(EOFError):
    """The parent has closed its end."""


class Channel:
    """Frames over one descriptor; any number of threads may call at once.

    No thread of its own reads: of those that wait for an answer, one reads for all, and hands
    that on when it has its own.
    """

    def __init__(self, descriptor: int) -> None:
        self.message_bytes = 1 << 30
        self._descriptor = descriptor
        self._write_lock = threading.Lock()
        self._turn_lock = threading.Lock()
        self._last = 0
        self._waiting: dict[int, _Reply] = {}
        self._led = False  # whether one of those who wait reads
        self._incoming = bytearray()
        self._notes: list[bytes] = []
        self._notes_left = _MAX_NOTES

    def send(self, message: dict[str, Any]) -> None:
        """Send one frame. Raises MessageTooLongError, ValueError, TypeError or OSError."""
        frame = wire.encode(message)
        if len(frame) - wire.HEADER.size > self.message_bytes:
            text = f"a message of {len(frame)} bytes; {self.message_bytes} are allowed"
            raise MessageTooLongError(text)
        with self._write_lock:
            self._write(frame)
            self._write_notes()
        self._flush_notes()

    def note(self, message: dict[str, Any]) -> None:
        """Send one frame without ever waiting for another thread, or itself, to finish sending."""
        if self._notes_left <= 0:
            return
        self._notes_left -= 1
        self._notes.append(wire.encode(message))
        self._flush_notes()

    def receive(self) -> Any:
        """Return the next message of the parent. Raises ParentGoneError."""
        size = wire.HEADER.size
        (length,) = wire.HEADER.unpack_from(self._read(size))
        body = bytes(self._read(size + length)[size : size + length])
        del self._incoming[: size + length]
        return json.loads(body)

    def call(self, operation: str, arguments: dict[str, Any]) -> Any:
        """Send a call and wait for its answer. Raises RuntimeError with the parent's text."""
        reply = _Reply()
        with self._turn_lock:
            self._last = number = self._last + 1
            self._waiting[number] = reply
            reply.leads, self._led = not self._led, True
        try:
            self.send({"op": "call", "id": number, "name": operation, "arguments": arguments})
            if not reply.leads:
                reply.woken.acquire()
            while reply.message is None:
                self._deliver()
        finally:
            self._leave(number, reply)
        if "error" in reply.message:
            raise RuntimeError(reply.message["error"])
        return reply.message["value"]

    def _deliver(self) -> None:
        """Read one answer and wake who waits for it."""
        try:
            message = self.receive()
        except (ParentGoneError, ConnectionError, MemoryError):
            os._exit(3)  # nobody is there to be told
        with self._turn_lock:
            reply = self._waiting.pop(message["id"], None)
        if reply is None:  # it waits no more: a signal handler of the program raised
            return
        reply.message = message
        if not reply.leads:  # else it is this thread's own, perhaps woken to read already
            reply.woken.release()

    def _leave(self, number: int, reply: _Reply) -> None:
        """Wait no more; let another one read, where it was this one's part."""
        with self._turn_lock:
            self._waiting.pop(number, None)
            if reply.leads:
                following = next(iter(self._waiting.values()), None)
                self._led = following is not None
                if following is not None:
                    following.leads = True
                    following.woken.release()

    def _flush_notes(self) -> None:
        while self._notes and self._write_lock.acquire(blocking=False):
            try:
                self._write_notes()
            finally:
                self._write_lock.release()

    def _write_notes(self) -> None:
        while self._notes:
            self._write(self._notes.pop(0))

    def _write(self, frame: bytes) -> None:
        rest = memoryview(frame)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def _read(self, length: int) -> bytearray:
        """Return what has come, at least `length` bytes, without taking it away."""
        # kept here whatever happens: a signal handler of the program may raise in between
        while len(self._incoming) < length:
            chunk = os.read(self._descriptor, _CHUNK)
            if not chunk:
                raise ParentGoneError("the parent has closed the channel")
            self._incoming += chunk
        return self._incoming


class _Reply:
    """An answer that a thread waits for; `woken` when it is there, or when it is to read."""

    __slots__ = ("leads", "message", "woken")

    def __init__(self) -> None:
        self.woken = threading.Lock()
        self.woken.acquire()
        self.message: Any = None
        self.leads = False
