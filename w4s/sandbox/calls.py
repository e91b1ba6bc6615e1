"""Which calls a workflow may make, with which arguments.

The handle inside the sandbox asks first, so that a workflow's mistake is an error of its own;
the parent asks again, of everything that arrives: what fails there was sent past the handle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from w4s.sandbox.wire import WireError

Check = Callable[[Any], bool]
_ROLES = ("system", "user", "assistant")
_MAX_TEXT = 200
_MAX_RESPONSES = 1_000


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _optional_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= 1e6


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1_000_000


def _count(value: Any) -> bool:
    return _whole(value) and 1 <= value <= _MAX_RESPONSES


def _optional_whole(value: Any) -> bool:
    return value is None or _whole(value)


def _optional_number(value: Any) -> bool:
    return value is None or _number(value)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _messages(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(_message(item) for item in value)


def _message(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"role", "content"}
        and value["role"] in _ROLES
        and isinstance(value["content"], str)
    )


_CHAT: Mapping[str, Check] = {
    "messages": _messages,
    "temperature": _number,
    "num_of_response": _count,
    "agent_role": _text,
    "instructions": _text,
    "model": _optional_text,
    "max_completion_tokens": _optional_whole,
}
OPERATIONS: Mapping[str, Mapping[str, Check]] = {
    "call_llm": {**_CHAT, "response_format": _text},
    "call_json_format_llm": {**_CHAT, "return_dict_keys": _texts},
    "execute_code": {"code": _text, "timeout": _optional_number},
    "test_on_public_test": {
        "task": _text,
        "solution": _text,
        "entry_point": _text,
        "test_loop": _whole,
    },
}


def check_call(name: Any, arguments: Any) -> dict[str, Any]:
    """Return the keyword arguments of a call, exactly those of its operation. Raises WireError."""
    checks = OPERATIONS.get(name) if isinstance(name, str) else None
    if checks is None:
        raise WireError(f"a call of the unknown operation {str(name)[:_MAX_TEXT]!r}")
    if not isinstance(arguments, dict) or set(arguments) != set(checks):
        raise WireError(f"a call of {name} with other arguments than it has")
    for key, check in checks.items():
        if not check(arguments[key]):
            raise WireError(
                f"a call of {name} with a wrong {key}: {repr(arguments[key])[:_MAX_TEXT]}"
            )
    return arguments
