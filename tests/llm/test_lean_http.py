"""The lean client against servers that reply in every way that HTTP/1.1 allows."""

from __future__ import annotations

import asyncio
import base64
import gzip
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx2
import pytest

from w4s.llm.endpoint import Address
from w4s.llm.lean_http import LeanClient
from w4s.llm.transport import chat_client

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\n"
PLAIN = OK + b"Content-Length: 5\r\n\r\nhello"


@asynccontextmanager
async def serving(
    *replies: Sequence[bytes], close_after: int | None = None
) -> AsyncIterator[tuple[str, list[int]]]:
    """Serve the replies in turn, each in pieces; yields the address and requests by connection."""
    waiting = list(replies)
    served: list[int] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        index = len(served)
        served.append(0)
        while waiting:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            served[index] += 1
            for piece in waiting.pop(0):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.005)
            if close_after == served[index]:
                break
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/v1", served
    finally:
        server.close()


@asynccontextmanager
async def client(url: str, seconds: float = 5.0) -> AsyncIterator[LeanClient]:
    http = LeanClient(httpx2.URL(url), httpx2.Headers(), connect_seconds=1.0, seconds=seconds)
    yield http
    await http.close()


@pytest.mark.parametrize(
    "pieces",
    [
        [PLAIN],
        [PLAIN[:7], PLAIN[7:30], PLAIN[30:]],
        [OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n", b"3;x=y\r\nl", b"lo\r\n0\r\n\r\n"],
        [OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nTrailer: x\r\n", b"\r\n"],
        [b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN],
    ],
    ids=["plain", "pieces", "chunks", "trailers", "continue"],
)
async def test_every_framing_gives_the_body_and_keeps_the_connection(pieces: list[bytes]) -> None:
    """Two requests in a row read the right bytes from one connection."""
    async with serving(pieces, pieces) as (url, served), client(url) as http:
        for _ in range(2):
            reply = await http.post(b"{}")
            assert (reply.status, reply.body) == (200, b"hello")
        assert served == [2]


async def test_a_compressed_body_is_read_as_what_it_means() -> None:
    """Nobody asked for one, but a proxy on the way may send it."""
    packed = gzip.compress(b"hello", mtime=0)
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    async with serving([head, packed]) as (url, _):
        http = chat_client(Address(url), connections=1, connect_seconds=1.0, seconds=5.0)
        assert await http.post({}) == b"hello"
        await http.close()


async def test_a_request_says_all_that_a_server_needs() -> None:
    """Path with query, host, length, and a user of the address instead of the key."""
    heads: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(PLAIN)

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    address = Address(f"http://me:pass@127.0.0.1:{port}/v1?version=2", "the-key")
    http = chat_client(address, connections=1, connect_seconds=1.0, seconds=5.0)
    await http.post({"n": 1})
    await http.close()
    server.close()
    first, *rest = heads[0].decode().strip().split("\r\n")
    named = dict(line.lower().split(": ", 1) for line in rest)
    assert first == "POST /v1/chat/completions?version=2 HTTP/1.1"
    assert named["host"] == f"127.0.0.1:{port}"
    assert named["content-length"] == "7"
    assert named["content-type"] == "application/json"
    assert named["authorization"] == f"basic {base64.b64encode(b'me:pass').decode().lower()}"


@pytest.mark.parametrize("head", [OK, OK + b"Connection: close\r\n", b"HTTP/1.0 200 OK\r\n"])
async def test_a_body_may_end_with_the_connection(head: bytes) -> None:
    """The next request then opens another one."""
    replies = [[head + b"\r\nhel", b"lo"]] * 2
    async with serving(*replies, close_after=1) as (url, served), client(url) as http:
        for _ in range(2):
            assert (await http.post(b"{}")).body == b"hello"
        assert served == [1, 1]


async def test_an_idle_connection_that_was_closed_is_replaced() -> None:
    """A server that ends idle connections costs no error."""
    async with serving([PLAIN], [PLAIN], close_after=1) as (url, served), client(url) as http:
        await http.post(b"{}")
        await http.post(b"{}")
        assert served == [1, 1]


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        ([PLAIN[:-2]], httpx2.ReadError),
        ([OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel"], httpx2.ReadError),
        ([b""], httpx2.ReadError),
        ([b"SSH-2.0-nonsense\r\n\r\n"], httpx2.RemoteProtocolError),
        ([OK + b"Content-Length: -5\r\n\r\n"], httpx2.RemoteProtocolError),
        ([OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n"], httpx2.RemoteProtocolError),
        ([OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n"], httpx2.RemoteProtocolError),
        ([OK + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n"], httpx2.RemoteProtocolError),
        ([b"HTTP/1.1 100 \r\n\r\n" * 3000], httpx2.ReadError),
    ],
)
async def test_what_is_no_whole_reply_is_an_error(
    pieces: list[bytes], error: type[Exception]
) -> None:
    """Never half a body."""
    async with serving(pieces, close_after=1) as (url, _), client(url) as http:
        with pytest.raises(error):
            await http.post(b"{}")


async def test_a_slow_reply_times_out_and_its_connection_is_not_used_again() -> None:
    """A late reply can never be taken for the next request's."""
    async with serving([b"", b"", PLAIN], [PLAIN]) as (url, served), client(url, 0.004) as http:
        with pytest.raises(httpx2.ReadTimeout):
            await http.post(b"{}")
        http._seconds = 5.0
        assert (await http.post(b"{}")).body == b"hello"
        assert served == [1, 1]


async def test_nobody_at_the_address_is_a_connect_error() -> None:
    """The engine tells it from a reply that went wrong."""
    async with client("http://127.0.0.1:9/v1") as http:
        with pytest.raises(httpx2.ConnectError):
            await http.post(b"{}")


async def test_a_connection_that_is_just_closing_is_not_used() -> None:
    """A server that goes away between two requests: the second one takes a new connection."""
    async with serving([PLAIN], [PLAIN]) as (url, served), client(url) as http:
        await http.post(b"{}")
        (idle,) = http._idle
        assert idle._transport is not None
        idle._transport.abort()  # the loop will tell the connection only in its next round
        assert idle.reusable
        assert (await http.post(b"{}")).body == b"hello"
    assert served == [1, 1]


async def test_a_request_is_sent_anew_by_itself_once_at_most() -> None:
    """A server that takes requests and answers none is not asked over every idle connection."""
    asked = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while await reader.read(4096):
            asked += 1
            if asked > 3:
                break
            await asyncio.sleep(0.02)
            writer.write(PLAIN)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with client(f"http://127.0.0.1:{port}/v1") as http:
        await asyncio.gather(*(http.post(b"{}") for _ in range(3)))
        with pytest.raises(httpx2.ReadError):
            await http.post(b"{}")
    server.close()
    assert asked == 3 + 2


async def test_a_connection_that_was_idle_for_long_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What lies between may have forgotten it, and would swallow the request."""
    async with serving([PLAIN], [PLAIN]) as (url, served), client(url) as http:
        await http.post(b"{}")
        monkeypatch.setattr("w4s.llm.lean_http._IDLE_SECONDS", 0.0)
        await http.post(b"{}")
        assert served == [1, 1]


async def test_what_follows_the_last_chunk_is_not_taken_for_the_next_reply() -> None:
    """Bytes that nobody asked for end the connection's use."""
    chunks = OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nrest"
    async with serving([chunks], [PLAIN]) as (url, served), client(url) as http:
        for _ in range(2):
            assert (await http.post(b"{}")).body == b"hello"
        assert served == [1, 1]


async def test_what_can_be_no_host_is_a_connect_error() -> None:
    """As a name that nobody knows."""
    async with client("http://a..b/v1") as http:
        with pytest.raises(httpx2.ConnectError):
            await http.post(b"{}")


async def test_a_proxy_of_the_environment_is_asked_for_others_but_not_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the general client does, except that an own server is never asked through one."""
    async with serving([PLAIN]) as (proxy, asked), serving([PLAIN]) as (own, served):
        monkeypatch.setenv("http_proxy", proxy.removesuffix("/v1"))
        for url in ("http://far.invalid/v1", own):
            http = chat_client(Address(url), connections=1, connect_seconds=1.0, seconds=5.0)
            assert await http.post({}) == b"hello"
            await http.close()
        assert (asked, served) == ([1], [1])
