"""Tell the endpoint's faults apart: what is fatal, what is worth another try, and when."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import httpx2

_QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_OVERLOADED = frozenset({502, 503, 504, 529})
_UNUSABLE_REQUEST = frozenset({400, 413, 414, 415, 422})
_FATAL = frozenset({401, 402, 403, 404})


class Remedy(Enum):
    """What to do about a fault."""

    STOP = "stop"  # the endpoint will never answer: key, model, quota
    ADAPT = "adapt"  # the request is refused as it is: ask differently, or not at all
    SLOW_DOWN = "slow_down"  # 429
    WAIT = "wait"  # it cannot be reached, or says that it is overloaded
    RETRY = "retry"  # this call went wrong


@dataclass(frozen=True, slots=True)
class Fault:
    """A failed attempt, classified. `parameter` is the one that the endpoint complains of.

    `text` is all that was said, and may quote the key.
    """

    remedy: Remedy
    text: str
    status: int | None = None
    retry_after_seconds: float | None = None
    parameter: str | None = None


class MalformedReply(Exception):
    """The endpoint's reply is not a chat completion."""


class RefusedRequest(Exception):
    """The endpoint answers with a status that is no success."""

    def __init__(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.headers = headers
        self.content = content


CALL_ERRORS = (httpx2.HTTPError, MalformedReply, RefusedRequest, TimeoutError)
"""What may go wrong with one attempt."""


def classify(error: Exception) -> Fault:
    """Return what `error`, raised by one attempt, means. Bugs are raised again."""
    if isinstance(error, RefusedRequest):
        return _of_status(error)
    if isinstance(error, httpx2.TimeoutException):
        unreached = isinstance(error, httpx2.ConnectTimeout | httpx2.PoolTimeout)
        text = "no connection in time" if unreached else "no reply in time"
        return Fault(Remedy.WAIT if unreached else Remedy.RETRY, text)
    if isinstance(error, TimeoutError):
        return Fault(Remedy.RETRY, "no whole reply in time")
    if isinstance(error, httpx2.HTTPError):
        unreached = isinstance(error, httpx2.ConnectError)
        remedy = Remedy.WAIT if unreached else Remedy.RETRY
        return Fault(remedy, f"connection failed ({type(error).__name__}: {error})")
    if isinstance(error, MalformedReply):
        return Fault(Remedy.RETRY, f"malformed reply: {error}")
    raise error


def _of_status(error: RefusedRequest) -> Fault:
    status, body = error.status, _told(error.content)
    code = str(body.get("code") or body.get("type") or "")
    parameter = body.get("param")
    message = body.get("message") or error.content.decode("utf-8", "replace")
    text = f"{status} {message}"
    quota = {code, str(body.get("type"))} & _QUOTA_CODES
    if status in _FATAL or quota:
        remedy = Remedy.STOP
    elif status in _UNUSABLE_REQUEST:
        remedy = Remedy.ADAPT
    elif status == 429:
        remedy = Remedy.SLOW_DOWN
    elif status in _OVERLOADED:
        remedy = Remedy.WAIT
    else:
        remedy = Remedy.RETRY
    after = _retry_after(error.headers)
    return Fault(remedy, text, status, after, parameter if isinstance(parameter, str) else None)


def _told(content: bytes) -> Mapping[str, object]:
    """Return what an endpoint says of an error: the object `error`, or all of it; {} for prose."""
    try:
        payload = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    told = payload.get("error", payload) if isinstance(payload, Mapping) else None
    return told if isinstance(told, Mapping) else {}


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Read `Retry-After` (seconds or a date) and `retry-after-ms`."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            return max(0.0, float(value) * unit)
        except ValueError:
            date = email.utils.parsedate_tz(value)
            if date is not None:
                return max(0.0, email.utils.mktime_tz(date) - time.time())
    return None
