"""HTTP/1.1 without frills: posts to one plain `http://` address, over kept-alive connections.

Several times cheaper for each request than a general client. It follows no redirects, speaks to
no proxy and no TLS: other addresses keep the general client.
"""

from __future__ import annotations

import asyncio
import base64

import httpx2

from w4s.llm.lean_reply import LeanReply, ReplyParser

_IDLE_SECONDS = 60.0  # after them a firewall on the way may have forgotten the connection


class LeanClient:
    """Sends each request as one write and reads each reply as a whole.

    `headers` go with every request; a user in `url` stands before them. Connecting may take
    `connect_seconds`, a whole post `seconds`.
    """

    def __init__(
        self, url: httpx2.URL, headers: httpx2.Headers, *, connect_seconds: float, seconds: float
    ) -> None:
        self._address = (url.raw_host.decode(), url.port or 80)
        self._head = _head(url, headers)
        self._connect_seconds = connect_seconds
        self._seconds = seconds
        self._idle: list[_Connection] = []

    async def post(self, body: bytes) -> LeanReply:
        """Return the whole reply to `body`.

        Raises httpx2's ConnectError, ConnectTimeout, ReadError, ReadTimeout and
        RemoteProtocolError.
        """
        data = b"%s%d\r\n\r\n%s" % (self._head, len(body), body)
        deadline = asyncio.get_running_loop().time() + self._seconds
        connection = self._used()
        while True:
            used = connection is not None
            if connection is None:
                connection = await self._connected()
            try:
                reply = await connection.ask(data, deadline)
            except _ClosedUnused as error:
                if used:  # the server closed an idle connection: not this request's fault
                    connection = None  # another idle one might be closed as well
                    continue
                raise httpx2.ReadError("closed without a reply") from error
            except ConnectionError as error:
                raise httpx2.ReadError(str(error) or "closed") from error
            except BaseException:
                connection.abort()
                raise
            if connection.reusable:
                connection.idle_since = asyncio.get_running_loop().time()
                self._idle.append(connection)
            return reply

    async def close(self) -> None:
        """Close the idle connections."""
        for connection in self._idle:
            connection.abort()
        self._idle.clear()

    def _used(self) -> _Connection | None:
        oldest = asyncio.get_running_loop().time() - _IDLE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable and connection.idle_since > oldest:
                return connection
            connection.abort()
        return None

    async def _connected(self) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(min(self._connect_seconds, self._seconds)):
                _, connection = await loop.create_connection(_Connection, *self._address)
        except TimeoutError as error:
            raise httpx2.ConnectTimeout("no connection in time") from error
        except (OSError, UnicodeError) as error:  # the latter for what can be no host's name
            raise httpx2.ConnectError(str(error)) from error
        return connection


class _ClosedUnused(Exception):
    """The connection closed before a byte of the reply came."""


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = ReplyParser()
        self._reply: asyncio.Future[LeanReply] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._open = False
        self.idle_since = 0.0

    @property
    def reusable(self) -> bool:
        """Whether another request may be sent."""
        return self._open and self._reply is None

    def ask(self, data: bytes, deadline: float) -> asyncio.Future[LeanReply]:
        """Send a request; the future is its reply, or ReadTimeout at the loop's time `deadline`."""
        reply: asyncio.Future[LeanReply] = self._loop.create_future()
        if self._transport is None or self._transport.is_closing():
            self._open = False
            reply.set_exception(_ClosedUnused())
        else:
            self._reply, self._parser = reply, ReplyParser()
            self._timer = self._loop.call_at(deadline, self._expired)
            self._transport.write(data)
        return reply

    def abort(self) -> None:
        """Close at once."""
        self._open = False
        self._taken()
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
        except httpx2.RemoteProtocolError as error:
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

    def _expired(self) -> None:
        self._fail(httpx2.ReadTimeout("no reply in time"))

    def _succeed(self) -> None:
        reply, parser = self._taken(), self._parser
        self._open = self._open and parser.keep_alive
        if not self._open and self._transport is not None:
            self._transport.close()
        if reply is not None and not reply.done():
            reply.set_result(parser.reply)

    def _fail(self, error: Exception) -> None:
        reply = self._taken()
        self._open = False
        if reply is not None and not reply.done():
            reply.set_exception(error)

    def _taken(self) -> asyncio.Future[LeanReply] | None:
        """Stop waiting; return who waited."""
        reply, self._reply = self._reply, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return reply


def _head(url: httpx2.URL, headers: httpx2.Headers) -> bytes:
    """Return everything before the length of the body."""
    request = httpx2.Request("POST", url, headers=headers)
    request.headers.pop("content-length", None)
    if url.username or url.password:
        user = f"{url.username}:{url.password}".encode()
        request.headers["authorization"] = f"Basic {base64.b64encode(user).decode()}"
    lines = [b"POST %s HTTP/1.1" % url.raw_path]
    lines += [b"%s: %s" % header for header in request.headers.raw]
    return b"\r\n".join([*lines, b"Content-Length: "])
