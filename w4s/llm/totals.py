"""What an engine has used and met so far: live totals for progress lines and tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from w4s.config import Price
from w4s.types import Usage

TOKENS_OF_A_PRICE = 1_000_000


@dataclass(frozen=True, slots=True)
class Group:
    """What a total is broken down by."""

    stage: str
    benchmark: str
    model: str


def cost_usd(usage: Usage, price: Price | None) -> float | None:
    """Return what the tokens cost in USD, or None where the model has no known price."""
    if price is None:
        return None
    prompt = usage.prompt_tokens * price.prompt
    return (prompt + usage.completion_tokens * price.completion) / TOKENS_OF_A_PRICE


class Totals:
    """Counts replies, tokens and events as they happen. `usage.cached` counts replayed calls.

    `in_flight` requests are with the endpoint now.

    Tokens are those that were paid for: replayed replies add to `cached` alone. Events are
    "request", "retry", "throttled", "outage", "refused", "empty", "truncated", "json_retry",
    "json_unusable", "estimated_usage", "adapted" and "failed".
    """

    def __init__(self, prices: Mapping[str, Price]) -> None:
        self._prices = prices
        self.by_group: dict[Group, Usage] = {}
        self.events: Counter[str] = Counter()
        self.in_flight = 0
        self._usage = Usage()

    @property
    def usage(self) -> Usage:
        """Everything together."""
        return self._usage

    @property
    def usd(self) -> float | None:
        """The cost of it, or None where a model that was paid for has no known price."""
        costs = [
            cost_usd(usage, self._prices.get(group.model))
            for group, usage in self.by_group.items()
            if usage.calls > usage.cached
        ]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) else None

    def add(self, group: Group, usage: Usage) -> None:
        """Count one reply's usage."""
        self.by_group[group] = self.by_group.get(group, Usage()) + usage
        self._usage += usage

    def line(self) -> str:
        """Say the totals in one line, e.g. `12 calls (25% replayed), 4,071 tokens, $0.0200`."""
        usd = self.usd
        cost = "unknown cost" if usd is None else f"${usd:.4f}"
        usage = self.usage
        share = usage.cached / usage.calls if usage.calls else 0.0
        line = f"{usage.calls:,} calls ({share:.0%} replayed), {usage.tokens:,} tokens, {cost}"
        return f"{line}, {self.in_flight} in flight" if self.in_flight else line
