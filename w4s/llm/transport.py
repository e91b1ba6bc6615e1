"""The HTTP client under the `openai` client: one pool of connections, kept alive."""

from __future__ import annotations

import urllib.request
from urllib.parse import urlsplit

import httpx2

from w4s.llm.lean_http import LeanTransport

_SPARE_CONNECTIONS = 8
_KEEPALIVE_SECONDS = 60.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def make_http_client(
    base_url: str, *, connections: int, connect_seconds: float, read_seconds: float
) -> httpx2.AsyncClient:
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
        timeout=httpx2.Timeout(read_seconds, connect=connect_seconds),
        trust_env=not local,
        mounts={} if proxied else {"http://": LeanTransport()},
    )
