"""The HTTP client under the `openai` client: one pool of connections, kept alive."""

from __future__ import annotations

import urllib.request

import httpx2

from w4s.llm.lean_http import LeanTransport

_SPARE_CONNECTIONS = 8
_KEEPALIVE_SECONDS = 60.0


def make_http_client(
    *, connections: int, connect_seconds: float, read_seconds: float
) -> httpx2.AsyncClient:
    """Return a client whose pool holds `connections` at once and keeps all of them open.

    Plain `http://` goes through the lean transport, unless a proxy is configured for it.
    """
    most = connections + _SPARE_CONNECTIONS
    proxied = bool(urllib.request.getproxies().keys() & {"http", "all"})
    return httpx2.AsyncClient(
        limits=httpx2.Limits(
            max_connections=most,
            max_keepalive_connections=most,
            keepalive_expiry=_KEEPALIVE_SECONDS,
        ),
        timeout=httpx2.Timeout(read_seconds, connect=connect_seconds),
        mounts={} if proxied else {"http://": LeanTransport()},
    )
