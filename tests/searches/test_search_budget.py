"""A search with a budget of its own, by every method: it ends early with what it has found."""

import asyncio
import random

import pytest

from tests.fakes import (
    FakeExecutor,
    adder_proposer,
    reply_with,
)
from w4s.config import BudgetParams, Price
from w4s.errors import BudgetError, SearchBudgetError
from w4s.llm.base import ChatReply, ChatRequest, Executor
from w4s.llm.budget import Budget
from w4s.llm.limited import LimitedExecutor
from w4s.search import SearchPlan, SearchResult
from w4s.searches.registry import SEARCHES, get_search
from w4s.types import Draw, Usage

ASKS = (
    "def workflow(agent, task):\n"
    '    agent.call_llm([{{"role": "user", "content": task}}], 0.7, 1)\n'
    "    a, b = task.split(' + ')\n"
    '    return {{"answer": int(a) + int(b) + {wrong}}}'
)
EXAMPLE, RIGHT = ASKS.format(wrong=1), ASKS.format(wrong=0)
PROBLEMS = 4 + 2  # private and public: one call each
TRIAL = 1


class Unpunctual:
    """Replies in an order of chance; how long a reply is follows from the question."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    async def chat(self, request: ChatRequest, *, draw: str) -> ChatReply:
        await asyncio.sleep(self._rng.randrange(5) / 1000)
        length = 45 if "0" in request.messages[-1].content[1:] else 5
        return ChatReply(("1",), ("stop",), Usage(1, 1, length))


def run(
    name: str,
    limits: BudgetParams,
    *,
    prices: dict[str, Price] | None = None,
    executor: Executor | None = None,
) -> tuple[SearchResult, LimitedExecutor]:
    budget = Budget(limits, prices=prices, name="search.budget")
    limited = LimitedExecutor(executor or FakeExecutor(), budget, model="m", max_tokens=50)
    proposer = adder_proposer([reply_with(RIGHT)] * 4, executor=limited)
    draw = Draw(seed=0, stage="search", benchmark="adder", policy="p")
    work = get_search(name)(proposer, example=EXAMPLE, plan=SearchPlan(4, 2), draw=draw)
    return asyncio.run(work), limited


@pytest.mark.parametrize("name", list(SEARCHES))
def test_a_search_ends_at_its_budget_with_whole_iterations(name: str) -> None:
    """The best up to there is the result; it says why it ended."""
    two = PROBLEMS + 2 * (TRIAL + PROBLEMS)
    result, limited = run(name, BudgetParams(calls=two + 3))
    assert len(result.iterations) == 2
    assert (result.accuracy, result.found) == (1.0, 0)
    assert result.stopped is not None
    assert "search.budget.calls" in result.stopped
    assert limited.usage.calls <= two + 3


@pytest.mark.parametrize("name", list(SEARCHES))
def test_a_search_counts_its_trial_runs(name: str) -> None:
    """What was asked through its executor is more than the evaluations alone."""
    result, limited = run(name, BudgetParams())
    assert result.stopped is None
    assert result.usage.calls == 5 * PROBLEMS
    assert limited.usage.calls == 5 * PROBLEMS + 4 * TRIAL


def test_the_order_of_replies_does_not_decide_where_a_token_budget_ends() -> None:
    """Whatever comes back first: the same iterations, and the budget is never passed."""
    _, unlimited = run("random", BudgetParams(), executor=Unpunctual(0))
    ends = set()
    for left in (0, 25, 45, 90):  # a call may take 67 tokens, and takes 6 or 46
        limits = BudgetParams(tokens=unlimited.usage.tokens + left)
        runs = [run("random", limits, executor=Unpunctual(seed)) for seed in range(4)]
        assert len({len(result.iterations) for result, _ in runs}) == 1
        assert all(limited.usage.tokens <= limits.tokens for _, limited in runs)
        ends.add(len(runs[0][0].iterations))
    assert ends == {3, 4}


def test_a_budget_that_ends_before_the_example_is_an_error() -> None:
    """There is nothing to return."""
    with pytest.raises(SearchBudgetError, match=r"raise search\.budget\.calls"):
        run("w4s", BudgetParams(calls=3))


def test_a_budget_in_money_needs_the_price() -> None:
    """That ends the run, not the search alone."""
    with pytest.raises(BudgetError, match="price of 'm' is not known") as caught:
        run("w4s", BudgetParams(usd=1.0))
    assert not isinstance(caught.value, SearchBudgetError)
