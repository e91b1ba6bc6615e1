"""The task of search: one policy, one benchmark, one seed."""

from __future__ import annotations

import time
from typing import Any

from pydantic import TypeAdapter

from tasks.cached import cached_task
from tasks.context import Context
from tasks.keys import EPISODE_CODE, cache_key, executor_facts, policy_facts
from tasks.policies import PolicyChoice
from tasks.proposing import make_proposer, turn_listener
from w4s.benchmarks.splits import load_validation
from w4s.proposals import SamplingRule
from w4s.search import SearchPlan, SearchResult, search
from w4s.types import Draw
from w4s.workflow import builtin_workflow

CODE = (*EPISODE_CODE, "rollout", "search")
RESULT = TypeAdapter(SearchResult)


@cached_task("search")
async def search_once(
    context: Context, *, key: str, benchmark: str, policy: PolicyChoice, seed: int, example: str
) -> dict[str, Any]:
    """Search from `example`; the result as JSON, with the seconds that it took."""
    del key
    params = context.params.search
    proposer = await make_proposer(
        context,
        benchmark=benchmark,
        policy=policy,
        turns=params.turns,
        rule=SamplingRule(params.temperature, params.corrections),
    )
    started = time.monotonic()
    result = await search(
        proposer,
        example=builtin_workflow(example).code,
        plan=SearchPlan(params.iterations, params.turns),
        draw=Draw(seed=seed, stage="search", benchmark=benchmark, policy=policy.name),
        on_turn=turn_listener(context, f"{benchmark}, {policy.name}, seed {seed}"),
    )
    seconds = time.monotonic() - started
    return {"result": RESULT.dump_python(result, mode="json"), "seconds": seconds}


def search_key(
    context: Context, *, benchmark: str, policy: PolicyChoice, seed: int, example: str
) -> str:
    """Return the cache key of `search_once`."""
    params = context.params
    return cache_key(
        "search",
        code=CODE,
        parameters={
            "executor": executor_facts(params),
            "policy": policy_facts(params),
            "name": policy.name,  # part of the draws' address
            "search": params.search.model_dump(mode="json", exclude={"seeds"}),
            "reward": params.reward.model_dump(mode="json"),
            "seed": seed,
        },
        inputs={
            "splits": load_validation(context.workspace.splits, benchmark).sha256,
            "example": builtin_workflow(example).code,
            "adapter": policy.sha256(),
        },
    )
