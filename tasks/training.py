"""The tasks that train: cloning for the warm start, and one objective on the trajectories.

An adapter is made in the cache folder under its key; the stage then copies it to its place.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.cached import cached_task
from tasks.context import Context
from tasks.keys import cache_key, file_sha256, policy_facts, text_sha256
from tasks.policies import PolicyChoice
from tasks.trajectories import FILE
from w4s.benchmarks.registry import get_benchmark
from w4s.benchmarks.splits import load_validation
from w4s.config import Objective, Params
from w4s.policy.warm_start import Pair, WarmStartTask, warm_start_pairs
from w4s.runtime import prompt_budget
from w4s.seeds import derive_seed

if TYPE_CHECKING:  # torch is loaded where something is trained, not where results are found
    from w4s.training.metrics import StepMetrics
    from w4s.training.train import TrainingResult
from w4s.trajectories import read_trajectories

CLONE_CODE = (
    "parsing",
    "policy",
    "prompts",
    "runtime",
    "seeds",
    "training",
    "types",
    "workflow",
    "workflows",
)
TRAIN_CODE = ("policy", "seeds", "trajectories", "training", "types")
OnStep = Callable[["StepMetrics", int], None]


class _Stopped(Exception):
    """The run was interrupted: leave the training thread."""


@cached_task("warm_start")
async def clone_grammar(context: Context, *, key: str) -> dict[str, Any]:
    """Train the adapter of the warm start in the cache folder; its figures as JSON."""
    from w4s.training.train import Resources, clone

    params = context.params
    pairs = await _pairs(context)
    resources = Resources(
        params.policy, out=made_folder(context, key), seed=derive_seed(params.seed, "warm start")
    )

    def work(on_step: OnStep) -> TrainingResult:
        return clone(pairs, params=params.warm_start, resources=resources, on_step=on_step)

    return _figures(await _in_thread(context, "warm start", work))


def clone_key(context: Context) -> str:
    """Return the cache key of `clone_grammar`."""
    params = context.params
    splits = [
        load_validation(context.workspace.splits, name).sha256 for name in params.benchmarks.seen
    ]
    return cache_key(
        "warm_start",
        code=CLONE_CODE,
        parameters={
            "policy": policy_facts(params),
            "warm_start": params.warm_start.model_dump(mode="json", exclude={"adapter"}),
            "turns": params.collect.turns,
            "seed": params.seed,
            "descriptions": [_description(params, name) for name in params.benchmarks.seen],
        },
        inputs={"splits": text_sha256(" ".join(splits))},
    )


@cached_task("train")
async def train_objective(
    context: Context, *, key: str, objective: Objective, start: PolicyChoice
) -> dict[str, Any]:
    """Train the adapter of `objective` in the cache folder; its figures as JSON."""
    from w4s.training.train import Resources, train

    params = context.params
    trajectories = read_trajectories(context.workspace.trajectories / FILE)
    resources = Resources(
        params.policy,
        out=made_folder(context, key),
        seed=derive_seed(params.seed, "train"),
        start=start.adapter,
    )

    def work(on_step: OnStep) -> TrainingResult:
        return train(
            trajectories,
            params=params.train,
            objective=objective,
            resources=resources,
            min_accuracy=params.collect.min_accuracy,
            on_step=on_step,
        )

    return _figures(await _in_thread(context, objective, work))


def train_key(context: Context, *, objective: Objective, start: PolicyChoice) -> str:
    """Return the cache key of `train_objective`."""
    params = context.params
    return cache_key(
        "train",
        code=TRAIN_CODE,
        parameters={
            "policy": policy_facts(params),
            "train": params.train.model_dump(mode="json", exclude={"objectives"}),
            "objective": objective,
            "min_accuracy": params.collect.min_accuracy,
            "seed": params.seed,
        },
        inputs={
            "trajectories": file_sha256(context.workspace.trajectories / FILE),
            "adapter": start.sha256(),
        },
    )


def made_folder(context: Context, key: str) -> Path:
    """Return where the training with cache key `key` puts its adapter."""
    return context.workspace.made / key


async def _pairs(context: Context) -> list[Pair]:
    params = context.params
    policy = await context.resources.policy(None)
    tasks = [
        WarmStartTask(
            _description(params, name),
            load_validation(context.workspace.splits, name).public,
        )
        for name in params.benchmarks.seen
    ]
    return warm_start_pairs(
        tasks,
        count=params.warm_start.samples,
        seed=params.seed,
        budget=prompt_budget(params, policy, turns=params.collect.turns),
    )


def _description(params: Params, benchmark: str) -> str:
    return get_benchmark(benchmark, data_dir=params.benchmarks.data_dir).description


async def _in_thread(
    context: Context, item: str, work: Callable[[OnStep], TrainingResult]
) -> TrainingResult:
    """Run `work` in a thread that an interruption ends after its present step."""
    context.resources.drop_policy()
    stop = threading.Event()

    def on_step(metrics: StepMetrics, steps: int) -> None:
        if stop.is_set():
            raise _Stopped
        context.progress.step(item, metrics.step, steps, f"loss {metrics.loss:.3f}")

    try:
        return await asyncio.to_thread(work, on_step)
    except asyncio.CancelledError:
        stop.set()
        raise


def _figures(result: TrainingResult) -> dict[str, Any]:
    return {
        "samples": result.samples,
        "steps": result.steps,
        "effective_samples": result.effective_samples,
        "truncated": result.truncated,
        "seconds": result.seconds,
        "rows": [asdict(row) for row in result.rows],
        "rewards": list(result.rewards),
    }
