"""An executor with a budget of its own: what one search may spend, beside the run's budget."""

from __future__ import annotations

from dataclasses import replace

from w4s.errors import BudgetError, SearchBudgetError
from w4s.llm.base import ChatReply, ChatRequest, Executor
from w4s.llm.budget import Amount, Budget
from w4s.types import Usage

_CHARACTERS_PER_TOKEN = 3  # as the engine estimates: to be on the safe side


class LimitedExecutor:
    """Asks `executor` within `budget`.

    Replayed replies count as well. The budget is spent once less is left of tokens or USD than
    the largest call so far might have taken: that does not depend on which replies come first,
    so that a search stops at the same place every time. `usage` is what was asked through it, by
    whomever, as if nothing had been on record. `model` and `max_tokens` stand in where a request
    names none.
    """

    def __init__(self, executor: Executor, budget: Budget, *, model: str, max_tokens: int) -> None:
        self._executor = executor
        self._budget = budget
        self._model = model
        self._max_tokens = max_tokens
        self._largest = Amount()
        self.usage = Usage()

    async def chat(self, request: ChatRequest, *, draw: str) -> ChatReply:
        """Return the executor's reply.

        Raises SearchBudgetError where it would pass the budget, BudgetError where USD are limited
        and the price is not known, and what the executor raises.
        """
        model = request.model or self._model
        characters = sum(len(message.content) for message in request.messages)
        most = Usage(
            calls=request.n,
            prompt_tokens=characters // _CHARACTERS_PER_TOKEN,
            completion_tokens=request.n * (request.max_tokens or self._max_tokens),
        )
        reserved = self._budget.amount(model, most)
        self._largest = Amount(
            tokens=max(self._largest.tokens, reserved.tokens),
            usd=max(self._largest.usd, reserved.usd),
        )
        try:
            await self._budget.reserve(reserved)
        except BudgetError as error:
            raise SearchBudgetError(str(error)) from error
        spent = Usage()
        try:
            reply = await self._executor.chat(request, draw=draw)
            spent = replace(reply.usage, cached=0)
        finally:
            self.usage += spent
            self._budget.settle(reserved, self._budget.amount(model, spent))
        try:
            self._budget.require(self._largest)
        except BudgetError as error:
            raise SearchBudgetError(str(error)) from error
        return reply
