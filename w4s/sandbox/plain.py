"""Turn the values that Python programs return into JSON values, always the same way.

Imports nothing of the project: the sandboxed child uses it, and whoever compares a value from
the sandbox with one computed outside. Does not check sizes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

_MAX_DEPTH = 100


class NotPlainError(ValueError):
    """The value has no JSON form; the message names its type."""


def to_plain(value: Any, *, lenient: bool = False) -> Any:
    """Return `value` as a JSON value.

    Tuples and arrays become lists, sets sorted lists, keys strings, exact numbers their text.
    With `lenient`, anything else becomes its text too, also infinities; otherwise NotPlainError.
    """
    return _plain(value, lenient, _MAX_DEPTH)


def spelled(answer: Any) -> str:
    """Return a workflow's answer as the text that a scorer reads."""
    if isinstance(answer, float) and abs(answer) < 1e15:  # of larger ones all digits count
        answer = float(f"{answer:.15g}")  # 0.1 + 0.2 is 0.3
        if answer.is_integer():
            return str(int(answer))
    if isinstance(answer, list | dict):
        return json.dumps(answer, ensure_ascii=False)
    return str(answer).strip()


def _plain(value: Any, lenient: bool, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if depth == 0:
        raise NotPlainError(f"nested more than {_MAX_DEPTH} deep")
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _finite(float(value), lenient)
    if isinstance(value, Mapping):
        return {_key(key): _plain(item, lenient, depth - 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, lenient, depth - 1) for item in value]
    if isinstance(value, (set, frozenset)):
        items = [_plain(item, lenient, depth - 1) for item in value]
        return sorted(
            items,
            key=lambda item: (
                (type(item).__name__, item, "")
                if isinstance(item, (int, float))
                else ("~", 0, repr(item))
            ),
        )
    return _convert(value, lenient, depth)


def _finite(value: float, lenient: bool) -> float | str:
    if math.isfinite(value):
        return value
    if lenient:
        return str(value)
    raise NotPlainError(f"the number {value} has no JSON form")


def _key(key: Any) -> str:
    return key if type(key) is str else str(_plain(key, True, 3))


def _convert(value: Any, lenient: bool, depth: int) -> Any:
    module = type(value).__module__.partition(".")[0]
    if module == "numpy" and hasattr(value, "tolist"):
        return _plain(value.tolist(), lenient, depth - 1)
    if isinstance(value, Fraction) or module in ("decimal", "sympy", "mpmath", "datetime"):
        return str(value)
    if isinstance(value, complex) or lenient:
        return str(value)
    raise NotPlainError(f"a value of type {type(value).__name__} has no JSON form")
