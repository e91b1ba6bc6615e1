"""The parent's side of the handle that a workflow gets: it answers the workflow's calls.

One handle serves one workflow on one problem: it turns calls into executor requests, names every
draw, and counts calls and tokens against the limits. It runs no generated code itself.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from w4s.llm.base import CallFailed, ChatRequest, Executor
from w4s.llm.replies import parse_json_reply
from w4s.sandbox.base import HandlerError, LimitHit, Limits, Sandbox
from w4s.seeds import derive_seed
from w4s.types import Failure, FailureKind, Message, Role, Usage

PublicTest = Callable[[str, str], Awaitable[str | None]]
"""(solution, entry point) -> None where all public tests pass, else what failed."""


@dataclass(frozen=True, slots=True)
class CallLimits:
    """What one workflow may ask of the executor on one problem.

    `calls` counts replies (a request for five counts five); `reply_tokens` is the most that one
    reply may hold.
    """

    calls: int
    tokens: int
    reply_tokens: int


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    role: str
    content: str


class _Call(BaseModel):
    model_config = ConfigDict(extra="forbid")
    messages: list[_Message] = Field(min_length=1)
    temperature: float = Field(default=1.0, ge=0, le=2, allow_inf_nan=False)
    num_of_response: int = Field(default=1, ge=1, le=64)
    agent_role: str = "task solver"
    instructions: str = ""
    return_dict_keys: list[str] = Field(default_factory=list)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    model: str | None = None
    response_format: str = "text"


_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}

_REFLECTION = """\
Given a code problem and a Python solution which failed its tests or could not be executed, \
analyse the reason and propose a better solution.
### Problem
{task}

### Solution
{solution}

### Failed tests
{feedback}"""


class WorkflowHandle:
    """Answers the calls of one workflow on one problem (see `w4s.sandbox.base.Handler`).

    `draw` is the address of the evaluation with the problem's id. `usage` and `executor_failure`
    are read when the run is over.
    """

    def __init__(
        self,
        *,
        executor: Executor,
        sandbox: Sandbox,
        draw: str,
        limits: CallLimits,
        code_limits: Limits,
        public_test: PublicTest | None = None,
    ) -> None:
        self._executor = executor
        self._sandbox = sandbox
        self._draw = draw
        self._limits = limits
        self._code_limits = code_limits
        self._public_test = public_test
        self._occurrences: Counter[ChatRequest] = Counter()
        self._asked = 0
        self.usage = Usage()
        self.violations = 0
        self.executor_failure: str | None = None

    async def __call__(self, operation: str, arguments: Mapping[str, Any]) -> Any:
        """Answer one call. Raises HandlerError, LimitHit, and the executor's fatal errors."""
        match operation:
            case "call_llm":
                return await self._call_llm(_parse(arguments))
            case "call_json_format_llm":
                return await self._call_json(_parse(arguments))
            case "execute_code":
                return await self._execute_code(str(arguments["code"]), arguments.get("timeout"))
            case "test_on_public_test":
                return await self._test_on_public_test(arguments)
            case _:
                raise HandlerError(f"agent has no method {operation!r}")

    async def _call_llm(self, call: _Call) -> list[str]:
        if call.response_format in {"json", "json_object"}:
            return [json.dumps(reply, ensure_ascii=False) for reply in await self._call_json(call)]
        system = f"You are a helpful {call.agent_role}.\n{call.instructions}"
        return list(await self._chat(call, system=system, json_keys=None))

    async def _call_json(self, call: _Call) -> list[dict[str, Any]]:
        keys = tuple(dict.fromkeys(call.return_dict_keys))
        system = (
            f"You are a helpful {call.agent_role}.\n"
            f"Reply in JSON format, ONLY using the keys {list(keys)}.\n{call.instructions}"
        )
        texts = await self._chat(call, system=system, json_keys=keys)
        return [parse_json_reply(text, keys) for text in texts]

    async def _chat(
        self, call: _Call, *, system: str, json_keys: tuple[str, ...] | None
    ) -> tuple[str, ...]:
        messages = tuple(_message(message) for message in call.messages)
        # as the authors do: a system message of the workflow's own stands alone in call_llm
        if json_keys is not None or messages[0].role != "system":
            messages = (Message("system", system.strip()), *messages)
        self._count(call.num_of_response)
        wanted = call.max_completion_tokens or self._limits.reply_tokens
        request = ChatRequest(
            messages=messages,
            temperature=call.temperature,
            n=call.num_of_response,
            max_tokens=min(wanted, self._limits.reply_tokens),
            json_keys=json_keys,
        )
        return await self._ask(request)

    def _count(self, replies: int) -> None:
        if self.usage.tokens >= self._limits.tokens:
            raise LimitHit(
                Failure(
                    FailureKind.TOKENS,
                    f"{self.usage.tokens} executor tokens on one problem; "
                    f"{self._limits.tokens} are allowed",
                )
            )
        self._asked += replies
        if self._asked > self._limits.calls:
            raise LimitHit(
                Failure(
                    FailureKind.CALLS,
                    f"{self._asked} executor replies asked for on one problem; "
                    f"{self._limits.calls} are allowed",
                )
            )

    async def _ask(self, request: ChatRequest) -> tuple[str, ...]:
        occurrence = self._occurrences[request]
        self._occurrences[request] += 1
        draw = f"{self._draw}/{occurrence}"
        # the seed depends on the request too: two prompts at one address are independent draws
        seed = derive_seed(draw, request.messages, request.temperature)
        try:
            reply = await self._executor.chat(replace(request, seed=seed), draw=draw)
        except CallFailed as error:
            self.executor_failure = str(error)
            raise HandlerError(f"the language model gave no reply: {error}") from error
        # whether a reply came from the record must not show in results
        self.usage += replace(reply.usage, cached=0)
        return reply.texts

    async def _execute_code(self, code: str, timeout: float | None) -> Any:
        seed = derive_seed(self._draw, "execute_code")
        limits = self._code_limits
        if timeout is not None and timeout > 0:
            limits = replace(limits, wall_seconds=min(timeout, limits.wall_seconds))
        result = await self._sandbox.run_code(code, limits=limits, seed=seed)
        self.violations += result.violations
        if result.failure is not None:
            raise HandlerError(f"Error when executing code: {result.failure.message}")
        outcome = result.value[0]
        if "error" in outcome:
            raise HandlerError(f"Error when executing code: {outcome['error']}")
        return outcome["ok"]

    async def _test_on_public_test(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if self._public_test is None:
            raise HandlerError("this benchmark has no public tests")
        solution = str(arguments.get("solution", ""))
        entry_point = str(arguments.get("entry_point", ""))
        loops = max(0, min(int(arguments.get("test_loop", 3)), self._limits.calls))
        for _ in range(loops):
            feedback = await self._public_test(solution, entry_point)
            if feedback is None:
                return {"result": True, "solution": solution, "feedback": "no error"}
            solution = await self._repair(str(arguments.get("task", "")), solution, feedback)
        feedback = await self._public_test(solution, entry_point)
        return {
            "result": feedback is None,
            "solution": solution,
            "feedback": feedback or "no error",
        }

    async def _repair(self, task: str, solution: str, feedback: str) -> str:
        content = _REFLECTION.format(task=task, solution=solution, feedback=feedback)
        call = _Call(
            messages=[_Message(role="user", content=content)],
            temperature=0.3,
            agent_role="expert Python programmer",
            return_dict_keys=["reflection", "code"],
            instructions="Reflect on the failed tests, then give a better solution without tests.",
        )
        return str((await self._call_json(call))[0]["code"])


def _parse(arguments: Mapping[str, Any]) -> _Call:
    given = {key: value for key, value in arguments.items() if value is not None}
    try:
        return _Call.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise HandlerError(f"wrong argument {where}: {first['msg']}") from error


def _message(message: _Message) -> Message:
    role = _ROLES.get(message.role)
    if role is None:
        raise HandlerError(f"unknown message role {message.role!r}; use system, user or assistant")
    return Message(role, message.content)
