"""The task of collection: one episode on one benchmark."""

from __future__ import annotations

from typing import Any

from tasks.cached import cached_task
from tasks.context import Context
from tasks.keys import EPISODE_CODE, cache_key, executor_facts, policy_facts
from tasks.policies import PolicyChoice
from tasks.proposing import make_proposer, turn_listener
from w4s.baselines import baseline
from w4s.benchmarks.custom import benchmark_label
from w4s.benchmarks.splits import load_validation
from w4s.proposals import SamplingRule
from w4s.rollout import EpisodePlan, collect_episode
from w4s.trajectories import to_json
from w4s.types import Draw

CODE = (*EPISODE_CODE, "rollout", "trajectories", "tasks.collect", "tasks.proposing")


@cached_task("collect")
async def collect_one_episode(
    context: Context, *, key: str, benchmark: str, episode: int, policy: PolicyChoice
) -> dict[str, Any]:
    """Play one episode; its trajectories as JSON."""
    del key
    params = context.params
    proposer = await make_proposer(
        context,
        benchmark=benchmark,
        policy=policy,
        turns=params.collect.turns,
        rule=SamplingRule(params.collect.temperature, params.collect.corrections),
    )
    trajectories = await collect_episode(
        proposer,
        example=baseline(episode_example(context, episode), benchmark=benchmark).code,
        plan=EpisodePlan(
            windows=params.collect.windows,
            turns=params.collect.turns,
            candidates=params.collect.candidates,
            racing=params.collect.racing,
        ),
        draw=Draw(
            seed=params.seed, stage="collect", benchmark=benchmark_label(benchmark), episode=episode
        ),
        on_turn=turn_listener(context, f"{benchmark_label(benchmark)}, episode {episode}"),
    )
    return {"trajectories": [to_json(trajectory) for trajectory in trajectories]}


def episode_key(context: Context, *, benchmark: str, episode: int, policy: PolicyChoice) -> str:
    """Return the cache key of `collect_one_episode`."""
    params = context.params
    return cache_key(
        "collect",
        code=CODE,
        parameters={
            "executor": executor_facts(params, [benchmark]),
            "policy": policy_facts(params),
            "collect": params.collect.model_dump(mode="json", exclude={"episodes", "min_accuracy"}),
            "reward": params.reward.model_dump(mode="json"),
            "seed": params.seed,
            "episode": episode,
        },
        inputs={
            "splits": load_validation(context.workspace.splits, benchmark).sha256,
            "example": baseline(episode_example(context, episode), benchmark=benchmark).code,
            "adapter": policy.sha256(),
        },
    )


def episode_example(context: Context, episode: int) -> str:
    """Return the name of the example workflow that an episode starts from."""
    examples = context.params.examples
    return examples[episode % len(examples)]
