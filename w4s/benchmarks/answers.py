"""Take the wrapping off an answer: spaces, quotes, boxes, number spellings.

Judges nothing: the scorers compare what these functions return.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

_WRAPPINGS = (('"', '"'), ("'", "'"), ("`", "`"), ("“", "”"), ("**", "**"), ("$", "$"))
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")

_SAID = re.compile(
    r"(?:^|\n|[.:;]\s|\b(?:so|thus|hence|therefore|the),?\s)[\s*#]*(?:final\s)?answer\s*"
    r"(?:\*\*\s*)?(?:is\b\s*:?|[:=])\s*(?:\*\*\s*)?([^\n]+)",
    re.IGNORECASE,
)


def boxed(text: str) -> str | None:
    r"""Return the content of the last `\boxed{}` with balanced braces, or None."""
    for match in reversed(list(re.finditer(r"\\(?:boxed|fbox)\s*\{", text))):
        depth = 1
        for position in range(match.end(), len(text)):
            depth += {"{": 1, "}": -1}.get(text[position], 0)
            if depth == 0:
                return text[match.end() : position]
    return None


def unwrap(text: str) -> str:
    r"""Strip spaces, a `\boxed{}` and quotes, bold or dollar signs around the whole answer."""
    inner = boxed(text)
    text = (text if inner is None else inner).strip()
    for left, right in _WRAPPINGS:
        inside = len(text) > len(left) + len(right)
        if inside and text.startswith(left) and text.endswith(right):
            middle = text[len(left) : -len(right)]
            if left not in middle and right not in middle:
                text = middle.strip()
    return text


def announced(text: str) -> str | None:
    """Return what follows the last "the answer is" or "Answer:", to the end of its line."""
    said = [match.group(1).strip() for match in _SAID.finditer(text)]
    said = [part.removesuffix(".").strip() for part in said]
    return next((part for part in reversed(said) if part), None)


def decimal_value(text: str) -> Decimal | None:
    """Return the number that the whole text spells ("1,234", "12.", "-0.50"), or None."""
    text = text.strip()
    if _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    if not _PLAIN.fullmatch(text):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
