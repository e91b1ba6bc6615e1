"""Take the wrapping off an answer: spaces, quotes, boxes, number spellings.

Judges nothing: the scorers compare what these functions return.
"""

from __future__ import annotations

import itertools
import re
from collections import deque
from decimal import Decimal, InvalidOperation

_WRAPPINGS = (('"', '"'), ("'", "'"), ("`", "`"), ("“", "”"), ("**", "**"), ("$", "$"))
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")
_MOST_SAID = 20  # the last ones; more of them would only be empty
_SPACE_OR_BOLD = " \t\r*"
_LONG_SPACE = re.compile(r"(\s)\s{20,}")
_BRACE = re.compile(r"\\(?:boxed|fbox)\s*\{|\\[{}]|[{}]")
# the last way is a heading: a line of its own
_SAID = re.compile(
    r"(?:^|\n|[.:;]\s|\b(?:so|thus|hence|therefore|the),?\s)[ \t*#]*(?:final\s)?answer\s*"
    r"(?:\*\*\s*)?(?:is\b\s*:?|[:=])\s*(?:\*\*\s*)?"
    r"|(?:^|\n)[ \t]*[*#][ \t*#]*(?:final\s)?answer[ \t*]*\n\s*(?:\*\*\s*)?",
    re.IGNORECASE,
)
_ITEM = re.compile(r"\s*(?:[-*•]|\d{1,2}[.)])\s+\S")
_FENCED = re.compile(r"\s*```[A-Za-z]*[ \t]*\n(.*)```\s*", re.DOTALL)
_TEXT = re.compile(
    r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox)\s*"
    r"\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}"
)


def boxed(text: str) -> str | None:
    r"""Return the content of the last `\boxed{}` with balanced braces, or None."""
    open_at: list[int | None] = []  # where a box's content starts; None for another brace
    best: tuple[int, int] | None = None
    for match in _BRACE.finditer(text):
        token = match.group()
        if token == "}":
            start = open_at.pop() if open_at else None
            if start is not None and (best is None or start > best[0]):
                best = start, match.start()
        elif token not in (r"\{", r"\}"):
            open_at.append(match.end() if token != "{" else None)
    return None if best is None else text[best[0] : best[1]]


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


def unfenced(text: str) -> str:
    """Return the content of a fenced block that is the whole text; other texts as they are."""
    match = _FENCED.fullmatch(text)
    return match[1].strip() if match and "```" not in match[1] else text


def unwrap_words(text: str) -> str:
    r"""Unwrap an answer in words: also of a fence around it, and of `\text{}` inside a formula."""
    inner = unwrap(unfenced(text))
    return _TEXT.sub(r"\1", _TEXT.sub(r"\1", inner)).strip()  # one may hold another


def squeezed(text: str) -> str:
    """Return the text with long runs of spaces and line breaks cut to one: no pattern gets slow."""
    return _LONG_SPACE.sub(r"\1", text)


def announced(text: str) -> str | None:
    """Return what follows the last "the answer is", "Answer:" or heading "Answer".

    To the end of its line, or of the list that begins there.
    """
    matches = deque(_SAID.finditer(text), maxlen=_MOST_SAID)
    parts = (_line_or_list(text[match.end() :]) for match in reversed(matches))
    said = (part.strip(_SPACE_OR_BOLD).removesuffix(".").strip(_SPACE_OR_BOLD) for part in parts)
    return next((part for part in said if part), None)


def _line_or_list(text: str) -> str:
    lines = text.split("\n")
    items = list(itertools.takewhile(_ITEM.match, lines))
    return "\n".join(items) if len(items) > 1 else lines[0]


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
