"""The HTTP client under the `openai` client: one pool of connections, kept alive."""

from __future__ import annotations

import httpx2

_SPARE_CONNECTIONS = 8
_KEEPALIVE_SECONDS = 60.0


def make_http_client(
    *, connections: int, connect_seconds: float, read_seconds: float
) -> httpx2.AsyncClient:
    """Return a client whose pool holds `connections` at once and keeps all of them open."""
    most = connections + _SPARE_CONNECTIONS
    return httpx2.AsyncClient(
        limits=httpx2.Limits(
            max_connections=most,
            max_keepalive_connections=most,
            keepalive_expiry=_KEEPALIVE_SECONDS,
        ),
        timeout=httpx2.Timeout(read_seconds, connect=connect_seconds),
    )
