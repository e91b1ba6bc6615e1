"""What an endpoint's model takes: found out by asking, once, and remembered.

Pure: turns a request and abilities into parameters, and a refusal into lesser abilities.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from w4s.errors import DataError
from w4s.llm.faults import Fault
from w4s.llm.request import ResolvedRequest
from w4s.types import Message

_UNSUPPORTED = re.compile(
    r"unsupported|not support|n't support|unrecogni[sz]ed|unknown|unexpected|not permitted"
    r"|not allowed|only the default|extra inputs|must be 1\b|cannot be greater|may not"
    r"|invalid role",
    re.IGNORECASE,
)
_OUT_OF_RANGE = re.compile(r"must be|between|at most|less than|exceed|too large", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Abilities:
    """What may be asked of a model. `most_n` None: no limit found so far."""

    most_n: int | None = None
    response_format: Literal["json_schema", "json_object", "none"] = "json_schema"
    temperature: bool = True
    system: bool = True
    seed: bool = True
    reasoning_effort: bool = True
    length_parameter: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"


_ADAPTER = TypeAdapter(Abilities)


def dump(abilities: Abilities) -> dict[str, Any]:
    """Return `abilities` as a JSON value."""
    return asdict(abilities)


def load(value: Any) -> Abilities:
    """Return the abilities of a JSON value. Raises DataError where it is none."""
    try:
        return _ADAPTER.validate_python(value)
    except ValidationError as error:
        raise DataError(f"The record holds wrong facts about an endpoint: {error}") from error


def parameters(
    request: ResolvedRequest, abilities: Abilities, *, n: int, first_choice: int
) -> dict[str, Any]:
    """Return the body of a chat completion for `n` choices of `request` from `first_choice` on."""
    messages = request.messages if abilities.system else _without_system(request.messages)
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [{"role": m.role, "content": m.content} for m in messages],
        abilities.length_parameter: request.max_tokens,
    }
    if n > 1:
        body["n"] = n
    if abilities.temperature:
        body["temperature"] = request.temperature
    if abilities.seed and request.seed is not None:
        body["seed"] = (request.seed + first_choice) % 2**31
    if request.reasoning_effort is not None and abilities.reasoning_effort:
        body["reasoning_effort"] = request.reasoning_effort
    if request.json_keys and abilities.response_format != "none":
        body["response_format"] = _response_format(request.json_keys, abilities)
    return body


def with_most_n(abilities: Abilities, n: int) -> Abilities:
    """Return `abilities` with requests for at most `n` choices."""
    return replace(abilities, most_n=min(n, abilities.most_n or n))


def lesser(abilities: Abilities, fault: Fault, body: dict[str, Any]) -> Abilities | None:
    """Return abilities without the one that the endpoint refused, or None where it named none."""
    match refused(fault, body):
        case "n":
            return with_most_n(abilities, max(1, body["n"] // 2))
        case "response_format":
            if body["response_format"]["type"] == "json_object":
                return replace(abilities, response_format="none")
            if abilities.response_format == "json_schema":
                return replace(abilities, response_format="json_object")
            return abilities  # found out meanwhile by another call
        case "temperature":
            return replace(abilities, temperature=False)
        case "seed":
            return replace(abilities, seed=False)
        case "reasoning_effort":
            return replace(abilities, reasoning_effort=False)
        case "max_tokens":
            return replace(abilities, length_parameter="max_completion_tokens")
        case "max_completion_tokens":
            return replace(abilities, length_parameter="max_tokens")
        case "system":
            return replace(abilities, system=False)
        case _:
            return None


_PATTERNS = {
    "response_format": re.compile(r"response_format|json_schema|json_object|json mode", re.I),
    "max_tokens": re.compile(r"\bmax_tokens\b(?!.*context)", re.I),
    "max_completion_tokens": re.compile(r"\bmax_completion_tokens\b(?!.*context)", re.I),
    "reasoning_effort": re.compile(r"reasoning[_ ]effort", re.I),
    "temperature": re.compile(r"\btemperature\b", re.I),
    "seed": re.compile(r"\bseed\b", re.I),
    "n": re.compile(r"['\"`]n['\"`]|\bn_cmpl\b|\bn\b (?:must|>|is|parameter)", re.I),
    "system": re.compile(r"['\"`]?system['\"`]? (?:role|message|prompt)|role.*system", re.I),
}


def refused(fault: Fault, body: dict[str, Any]) -> str | None:
    """Return which part of `body` the fault complains of not being supported, None for none.

    That a request is too long for the context is no such complaint.
    """
    sent = set(body)
    if any(message["role"] == "system" for message in body["messages"]):
        sent.add("system")
    if "n" in sent and _PATTERNS["n"].search(fault.text) and _OUT_OF_RANGE.search(fault.text):
        return "n"
    if not _UNSUPPORTED.search(fault.text):
        return None
    if fault.parameter in sent & _PATTERNS.keys():
        return fault.parameter
    if fault.parameter is not None and fault.parameter.startswith("response_format"):
        return "response_format" if "response_format" in sent else None
    found = [name for name in _PATTERNS if name in sent and _PATTERNS[name].search(fault.text)]
    return found[0] if found else None


def _response_format(keys: tuple[str, ...], abilities: Abilities) -> dict[str, Any]:
    if abilities.response_format == "json_object":
        return {"type": "json_object"}
    schema = {
        "type": "object",
        "properties": {key: {"type": "string"} for key in keys},
        "required": list(keys),
        "additionalProperties": False,
    }
    return {
        "type": "json_schema",
        "json_schema": {"name": "reply", "strict": True, "schema": schema},
    }


def _without_system(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Move what system messages say to the front of the next message of the user."""
    kept: list[Message] = []
    pending: list[str] = []
    for message in messages:
        if message.role == "system":
            pending.append(message.content)
        elif message.role == "user" and pending:
            kept.append(Message("user", "\n\n".join([*pending, message.content])))
            pending = []
        else:
            kept.append(message)
    if pending:
        kept.append(Message("user", "\n\n".join(pending)))
    return tuple(kept)
