"""The `agent` handle inside the sandbox: a workflow's only way to the world.

Checks arguments and passes calls on; holds no key, no scorer and no network. The names and
keywords are the ones that the method's authors use in their released workflows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from w4s.sandbox import extract
from w4s.sandbox.calls import check_call
from w4s.sandbox.wire import WireError

_ROLES = ("system", "user", "assistant")
Call = Callable[[str, dict[str, Any]], Any]


class Agent:
    """Calls the executor, runs code and reads replies."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def _checked_call(self, name: str, arguments: dict[str, Any]) -> Any:
        try:
            return self._call(name, check_call(name, arguments))
        except WireError as error:
            raise ValueError(str(error)) from None

    def call_llm(
        self,
        messages: Sequence[dict[str, str]],
        temperature: float = 1.0,
        num_of_response: int = 1,
        agent_role: str = "task solver",
        instructions: str = "",
        model: str | None = None,
        max_completion_tokens: int | None = None,
        response_format: str = "text",
    ) -> list[str]:
        """Return `num_of_response` text replies. Raises ValueError, RuntimeError without any."""
        arguments = _chat(messages, temperature, num_of_response, agent_role, instructions)
        arguments |= {"model": model, "max_completion_tokens": max_completion_tokens}
        replies = self._checked_call("call_llm", arguments | {"response_format": response_format})
        return [str(reply) for reply in replies]

    def call_json_format_llm(
        self,
        messages: Sequence[dict[str, str]],
        temperature: float = 1.0,
        num_of_response: int = 1,
        agent_role: str = "task solver",
        return_dict_keys: Sequence[str] = (),
        instructions: str = "",
        model: str | None = None,
        max_completion_tokens: int | None = None,
    ) -> list[dict[str, Any]]:
        """Return `num_of_response` dicts; a key that the model left out holds a placeholder."""
        if isinstance(return_dict_keys, str) or not all(
            isinstance(key, str) for key in return_dict_keys
        ):
            raise ValueError(
                f"return_dict_keys must be a list of strings; got {return_dict_keys!r}"
            )
        keys = list(return_dict_keys)
        arguments = _chat(messages, temperature, num_of_response, agent_role, instructions)
        arguments |= {"model": model, "max_completion_tokens": max_completion_tokens}
        replies = self._checked_call("call_json_format_llm", arguments | {"return_dict_keys": keys})
        return [{key: f"NO {key} IN DICTIONARY" for key in keys} | dict(reply) for reply in replies]

    def execute_code(self, code: str, timeout: float | None = None) -> Any:
        """Return the value of the code's `solution()`. Raises RuntimeError with its error."""
        if not isinstance(code, str):
            raise ValueError(f"code must be a string; got {type(code).__name__}")
        return self._checked_call("execute_code", {"code": code, "timeout": timeout})

    def test_on_public_test(
        self, task: str, solution: str, entry_point: str, test_loop: int = 3
    ) -> dict[str, Any]:
        """Return {"result", "solution", "feedback"} of the public tests, after repairs."""
        arguments = {"task": task, "solution": solution, "entry_point": entry_point}
        for name, value in arguments.items():
            if not isinstance(value, str):
                raise ValueError(f"{name} must be a string; got {type(value).__name__}")
        return dict(self._checked_call("test_on_public_test", arguments | {"test_loop": test_loop}))

    @staticmethod
    def extract_answer_str(text: str) -> str:
        r"""Return the last `\boxed{}`, else the last number, else the last sentence."""
        return extract.extract_answer_str(str(text))

    @staticmethod
    def extract_code_block(text: str, entry_point: str = "solution") -> str:
        """Return the fenced block that defines `entry_point`, or ""."""
        return extract.extract_code_block(str(text), entry_point)


def _chat(
    messages: Any, temperature: Any, num_of_response: Any, agent_role: Any, instructions: Any
) -> dict[str, Any]:
    return {
        "messages": _checked(messages),
        "temperature": temperature,
        "num_of_response": num_of_response,
        "agent_role": str(agent_role),
        "instructions": str(instructions),
    }


def _checked(messages: Any) -> list[dict[str, str]]:
    shape = 'a list of {"role": ..., "content": ...} dicts of strings'
    if not isinstance(messages, (list, tuple)):
        raise ValueError(f"messages must be {shape}; got {type(messages).__name__}")
    if not messages:
        raise ValueError(f"messages must be {shape}; got an empty list")
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or set(message) != {"role", "content"}:
            keys = (
                sorted(map(str, message)) if isinstance(message, dict) else type(message).__name__
            )
            raise ValueError(f"messages must be {shape}; messages[{index}] is {keys}")
        if message["role"] not in _ROLES:
            text = f"messages[{index}]['role'] must be one of {', '.join(_ROLES)}"
            raise ValueError(f"{text}; got {message['role']!r}")
        if not isinstance(message["content"], str):
            kind = type(message["content"]).__name__
            raise ValueError(f"messages[{index}]['content'] must be a string; got {kind}")
    return [{"role": message["role"], "content": message["content"]} for message in messages]
