"""Small real implementations of the seams, for tests that are not about the seams themselves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from w4s.agent import CallLimits
from w4s.environment import Environment
from w4s.evaluation import Workbench
from w4s.llm.base import ChatReply, ChatRequest, Executor
from w4s.policy.base import PolicyReply
from w4s.prompts.state import PromptBudget
from w4s.proposals import Proposer, SamplingRule
from w4s.rewards import RewardRule
from w4s.sandbox.base import Handler, HandlerError, LimitHit, Limits, SandboxResult
from w4s.sandbox.handle import Agent
from w4s.types import (
    Failure,
    FailureKind,
    Message,
    PrivateProblem,
    Problem,
    PublicProblem,
    Score,
    Usage,
    ValidationSplits,
)


def adder_splits(private: int = 4, public: int = 2) -> ValidationSplits:
    """Problems "i + i" of a benchmark called adder."""

    def fields(i: int, split: str) -> dict[str, Any]:
        return {"id": f"{split}-{i}", "benchmark": "adder", "question": f"{i} + {i}"}

    return ValidationSplits(
        benchmark="adder",
        private=tuple(
            PrivateProblem(**fields(100 + i, "private"), answer=str(200 + 2 * i))
            for i in range(private)
        ),
        public=tuple(
            PublicProblem(**fields(i, "public"), answer=str(2 * i)) for i in range(public)
        ),
        sha256="0" * 64,
    )


@dataclass
class AdderBenchmark:
    """Exact match."""

    name: str = "adder"
    description: str = "Add two numbers."
    version: str = "1"

    def problems(self, count: int, *, seed: int) -> list[Problem]:
        return [Problem(str(i), "adder", f"{i} + {i}", str(2 * i)) for i in range(count)]

    async def score(self, problem: Problem, answer: str) -> Score:
        return Score(float(answer == problem.answer), answer, "exact match")


@dataclass
class FakeExecutor:
    """Answers by a function of (request, draw); keeps what it was asked."""

    answer: Callable[[ChatRequest, str], str] = lambda request, draw: request.messages[-1].content
    asked: list[tuple[ChatRequest, str]] = field(default_factory=list)

    async def chat(self, request: ChatRequest, *, draw: str) -> ChatReply:
        self.asked.append((request, draw))
        texts = tuple(self.answer(request, draw) for _ in range(request.n))
        return ChatReply(texts, ("stop",) * request.n, Usage(1, 10, 5 * request.n))


def _agent(handler: Handler, loop: asyncio.AbstractEventLoop) -> Agent:
    """The real handle of a workflow, over an asynchronous handler instead of a pipe."""

    def call(operation: str, arguments: dict[str, Any]) -> Any:
        answer: Coroutine[Any, Any, Any] = handler(operation, arguments)  # type: ignore[assignment]
        return asyncio.run_coroutine_threadsafe(answer, loop).result()

    return Agent(call)


class FakeSandbox:
    """Runs the tests' own trusted workflows in a thread of this process."""

    def __init__(self) -> None:
        self.code_limits: list[Limits] = []

    async def run_workflow(
        self, code: str, *, task: str, handler: Handler, limits: Limits, seed: int
    ) -> SandboxResult:
        handle = _agent(handler, asyncio.get_running_loop())
        try:
            value = await asyncio.to_thread(_run, code, "workflow", (handle, task))
        except LimitHit as hit:
            return _result(None, hit.failure)
        except (HandlerError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            message = f"{type(error).__name__}: {error}"
            return _result(None, Failure(FailureKind.RUNTIME, message, 1))
        return _result(value, None)

    async def run_code(
        self,
        code: str,
        *,
        limits: Limits,
        seed: int,
        entry_point: str = "solution",
        calls: Sequence[Sequence[Any]] = ((),),
    ) -> SandboxResult:
        self.code_limits.append(limits)
        return _result([{"ok": _run(code, entry_point, arguments)} for arguments in calls], None)


def _run(code: str, entry_point: str, arguments: Sequence[Any]) -> Any:
    scope: dict[str, Any] = {}
    exec(compile(code, "<test>", "exec"), scope)  # noqa: S102  # the tests' own code
    return scope[entry_point](*arguments)


def _result(value: Any, failure: Failure | None) -> SandboxResult:
    return SandboxResult(value, failure, "", 0.0, 0, 0.0)


class ScriptedPolicy:
    """Gives the next replies of a script; keeps the states that it was shown."""

    identity = "scripted"

    def __init__(self, replies: Sequence[str]) -> None:
        self._replies = list(replies)
        self._lock = threading.Lock()
        self.states: list[tuple[Message, ...]] = []

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content.split()) for message in messages)

    async def sample(
        self, messages: Sequence[Message], *, n: int, temperature: float, seed: int
    ) -> list[PolicyReply]:
        with self._lock:
            self.states.append(tuple(messages))
            taken, self._replies = self._replies[:n], self._replies[n:]
        return [PolicyReply(text, len(text.split()), False) for text in taken]


RIGHT = (
    'def workflow(agent, task):\n    a, b = task.split(" + ")\n'
    '    return {"answer": int(a) + int(b)}'
)
HALF = (
    'def workflow(agent, task):\n    a, b = task.split(" + ")\n'
    '    return {"answer": int(a) + int(b) if int(a) % 2 else 0}'
)
WRONG = 'def workflow(agent, task):\n    return {"answer": "no"}'


def fake_workbench(executor: Executor | None = None, *, calls: int = 8) -> Workbench:
    """Return a workbench of fakes; an echo answers where no executor is given."""
    limits = CallLimits(calls=calls, tokens=1000, reply_tokens=50)
    return Workbench(executor or FakeExecutor(), FakeSandbox(), Limits(), limits, Limits())


def adder_proposer(
    replies: Sequence[str], *, executor: Executor | None = None, corrections: int = 0
) -> Proposer:
    """Return a scripted policy in the environment of the adder."""
    policy = ScriptedPolicy(replies)
    environment = Environment(
        benchmark=AdderBenchmark(),
        splits=adder_splits(),
        workbench=fake_workbench(executor),
        budget=PromptBudget(10_000, policy.count_tokens, "compact"),
        rule=RewardRule(),
    )
    return Proposer(policy, environment, SamplingRule(1.0, corrections))


def shown_states(proposer: Proposer) -> list[tuple[Message, ...]]:
    """Return the states that a scripted policy was shown."""
    assert isinstance(proposer.policy, ScriptedPolicy)
    return proposer.policy.states


def reply_with(code: str, analysis: str = "Try this.") -> str:
    """A policy's reply that holds `code`."""
    return f"{analysis}\n```python\n{code}\n```"
