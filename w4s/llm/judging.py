"""The models that judge answers: an executor of their own beside the one that is judged.

Who judges is the same whoever answers, so that verdicts can be compared. Knows no prompts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from w4s.config import ExecutorParams, Params
from w4s.errors import BudgetError, ConfigError
from w4s.llm.base import ChatReply, ChatRequest, JudgeService
from w4s.llm.budget import Amount, Budget
from w4s.llm.endpoint import EMBEDDED_MODEL

if TYPE_CHECKING:
    from w4s.llm.engine import Engine

STAGE = "judge"


@dataclass(frozen=True, slots=True)
class OpenJudge:
    """A judge that can be asked: its model, its engine, and what is left of its calls.

    `own` is whether the engine is to be closed with the judge.
    """

    model: str
    engine: Engine
    calls: Budget
    own: bool


def judge_params(params: Params, judge: JudgeService) -> ExecutorParams:
    """Return how the judge is reached.

    Another model than the executor's is looked for at the executor's address; beside the embedded
    executor, which has none, where the environment says. Raises ConfigError for an address alone.
    """
    executor = params.judging or params.executor
    model = judge.model or executor.model
    if judge.base_url is None:
        elsewhere = model == EMBEDDED_MODEL != executor.model
        base_url = None if elsewhere else executor.base_url
    elif model == EMBEDDED_MODEL:
        raise ConfigError(f"{judge.task}: judge.base_url is set, and no model of it: judge.model.")
    else:
        base_url = judge.base_url
    return executor.model_copy(update={"model": model, "base_url": base_url})


class JudgedExecutor:
    """An executor that passes what is for a judge on to it. Use it as an async context manager.

    A judge is opened when it is first asked. It is asked at most `calls` times, those on record
    among them; what is on record is answered without asking.
    """

    def __init__(self, engine: Engine, open_judge: Callable[[JudgeService], OpenJudge]) -> None:
        self._engine = engine
        self._open_judge = open_judge
        self._judges: dict[JudgeService, OpenJudge] = {}
        self._stack = AsyncExitStack()
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def chat(self, request: ChatRequest, *, draw: str) -> ChatReply:
        """Return the reply of the executor, or of the judge that `request` names.

        Raises what the engine raises, and BudgetError where the judge's calls are used up.
        """
        if request.judge is None:
            return await self._engine.chat(request, draw=draw)
        judge = await self._judge(request.judge)
        wanted = replace(request, judge=None, model=judge.model)
        if judge.engine.holds(wanted, draw=draw):
            return await judge.engine.chat(wanted, draw=draw)
        return await self._asked(judge, request.judge, wanted, draw)

    async def _asked(
        self, judge: OpenJudge, service: JudgeService, wanted: ChatRequest, draw: str
    ) -> ChatReply:
        one = Amount(calls=1)
        try:
            await judge.calls.reserve(one)
        except BudgetError as error:
            if judge.engine.holds(wanted, draw=draw):  # somebody asked the same meanwhile
                return await judge.engine.chat(wanted, draw=draw)
            spent = BudgetError(
                f"{service.task}: the judge was asked judge.calls = {service.calls} times in this "
                "workspace. Everything is kept; raise judge.calls in the task file to go on."
            )
            self._engine.end(spent)
            judge.engine.end(spent)
            raise spent from error
        asked = Amount()
        try:
            reply = await judge.engine.chat(wanted, draw=draw)
            asked = Amount(calls=reply.usage.calls - reply.usage.cached)
        finally:
            judge.calls.settle(one, asked)
        return reply

    async def _judge(self, service: JudgeService) -> OpenJudge:
        async with self._lock:
            judge = self._judges.get(service)
            if judge is None:
                judge = self._open_judge(service)
                if judge.own:
                    await self._stack.enter_async_context(judge.engine)
                self._judges[service] = judge
        return judge
