"""The child's end of the pipe to the parent: thread-safe calls, notes, one final result.

Everything sent here is untrusted for the parent, which checks it again.
"""

from __future__ import annotations

import itertools
import os
import threading
from typing import Any

from w4s.sandbox import wire

_MAX_NOTES = 200


class MessageTooLongError(ValueError):
    """A message is longer than one message may be."""


class Channel:
    """Frames over one descriptor; any number of threads may call at once."""

    def __init__(self, descriptor: int) -> None:
        self.message_bytes = 1 << 30
        self._descriptor = descriptor
        self._write_lock = threading.Lock()
        self._start_lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, _Reply] = {}
        self._reading = False
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
        """Return the next message of the parent. Raises EOFError where it has gone."""
        import json

        (length,) = wire.HEADER.unpack(self._read(wire.HEADER.size))
        return json.loads(self._read(length))

    def call(self, operation: str, arguments: dict[str, Any]) -> Any:
        """Send a call and wait for its answer. Raises RuntimeError with the parent's text."""
        number, reply = next(self._numbers), _Reply()
        self._waiting[number] = reply
        with self._start_lock:
            if not self._reading:
                threading.Thread(target=self._answer, daemon=True, name="replies").start()
                self._reading = True
        self.send({"op": "call", "id": number, "name": operation, "arguments": arguments})
        reply.arrived.acquire()
        if "error" in reply.message:
            raise RuntimeError(reply.message["error"])
        return reply.message["value"]

    def _answer(self) -> None:
        try:
            while True:
                message = self.receive()
                reply = self._waiting.pop(message["id"])
                reply.message = message
                reply.arrived.release()
        finally:
            os._exit(3)  # the parent has gone, or this process is out of memory

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

    def _read(self, length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            chunk = os.read(self._descriptor, min(length - len(data), 1 << 20))
            if not chunk:
                raise EOFError("the parent has closed the channel")
            data += chunk
        return bytes(data)


class _Reply:
    """An answer that a thread waits for."""

    __slots__ = ("arrived", "message")

    def __init__(self) -> None:
        self.arrived = threading.Lock()
        self.arrived.acquire()
        self.message: dict[str, Any] = {}
