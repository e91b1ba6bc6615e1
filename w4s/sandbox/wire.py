"""The frames between parent and child: four bytes of length, then JSON in UTF-8.

The parent reads what a hostile program may have written, so reading checks everything:
length, encoding, JSON without NaN or infinities, number of items, and text that can be stored.
"""

from __future__ import annotations

import json
import math
import struct
from typing import Any

HEADER = struct.Struct("<I")
MAX_ITEMS = 100_000  # JSON of one-character items grows twentyfold when it is read


class WireError(ValueError):
    """What arrived is not a frame of the protocol."""


def encode(message: dict[str, Any]) -> bytes:
    """Return `message` as one frame. Raises ValueError and TypeError for what is not JSON."""
    body = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    data = body.encode("utf-8", "replace")
    return HEADER.pack(len(data)) + data


def decode(body: bytes) -> dict[str, Any]:
    """Read the body of a frame that an untrusted program wrote. Raises WireError."""
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MAX_ITEMS:
        raise WireError(f"a message holds more than {MAX_ITEMS} items")
    try:
        message = json.loads(body.decode(), parse_constant=_refuse, parse_float=_finite)
        if b"\\u" in body:
            json.dumps(
                message, ensure_ascii=False
            ).encode()  # half a surrogate pair cannot be stored
    except (ValueError, RecursionError) as error:
        raise WireError(f"a message is not JSON: {type(error).__name__}") from error
    if not isinstance(message, dict):
        raise WireError(f"a message is a {type(message).__name__}, not an object")
    return message


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is not finite")
    return value
