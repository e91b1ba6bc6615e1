"""The task of search: one policy, one benchmark, one seed."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from tasks.cached import cached_task
from tasks.context import Context
from tasks.keys import EPISODE_CODE, cache_key, executor_facts, policy_facts
from tasks.policies import PolicyChoice
from tasks.proposing import make_proposer, turn_listener
from w4s.baselines import baseline
from w4s.benchmarks.custom import benchmark_label
from w4s.benchmarks.splits import load_validation
from w4s.config import Params
from w4s.llm.budget import Budget
from w4s.llm.limited import LimitedExecutor
from w4s.llm.open import known_prices
from w4s.proposals import SamplingRule
from w4s.search import SearchPlan, SearchResult
from w4s.searches.registry import W4S, get_search
from w4s.types import Draw

CODE = (*EPISODE_CODE, "rollout", "search", "tasks.search", "tasks.proposing")
RESULT = TypeAdapter(SearchResult)


@cached_task("search")
async def search_once(
    context: Context,
    *,
    key: str,
    benchmark: str,
    policy: PolicyChoice,
    seed: int,
    example: str,
    method: str = W4S,
) -> dict[str, Any]:
    """Search from `example` by `method`; the result as JSON, with the seconds that it took."""
    del key
    params = context.params.search
    executor = await _limited(context)
    proposer = await make_proposer(
        context,
        benchmark=benchmark,
        policy=policy,
        turns=params.turns,
        rule=SamplingRule(params.temperature, params.corrections),
        executor=executor,
    )
    started = time.monotonic()
    result = await get_search(method)(
        proposer,
        example=baseline(example, benchmark=benchmark).code,
        plan=SearchPlan(params.iterations, params.turns, params.candidates),
        draw=Draw(
            seed=seed, stage="search", benchmark=benchmark_label(benchmark), policy=policy.name
        ),
        on_turn=turn_listener(context, search_label(benchmark, policy, seed, method)),
    )
    seconds = time.monotonic() - started
    result = replace(result, usage=executor.usage)  # with trial runs and judges
    return {"result": RESULT.dump_python(result, mode="json"), "seconds": seconds}


async def _limited(context: Context) -> LimitedExecutor:
    """Return the executor within the budget of one search."""
    params = context.params
    budget = Budget(
        params.search.budget, prices=known_prices(params.executor), name="search.budget"
    )
    return LimitedExecutor(
        (await context.resources.workbench()).executor,
        budget,
        model=params.executor.model,
        max_tokens=params.executor.max_tokens,
    )


def search_label(benchmark: str, policy: PolicyChoice, seed: int, method: str) -> str:
    """Name a search for whoever waits for it."""
    how = policy.name if method == W4S else f"{method} with {policy.name}"
    return f"{benchmark_label(benchmark)}, {how}, seed {seed}"


def search_key(
    context: Context,
    *,
    benchmark: str,
    policy: PolicyChoice,
    seed: int,
    example: str,
    method: str = W4S,
) -> str:
    """Return the cache key of `search_once`. A rival's is of its own code as well."""
    params = context.params
    rival = method != W4S
    priced = params.search.budget.usd is not None  # then prices decide where the search ends
    return cache_key(
        "search",
        code=(*CODE, "searches") if rival else CODE,
        parameters={
            "executor": executor_facts(params, [benchmark]),
            "policy": policy_facts(params),
            "name": policy.name,  # part of the draws' address
            "search": params.search.model_dump(mode="json", exclude={"seeds", "rivals"}),
            "reward": params.reward.model_dump(mode="json"),
            "seed": seed,
            **({"method": method} if rival else {}),
            **({"prices": _prices(params)} if priced else {}),
        },
        inputs={
            "splits": load_validation(context.workspace.splits, benchmark).sha256,
            "example": baseline(example, benchmark=benchmark).code,
            "adapter": policy.sha256(),
        },
    )


def _prices(params: Params) -> dict[str, Any]:
    prices = known_prices(params.executor)
    return {model: price.model_dump() for model, price in sorted(prices.items())}
