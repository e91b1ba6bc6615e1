"""Replay a record without an endpoint: whose replies to take, and what to say of missing ones."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Any

from w4s.errors import ReplayError
from w4s.llm.record import NearRequest, Record
from w4s.llm.request import ResolvedRequest

_MOST_LINES = 40
_SHOWN_CHARACTERS = 200


def replayed_endpoint(record: Record, *, configured: str, model: str) -> str:
    """Return the endpoint whose recorded replies a replay takes.

    That is the configured one where the record knows it. Elsewhere, as on a machine where no
    endpoint is configured, it is the only one that the record holds of `model`.

    Raises ReplayError where there are several to choose from.
    """
    known = record.endpoints(model)
    if configured in known or not known:
        return configured
    if len(known) == 1:
        return known[0]
    raise ReplayError(
        f"{record.path}: {model} was recorded from {', '.join(name or '?' for name in known)}, "
        f"and not from {configured}, which is configured now. Say which to replay: "
        "--set executor.base_url=ADDRESS."
    )


def missing_message(request: ResolvedRequest, record: Record) -> str:
    """Return the message for a request that `record` lacks, with the nearest one's difference."""
    what = f"{record.path}: a {request.model} call is not recorded (draw {request.draw or '-'!r})."
    near = _nearest(request, record.requests_near(request))
    advice = "Run without --replay to ask for it, or restore the parameters and the record."
    if near is None:
        return f"{what} Nothing of {request.stage}/{request.benchmark} is recorded. {advice}"
    lines = _difference(near, request)
    return "\n".join(
        [f"{what} The nearest recorded request differs (- recorded, + asked):", *lines, advice]
    )


def _nearest(request: ResolvedRequest, recorded: Sequence[NearRequest]) -> NearRequest | None:
    """Return the first of the most similar ones, as `recorded` is in order of closeness."""
    best: NearRequest | None = None
    most = -1.0
    wanted = json.loads(request.canonical)
    text = _last_words(wanted)
    for near in recorded:
        if near.canonical == request.canonical:
            return near
        other = json.loads(near.canonical)
        same = sum(other.get(name) == value for name, value in wanted.items())
        matcher = difflib.SequenceMatcher(None, _last_words(other), text, autojunk=False)
        likeness = same + matcher.quick_ratio()
        if likeness > most:
            best, most = near, likeness
    return best


def _last_words(request: dict[str, Any]) -> str:
    return " ".join(content[-_SHOWN_CHARACTERS:] for _, content in request["messages"])


def _difference(near: NearRequest, request: ResolvedRequest) -> list[str]:
    recorded = {**json.loads(near.canonical), "endpoint": near.endpoint, "draw": near.draw}
    asked = {
        **json.loads(request.canonical),
        "endpoint": request.endpoint,
        "draw": request.draw,
    }
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
