"""Turn replies as models give them into answers: without thinking, and as JSON.

Pure functions. Asks nobody: the one retry of an unusable JSON reply is the engine's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

DECODE_ERROR_KEY = "JSONDecodeError"
_MAX_CHARACTERS = 200_000  # a longer reply is a runaway; its beginning decides
_MAX_STARTS = 32
_MAX_DEPTH = 100

_THINKING = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>\s*", re.DOTALL | re.IGNORECASE)
_CLOSING = re.compile(r"</think(?:ing)?>\s*", re.IGNORECASE)
_OPENING = re.compile(r"<think(?:ing)?>.*\Z", re.DOTALL | re.IGNORECASE)
_CUT_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3}|u[dD][89abAB][0-9a-fA-F]{2})?")
_HALF_PAIR = re.compile(r"(?<!\\)(?:\\\\)*\\u[dD][89abAB][0-9a-fA-F]{2}\Z")
_FENCE = re.compile(r"```(?:json|JSON)?[ \t]*\r?\n?(.*?)(?:```|\Z)", re.DOTALL)


def strip_thinking(text: str) -> str:
    """Return `text` without its `<think>` parts: closed, cut off at the end, or opened earlier."""
    text = _THINKING.sub("", text)
    closings = list(_CLOSING.finditer(text))
    if closings:  # the chat template opened the part inside the prompt
        text = text[closings[-1].end() :]
    return _OPENING.sub("", text)


def parse_json_reply(text: str, keys: Sequence[str]) -> dict[str, Any]:
    """Return the JSON object of a reply with every one of `keys`.

    Finds the object in fences and prose and completes a truncated one. A key that is missing
    is filled with a placeholder; without any object the text stands under "JSONDecodeError"
    (as in the released code of arXiv 2504.04785).
    """
    found = find_json_object(text, keys)
    reply: dict[str, Any] = {DECODE_ERROR_KEY: text} if found is None else dict(found)
    for key in keys:
        reply.setdefault(key, f"NO {key} IN DICTIONARY")
    return reply


def find_json_object(text: str, keys: Sequence[str] = ()) -> dict[str, Any] | None:
    """Return the object in `text` that holds most of `keys`, or None where there is none."""
    best: dict[str, Any] | None = None
    most = -1
    for candidate in _objects(strip_thinking(text)[:_MAX_CHARACTERS]):
        held = sum(key in candidate for key in keys)
        if held > most:
            best, most = candidate, held
        if most == len(keys):
            break
    return best


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of a reply: whole ones first, mended ones after."""
    sources = [text, *(match.group(1) for match in _FENCE.finditer(text))]
    for source in sources:
        yield from _dicts(_loads(source.strip()))
    starts = [match.start() for match in re.finditer(r"\{", text)][:_MAX_STARTS]
    decoder = json.JSONDecoder(strict=False)
    for start in starts:
        try:
            value, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        yield from _dicts(value)
    for start in starts:
        yield from _dicts(_loads(_mended(text[start:])))


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value


def _loads(text: str) -> Any:
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None


def _mended(text: str) -> str:
    """Close what a truncated object left open and cut what follows a whole one.

    Also drops commas before a closing bracket. Nothing of the content is invented: a pair
    whose value is missing is dropped.
    """
    closers: list[str] = []
    out: list[str] = []
    in_string = escaped = False
    last_escape = 0
    for character in text:
        if in_string:
            in_string = escaped or character != '"'
            escaped = character == "\\" and not escaped
            last_escape = len(out) if escaped else last_escape
        elif character == '"':
            in_string = True
        elif character in "{[":
            closers.append("}" if character == "{" else "]")
        elif character in "}]":
            if not closers or closers[-1] != character:
                break
            closers.pop()
            _drop_comma(out)
        out.append(character)
        if not closers or len(closers) > _MAX_DEPTH:
            break
    if in_string:
        if _CUT_ESCAPE.fullmatch("".join(out[last_escape : last_escape + 8])):
            del out[last_escape:]
        if _HALF_PAIR.search("".join(out)):
            del out[-6:]
        out.append('"')
    return _close("".join(out), closers)


def _drop_comma(out: list[str]) -> None:
    while out and out[-1].isspace():
        out.pop()
    if out and out[-1] == ",":
        out.pop()


def _close(text: str, closers: list[str]) -> str:
    """Add the brackets that are open; take away an unfinished last pair where that helps."""
    ending = "".join(reversed(closers))
    for _ in range(4):
        trimmed = text.rstrip().removesuffix(",")
        if _loads(trimmed + ending) is not None:
            return trimmed + ending
        shorter = _without_last_piece(trimmed)
        if shorter == text:
            break
        text = shorter
    return text + ending


def _without_last_piece(text: str) -> str:
    """Take a trailing `"key"`, `"key":` or unfinished literal away."""
    return re.sub(r'(?:"(?:[^"\\]|\\.)*"\s*:?|:?\s*[\w.+-]+)\s*\Z', "", text)
