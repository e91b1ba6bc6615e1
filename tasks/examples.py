"""The task that measures an example workflow on a benchmark's validation problems."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tasks.cached import cached_task
from tasks.context import Context
from tasks.keys import EVALUATION_CODE, cache_key, executor_facts
from w4s.baselines import baseline
from w4s.benchmarks.custom import benchmark_label
from w4s.benchmarks.registry import get_benchmark
from w4s.benchmarks.splits import load_validation
from w4s.evaluation import evaluate
from w4s.types import Draw

CODE = (*EVALUATION_CODE, "tasks.examples")


@cached_task("example")
async def evaluate_example(
    context: Context, *, key: str, benchmark: str, example: str
) -> dict[str, Any]:
    """Evaluate a built-in example workflow on the validation problems of `benchmark`."""
    del key
    workbench = await context.resources.workbench()
    params = context.params
    feedback = await evaluate(
        baseline(example, benchmark=benchmark).code,
        load_validation(context.workspace.splits, benchmark),
        benchmark=get_benchmark(
            benchmark,
            data_dir=params.benchmarks.data_dir,
            sandbox=workbench.sandbox,
            executor=workbench.executor,
        ),
        workbench=workbench,
        # the address that episodes and searches evaluate their examples at
        draw=Draw(seed=params.seed, stage="example", benchmark=benchmark_label(benchmark)).path,
    )
    return {"example": example, "accuracy": feedback.accuracy, "usage": asdict(feedback.usage)}


def example_key(context: Context, *, benchmark: str, example: str) -> str:
    """Return the cache key of `evaluate_example`."""
    return cache_key(
        "example",
        code=CODE,
        parameters={
            "executor": executor_facts(context.params, [benchmark]),
            "seed": context.params.seed,
        },
        inputs={
            "splits": load_validation(context.workspace.splits, benchmark).sha256,
            "workflow": baseline(example, benchmark=benchmark).code,
        },
    )
