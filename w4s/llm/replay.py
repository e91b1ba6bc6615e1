"""Say what is different where a replayed run asks for something that is not recorded."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Any

from w4s.llm.record import Record
from w4s.llm.request import ResolvedRequest

_MOST_LINES = 40
_SHOWN_CHARACTERS = 200


def missing_message(request: ResolvedRequest, record: Record) -> str:
    """Return the message for a request that `record` lacks, with the nearest one's difference."""
    wanted = json.loads(request.canonical)
    what = f"{record.path}: a {request.model} call is not recorded (draw {request.draw or '-'!r})."
    near = _nearest(wanted, record.requests_near(request))
    advice = "Run without --replay to ask for it, or restore the parameters and the record."
    if near is None:
        return f"{what} Nothing of {request.stage}/{request.benchmark} is recorded. {advice}"
    lines = _difference(near, wanted)
    if not lines:
        return f"{what} The same request is recorded for other draws only. {advice}"
    return "\n".join(
        [f"{what} The nearest recorded request differs (- recorded, + asked):", *lines, advice]
    )


def _nearest(wanted: dict[str, Any], recorded: Sequence[str]) -> dict[str, Any] | None:
    """Return the first of the most similar ones, as `recorded` is in order of closeness."""
    best: dict[str, Any] | None = None
    most = -1.0
    text = _last_words(wanted)
    for canonical in recorded:
        other = json.loads(canonical)
        same = sum(other.get(name) == value for name, value in wanted.items())
        matcher = difflib.SequenceMatcher(None, _last_words(other), text, autojunk=False)
        likeness = same + matcher.quick_ratio()
        if likeness > most:
            best, most = other, likeness
    return best


def _last_words(request: dict[str, Any]) -> str:
    return " ".join(content[-_SHOWN_CHARACTERS:] for _, content in request["messages"])


def _difference(recorded: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    lines = []
    for name in sorted(asked.keys() - {"messages"}):
        if recorded.get(name) != asked[name]:
            lines += [f"- {name}: {recorded.get(name)!r}", f"+ {name}: {asked[name]!r}"]
    diff = difflib.unified_diff(_text(recorded), _text(asked), lineterm="", n=1)
    lines += [line[: _SHOWN_CHARACTERS * 2] for line in diff if not line.startswith(("---", "+++"))]
    return lines[:_MOST_LINES]


def _text(request: dict[str, Any]) -> list[str]:
    return [
        f"{role}: {line}" for role, content in request["messages"] for line in content.split("\n")
    ]
