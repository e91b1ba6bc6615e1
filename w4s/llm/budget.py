"""The most that a run may spend: calls, tokens, money. Reserves before, settles after."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from w4s.config import BudgetParams, Price
from w4s.errors import BudgetError
from w4s.llm.totals import cost_usd
from w4s.types import Usage


@dataclass(frozen=True, slots=True)
class Amount:
    """Something spent or set aside. `usd` counts models with a known price only."""

    calls: int = 0
    tokens: int = 0
    usd: float = 0.0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.calls + other.calls, self.tokens + other.tokens, self.usd + other.usd)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.calls - other.calls, self.tokens - other.tokens, self.usd - other.usd)


class Budget:
    """Limits of calls, tokens and USD over everything that is asked through it.

    `spent` starts with what earlier runs of the same work cost, so that resuming with the same
    limits does not spend twice. A call that would not fit beside those in flight waits for them;
    one that does not fit alone is refused.
    """

    def __init__(
        self,
        limits: BudgetParams | None = None,
        *,
        prices: Mapping[str, Price] | None = None,
        spent: Amount | None = None,
        name: str = "budget",
    ) -> None:
        """Limit what is spent; `name` is the parameter that messages tell to raise."""
        self._name = name
        self._limits = limits or BudgetParams()
        self._prices = prices or {}
        self._reserved = Amount()
        self._waiters: list[asyncio.Future[None]] = []
        self.spent = spent or Amount()

    @property
    def unlimited(self) -> bool:
        """Whether nothing is limited."""
        limits = self._limits
        return limits.calls is None and limits.tokens is None and limits.usd is None

    def amount(self, model: str, usage: Usage) -> Amount:
        """Return what `usage` of `model` takes from the budget.

        Raises BudgetError where USD are limited and the model's price is not known.
        """
        usd = cost_usd(usage, self._prices.get(model))
        if usd is None and self._limits.usd is not None:
            raise BudgetError(
                f"{self._name}.usd is {self._limits.usd:g}, but the price of {model!r} is not "
                "known. Add it to executor.prices (USD for a million tokens), or limit tokens "
                "instead."
            )
        return Amount(usage.calls, usage.tokens, usd or 0.0)

    async def reserve(self, amount: Amount) -> None:
        """Set `amount` aside, waiting for calls in flight where it may fit after them.

        Raises BudgetError where it would pass a limit.
        """
        while (limit := self._passed(self.spent + self._reserved + amount)) is not None:
            if self._reserved == Amount() or self._passed(self.spent + amount) is not None:
                raise BudgetError(self._message(limit, amount))
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        self._reserved += amount

    def require(self, amount: Amount) -> None:
        """Raise BudgetError where `amount` does not fit beside what is spent."""
        limit = self._passed(self.spent + amount)
        if limit is not None:
            raise BudgetError(self._message(limit, amount))

    def settle(self, reserved: Amount, spent: Amount) -> None:
        """Turn what was set aside into what was spent (nothing, where the call failed)."""
        self._reserved = self._reserved - reserved
        if self._reserved.calls == 0:
            self._reserved = Amount()  # no drift of floating-point sums
        self.spent += spent
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _passed(self, total: Amount) -> str | None:
        limits = self._limits
        if limits.calls is not None and total.calls > limits.calls:
            return "calls"
        if limits.tokens is not None and total.tokens > limits.tokens:
            return "tokens"
        if limits.usd is not None and total.usd > limits.usd:
            return "usd"
        return None

    def _message(self, limit: str, amount: Amount) -> str:
        spent = self.spent
        replies = f"{amount.calls} replies, " if amount.calls else ""
        return (
            f"The budget is spent: the next call ({replies}at most {amount.tokens} tokens, "
            f"${amount.usd:.4f}) would pass {self._name}.{limit} = "
            f"{getattr(self._limits, limit):g}. So far: {spent.calls} calls, {spent.tokens} "
            f"tokens, ${spent.usd:.4f}. Everything is kept; raise {self._name}.{limit} to go on."
        )
