"""HTTP/1.1 without frills for plain `http://` addresses: a pool of kept-alive connections.

A transport for the HTTP client, several times cheaper for each request than the general
one. It follows no redirects, speaks to no proxy and no TLS: other
addresses keep the general transport.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping

import httpx2

_LARGEST_HEAD = 64 * 1024
_LARGEST_BODY = 256 * 1024**2
_BODILESS = frozenset({204, 304})

Headers = list[tuple[bytes, bytes]]


class LeanTransport(httpx2.AsyncBaseTransport):
    """Sends each request as one write and reads each reply as a whole.

    Raises httpx2's ConnectError, ConnectTimeout, ReadError, ReadTimeout and RemoteProtocolError.
    """

    def __init__(self) -> None:
        self._idle: dict[tuple[str, int], deque[_Connection]] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the whole reply to `request`."""
        address = (request.url.host, request.url.port or 80)
        head, body = _head(request), await request.aread()
        timeout = request.extensions.get("timeout", {})
        while True:
            connection, used = await self._connection(address, timeout, request)
            try:
                async with asyncio.timeout(timeout.get("read")):
                    status, headers, content = await connection.ask(head + body)
            except TimeoutError as error:
                connection.abort()
                raise httpx2.ReadTimeout("no reply in time", request=request) from error
            except _ClosedUnused as error:
                if used:  # the server closed an idle connection: not this request's fault
                    continue
                raise httpx2.ReadError("closed without a reply", request=request) from error
            except ConnectionError as error:
                raise httpx2.ReadError(str(error) or "closed", request=request) from error
            except _BadReply as error:
                connection.abort()
                raise httpx2.RemoteProtocolError(str(error), request=request) from error
            except BaseException:
                connection.abort()
                raise
            if connection.reusable:
                self._idle.setdefault(address, deque()).append(connection)
            return httpx2.Response(status, headers=headers, content=content, request=request)

    async def aclose(self) -> None:
        """Close the idle connections."""
        for connections in self._idle.values():
            for connection in connections:
                connection.abort()
        self._idle.clear()

    async def _connection(
        self, address: tuple[str, int], timeout: Mapping[str, float], request: httpx2.Request
    ) -> tuple[_Connection, bool]:
        """Return an open connection, and whether it was used before."""
        idle = self._idle.get(address)
        while idle:
            connection = idle.pop()
            if connection.reusable:
                return connection, True
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout.get("connect")):
                _, connection = await loop.create_connection(_Connection, *address)
        except TimeoutError as error:
            raise httpx2.ConnectTimeout("no connection in time", request=request) from error
        except OSError as error:
            raise httpx2.ConnectError(str(error), request=request) from error
        return connection, False


class _BadReply(Exception):
    """What came is not HTTP/1.1."""


class _ClosedUnused(Exception):
    """The connection closed before a byte of the reply came."""


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = _Parser()
        self._reply: asyncio.Future[tuple[int, Headers, bytes]] | None = None
        self._open = False

    @property
    def reusable(self) -> bool:
        """Whether another request may be sent."""
        return self._open and self._reply is None

    def ask(self, data: bytes) -> asyncio.Future[tuple[int, Headers, bytes]]:
        """Send a request; the future is its reply."""
        reply: asyncio.Future[tuple[int, Headers, bytes]]
        reply = asyncio.get_running_loop().create_future()
        if self._transport is None or self._transport.is_closing():
            self._open = False
            reply.set_exception(_ClosedUnused())
        else:
            self._reply, self._parser = reply, _Parser()
            self._transport.write(data)
        return reply

    def abort(self) -> None:
        """Close at once."""
        self._open = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._open = transport, True

    def data_received(self, data: bytes) -> None:
        if self._reply is None:  # nobody asked: no server of ours does that
            self.abort()
            return
        try:
            whole = self._parser.feed(data)
        except _BadReply as error:
            self._fail(error)
            return
        if whole:
            self._succeed()

    def connection_lost(self, error: Exception | None) -> None:
        self._open = False
        if self._reply is None:
            return
        if self._parser.ends_with_connection and error is None:
            self._succeed()
        elif self._parser.begun:
            self._fail(ConnectionError(f"closed in the middle of a reply {error or ''}".strip()))
        else:
            self._fail(_ClosedUnused())

    def _succeed(self) -> None:
        reply, self._reply = self._reply, None
        self._open = self._open and self._parser.keep_alive
        if not self._open and self._transport is not None:
            self._transport.close()
        if reply is not None and not reply.done():
            reply.set_result((self._parser.status, self._parser.headers, self._parser.body))

    def _fail(self, error: Exception) -> None:
        reply, self._reply = self._reply, None
        self._open = False
        if reply is not None and not reply.done():
            reply.set_exception(error)


class _Parser:
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
            raise _BadReply(f"a body of more than {_LARGEST_BODY} bytes")
        if self._chunked:
            return self._read_chunks()
        if self._length is None or len(self._buffer) < self._length:
            return False
        self.keep_alive = self.keep_alive and len(self._buffer) == self._length
        self.body = bytes(self._buffer[: self._length])
        return True

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _LARGEST_HEAD:
                raise _BadReply("a head without an end")
            return False
        lines = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + 4]
        version, _, rest = lines[0].partition(b" ")
        if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
            raise _BadReply(f"no HTTP reply: {lines[0][:40]!r}")
        status = int(rest[:3])
        if 100 <= status < 200:  # an interim reply: the real one follows
            return self._read_head()
        self.status = status
        self.headers = [_header(line) for line in lines[1:]]
        self._read_framing(version)
        return True

    def _read_framing(self, version: bytes) -> None:
        known = {name.lower(): value for name, value in self.headers}
        connection = known.get(b"connection", b"").lower()
        keeps = connection == b"keep-alive" if version == b"HTTP/1.0" else connection != b"close"
        self._chunked = b"chunked" in known.get(b"transfer-encoding", b"").lower()
        length = known.get(b"content-length")
        if self.status in _BODILESS:
            self._length, self._chunked = 0, False
        elif length is not None and not self._chunked:
            if not length.isdigit():
                raise _BadReply(f"content-length {length[:20]!r}")
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
                raise _BadReply("a chunk without a length") from error
            if size == 0:
                return self._read_trailers(end, b"".join(parts))
            start = end + 2
            position = start + size + 2
            if size < 0 or len(self._buffer) < position:
                return False
            parts.append(bytes(self._buffer[start : start + size]))

    def _read_trailers(self, end: int, body: bytes) -> bool:
        if self._buffer[end : end + 4] != b"\r\n\r\n" and b"\r\n\r\n" not in self._buffer[end:]:
            return False
        self.body = body
        self.headers = [pair for pair in self.headers if pair[0].lower() != b"transfer-encoding"]
        return True


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon:
        raise _BadReply(f"no header: {line[:40]!r}")
    return name, value.strip()


def _head(request: httpx2.Request) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [b"%s: %s" % header for header in request.headers.raw]
    return b"\r\n".join(lines) + b"\r\n\r\n"
