"""Carry Python values of lists, tuples, dicts and plain values through JSON without loss.

Sets and other classes are not covered.
"""

from __future__ import annotations

from typing import Any


def encode(value: Any) -> Any:
    """Return `value` as JSON values, tuples and dicts with other keys than text marked."""
    if isinstance(value, tuple):
        return {"__tuple__": [encode(item) for item in value]}
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value):
            return {str(key): encode(item) for key, item in value.items()}
        return {"__items__": [[encode(key), encode(item)] for key, item in value.items()]}
    return value


def decode(value: Any) -> Any:
    """Return what `encode` was given."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if isinstance(value, dict):
        if set(value) == {"__tuple__"}:
            return tuple(decode(item) for item in value["__tuple__"])
        if set(value) == {"__items__"}:
            return {decode(key): decode(item) for key, item in value["__items__"]}
        return {key: decode(item) for key, item in value.items()}
    return value
