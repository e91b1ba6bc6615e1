"""Chat completions over HTTP: one pool of connections, kept alive, and nothing done twice.

The `openai` client would build every request from nothing, which takes longer than all the rest
of a call. Tries once; knows no limits.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx2

from w4s.llm.endpoint import Address
from w4s.llm.faults import RefusedRequest
from w4s.llm.lean_http import LeanTransport

_SPARE_CONNECTIONS = 8
_KEEPALIVE_SECONDS = 60.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class ChatClient:
    """Posts chat completions to one address."""

    def __init__(
        self, address: Address, *, connections: int, connect_seconds: float, read_seconds: float
    ) -> None:
        base = httpx2.URL(address.base_url)
        self._url = base.copy_with(path=f"{base.path.rstrip('/')}/chat/completions")
        self._headers = httpx2.Headers(
            {
                "Accept": "application/json",
                "Content-Type": "application/json",
                "User-Agent": "w4s",
                **address.headers,
            }
        )
        timeout = httpx2.Timeout(read_seconds, connect=connect_seconds)
        self._extensions = {"timeout": timeout.as_dict()}
        self._client = make_http_client(address.base_url, connections=connections)

    async def post(self, body: Mapping[str, Any]) -> bytes:
        """Return the reply's content.

        Raises RefusedRequest for another status than 2xx, and httpx2's errors.
        """
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        request = httpx2.Request(
            "POST",
            self._url,
            headers=self._headers,
            content=text.encode(),
            extensions=self._extensions,
        )
        response = await self._client.send(request)
        if not response.is_success:
            raise RefusedRequest(response.status_code, response.headers, response.content)
        return response.content

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def make_http_client(base_url: str, *, connections: int) -> httpx2.AsyncClient:
    """Return a client for `base_url` whose pool holds `connections` at once and keeps them open.

    Plain `http://` goes through the lean transport, unless a proxy is configured for it. This
    machine's own servers are never asked through a proxy, whatever the environment says.
    """
    most = connections + _SPARE_CONNECTIONS
    address = urlsplit(base_url)
    local = address.scheme == "http" and address.hostname in _LOOPBACK
    proxied = not local and bool(urllib.request.getproxies().keys() & {"http", "all"})
    return httpx2.AsyncClient(
        limits=httpx2.Limits(
            max_connections=most,
            max_keepalive_connections=most,
            keepalive_expiry=_KEEPALIVE_SECONDS,
        ),
        trust_env=not local,
        mounts={} if proxied else {"http://": LeanTransport()},
    )
