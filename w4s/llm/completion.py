"""Read a chat completion as endpoints really send it: texts, finish reasons, usage.

Pure. Wrong or missing usage is replaced by an estimate that is marked as one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from w4s.llm.faults import MalformedReply
from w4s.llm.replies import strip_thinking
from w4s.llm.request import sendable

_CHARACTERS_PER_TOKEN = 4
_MOST_CHARACTERS_PER_TOKEN = 12  # more is no usage of this text
_MOST_TOKENS = 100_000_000  # more is no usage of any text


@dataclass(frozen=True, slots=True)
class Choice:
    """One text, without its thinking. A refusal is an empty text."""

    text: str
    finish_reason: str
    refused: bool


@dataclass(frozen=True, slots=True)
class Completion:
    """The choices of one completion and what they cost together."""

    choices: tuple[Choice, ...]
    prompt_tokens: int
    completion_tokens: int
    estimated: bool


def read_completion(payload: Any, *, prompt_characters: int) -> Completion:
    """Return the completion of a decoded JSON reply. Raises MalformedReply where it is none."""
    if not isinstance(payload, Mapping):
        raise MalformedReply(f"a {type(payload).__name__} instead of an object")
    choices = payload.get("choices")
    if not isinstance(choices, list) or not choices:
        raise MalformedReply(f"no choices; it holds {sorted(map(str, payload))[:8]}")
    raw = [_raw_text(choice) for choice in choices]
    usage = payload.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    prompt = _count(usage.get("prompt_tokens"))
    spoken = _count(usage.get("completion_tokens"))
    characters = sum(map(len, raw))
    if spoken is not None and characters > _MOST_CHARACTERS_PER_TOKEN * spoken:
        spoken = None
    if len(choices) > 1 and "timings" in payload:  # llama.cpp counts one choice of several
        spoken = None
    return Completion(
        choices=tuple(map(_choice, choices, raw)),
        prompt_tokens=_estimate(prompt_characters) if prompt is None else prompt,
        completion_tokens=_estimate(characters) if spoken is None else spoken,
        estimated=prompt is None or spoken is None,
    )


def _choice(choice: Mapping[str, Any], raw: str) -> Choice:
    reason = choice.get("finish_reason")
    message = choice["message"]
    refused = bool(message.get("refusal")) or reason == "content_filter"
    return Choice(
        text="" if message.get("refusal") else sendable(strip_thinking(raw)),
        finish_reason=sendable(reason) if isinstance(reason, str) else "stop",
        refused=refused,
    )


def _raw_text(choice: Any) -> str:
    if not isinstance(choice, Mapping) or not isinstance(choice.get("message"), Mapping):
        raise MalformedReply("a choice without a message")
    content = choice["message"].get("content")
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):  # some endpoints send parts
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        return "".join(part for part in parts if isinstance(part, str))
    raise MalformedReply(f"a message whose content is a {type(content).__name__}")


def _count(value: Any) -> int | None:
    number = isinstance(value, int) and not isinstance(value, bool)
    return value if number and 0 <= value <= _MOST_TOKENS else None


def _estimate(characters: int) -> int:
    return -(-characters // _CHARACTERS_PER_TOKEN)
