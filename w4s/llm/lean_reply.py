"""Read one HTTP/1.1 reply from bytes as they come. Knows nothing of connections and requests."""

from __future__ import annotations

from dataclasses import dataclass

import httpx2

_LARGEST_HEAD = 64 * 1024
_LARGEST_BODY = 256 * 1024**2
_LONGEST_NUMBER = 18  # digits
_BODILESS = frozenset({204, 304})

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class LeanReply:
    """One reply, whole; its body as it was sent."""

    status: int
    headers: Headers
    body: bytes


class ReplyParser:
    """Collects one reply. Lengths, chunks, and bodies that end with the connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._length: int | None = None
        self._chunked = False
        self.status = 0
        self.headers: Headers = []
        self.body = b""
        self.keep_alive = True
        self.begun = False

    @property
    def reply(self) -> LeanReply:
        """What was read."""
        return LeanReply(self.status, self.headers, self.body)

    @property
    def ends_with_connection(self) -> bool:
        """Whether the end of the connection is the end of the body."""
        if self.status and self._length is None and not self._chunked:
            self.body = bytes(self._buffer)
            return True
        return False

    def feed(self, data: bytes) -> bool:
        """Take bytes; return whether the reply is whole."""
        self.begun = True
        self._buffer += data
        if not self.status and not self._read_head():
            return False
        if len(self._buffer) > _LARGEST_BODY:
            raise httpx2.RemoteProtocolError(f"a body of more than {_LARGEST_BODY} bytes")
        if self._chunked:
            return self._read_chunks()
        if self._length is None or len(self._buffer) < self._length:
            return False
        self.keep_alive = self.keep_alive and len(self._buffer) == self._length
        self.body = bytes(self._buffer[: self._length])
        return True

    def _read_head(self) -> bool:
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            lines = bytes(self._buffer[:end]).split(b"\r\n")
            del self._buffer[: end + 4]
            version, _, rest = lines[0].partition(b" ")
            if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
                raise httpx2.RemoteProtocolError(f"no HTTP reply: {lines[0][:40]!r}")
            if not 100 <= int(rest[:3]) < 200:
                self.status = int(rest[:3])
                self.headers = [_header(line) for line in lines[1:]]
                self._read_framing(version)
                return True
            # an interim reply: the real one follows
        if len(self._buffer) > _LARGEST_HEAD:
            raise httpx2.RemoteProtocolError("a head without an end")
        return False

    def _read_framing(self, version: bytes) -> None:
        known = {name.lower(): value for name, value in self.headers}
        connection = known.get(b"connection", b"").lower()
        keeps = connection == b"keep-alive" if version == b"HTTP/1.0" else connection != b"close"
        self._chunked = b"chunked" in known.get(b"transfer-encoding", b"").lower()
        length = known.get(b"content-length")
        if self.status in _BODILESS:
            self._length, self._chunked = 0, False
        elif length is not None and not self._chunked:
            if not length.isdigit() or len(length) > _LONGEST_NUMBER:
                raise httpx2.RemoteProtocolError(f"content-length {length[:20]!r}")
            self._length = int(length)
        self.keep_alive = keeps and (self._chunked or self._length is not None)

    def _read_chunks(self) -> bool:
        """Join the chunks once all of them are there."""
        parts: list[bytes] = []
        position = 0
        while True:
            end = self._buffer.find(b"\r\n", position)
            if end < 0:
                return False
            try:
                size = int(self._buffer[position:end].split(b";")[0], 16)
            except ValueError as error:
                raise httpx2.RemoteProtocolError("a chunk without a length") from error
            if size == 0:
                return self._read_trailers(end, b"".join(parts))
            if size < 0:
                raise httpx2.RemoteProtocolError("a chunk of negative length")
            start = end + 2
            position = start + size + 2
            if len(self._buffer) < position:
                return False
            parts.append(bytes(self._buffer[start : start + size]))

    def _read_trailers(self, end: int, body: bytes) -> bool:
        last = self._buffer.find(b"\r\n\r\n", end)
        if last < 0:
            return False
        self.keep_alive = self.keep_alive and len(self._buffer) == last + 4
        self.body = body
        self.headers = [pair for pair in self.headers if pair[0].lower() != b"transfer-encoding"]
        return True


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon:
        raise httpx2.RemoteProtocolError(f"no header: {line[:40]!r}")
    return name, value.strip()
