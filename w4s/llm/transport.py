"""Chat completions over HTTP: one pool of connections, kept alive, and nothing done twice.

The `openai` client would build every request from nothing, which takes longer than all the rest
of a call. Tries once; knows no limits.
"""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx2

from w4s.llm.endpoint import Address
from w4s.llm.faults import RefusedRequest
from w4s.llm.lean_http import LeanClient

_SPARE_CONNECTIONS = 8
_KEEPALIVE_SECONDS = 60.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class ChatClient(Protocol):
    """Posts chat completions to one address."""

    async def post(self, body: Mapping[str, Any]) -> bytes:
        """Return the reply's content, decoded.

        Raises RefusedRequest for another status than 2xx, TimeoutError, and httpx2's errors.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


def chat_client(
    address: Address, *, connections: int, connect_seconds: float, seconds: float
) -> ChatClient:
    """Return a client for `address` that holds `connections` at once and keeps them open.

    Plain `http://` goes over lean connections, unless a proxy is configured for it. This
    machine's own servers are never asked through a proxy, whatever the environment says. A whole
    call may take `seconds`.
    """
    base = httpx2.URL(address.base_url)
    url = base.copy_with(path=f"{base.path.rstrip('/')}/chat/completions")
    headers = httpx2.Headers(
        {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": "w4s",
            **address.headers,
        }
    )
    parts = urlsplit(address.base_url)
    local = parts.scheme == "http" and parts.hostname in _LOOPBACK
    proxied = not local and bool(urllib.request.getproxies().keys() & {"http", "all"})
    if parts.scheme == "http" and not proxied:
        return _LeanChat(LeanClient(url, headers, connect_seconds=connect_seconds, seconds=seconds))
    most = connections + _SPARE_CONNECTIONS
    limits = httpx2.Limits(
        max_connections=most, max_keepalive_connections=most, keepalive_expiry=_KEEPALIVE_SECONDS
    )
    timeout = httpx2.Timeout(seconds, connect=connect_seconds)
    client = httpx2.AsyncClient(limits=limits, timeout=timeout)
    return _GeneralChat(client, url, headers, seconds=seconds)


class _LeanChat:
    """Over lean connections."""

    def __init__(self, client: LeanClient) -> None:
        self._client = client

    async def post(self, body: Mapping[str, Any]) -> bytes:
        reply = await self._client.post(_encoded(body))
        content = reply.body
        if any(name.lower() == b"content-encoding" for name, _ in reply.headers):
            content = httpx2.Response(reply.status, headers=reply.headers, content=content).content
        if not 200 <= reply.status < 300:
            raise RefusedRequest(reply.status, httpx2.Headers(reply.headers), content)
        return content

    async def close(self) -> None:
        await self._client.close()


class _GeneralChat:
    """Through proxies, and to `https://`."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        url: httpx2.URL,
        headers: httpx2.Headers,
        *,
        seconds: float,
    ) -> None:
        self._client = client
        self._url = url
        self._headers = headers
        self._seconds = seconds
        self._extensions = {"timeout": client.timeout.as_dict()}

    async def post(self, body: Mapping[str, Any]) -> bytes:
        request = httpx2.Request(
            "POST",
            self._url,
            headers=self._headers,
            content=_encoded(body),
            extensions=self._extensions,
        )
        async with asyncio.timeout(self._seconds):
            response = await self._client.send(request)
        if not response.is_success:
            raise RefusedRequest(response.status_code, response.headers, response.content)
        return response.content

    async def close(self) -> None:
        await self._client.aclose()


def _encoded(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
