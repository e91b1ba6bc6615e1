"""Tasks of evaluation: a finished workflow on held-out problems, and first candidates."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from tasks.cached import cached_task
from tasks.context import Context
from tasks.keys import EPISODE_CODE, EVALUATION_CODE, cache_key, executor_facts, policy_facts
from tasks.policies import PolicyChoice, trained_on
from tasks.proposing import make_proposer
from w4s.baselines import baseline
from w4s.benchmarks.custom import benchmark_label
from w4s.benchmarks.held_out import load_test
from w4s.benchmarks.registry import get_benchmark
from w4s.benchmarks.split_files import load_manifest
from w4s.benchmarks.splits import count_alike, load_validation
from w4s.config import Params
from w4s.final_test import TestResult, run_test
from w4s.first_candidates import FirstCandidates, sample_first_candidates
from w4s.proposals import SamplingRule
from w4s.types import Draw

TEST_CODE = (*EVALUATION_CODE, "final_test", "statistics", "tasks.evaluate")
CANDIDATES_CODE = (
    *EPISODE_CODE,
    "rollout",
    "first_candidates",
    "tasks.evaluate",
    "tasks.proposing",
)
TEST_RESULT = TypeAdapter(TestResult)
FIRST_CANDIDATES = TypeAdapter(FirstCandidates)


def shown_in_training(params: Params, splits: Path) -> list[str]:
    """Say which benchmarks' tests resemble public problems that training showed the policy.

    Their answers stood in its prompts: benchmarks such as GSM8K and GSM-Plus share questions.
    """
    seen = params.benchmarks.seen
    shown = [problem for name in seen for problem in load_validation(splits, name).public]
    notes = []
    for benchmark in params.benchmarks.all:
        if trained_on(params, benchmark) is not False:
            continue
        tests = load_test(splits, benchmark)
        count = count_alike(tests, shown)
        if count:
            notes.append(
                f"{benchmark_label(benchmark)}: {count} of {len(tests)} test problems are nearly "
                "the same question as a public problem of a benchmark that training saw "
                f"({', '.join(map(benchmark_label, seen))})."
            )
    return notes


@cached_task("test")
async def run_final_test(
    context: Context, *, key: str, benchmark: str, method: str, code: str
) -> dict[str, Any]:
    """Run a finished workflow on the test split; the result as JSON, with its seconds."""
    del key
    workbench = await context.resources.workbench()
    params = context.params
    started = time.monotonic()
    result = await run_test(
        code,
        load_test(context.workspace.splits, benchmark),
        method=method,
        benchmark=get_benchmark(
            benchmark,
            data_dir=params.benchmarks.data_dir,
            sandbox=workbench.sandbox,
            executor=workbench.executor,
        ),
        workbench=workbench,
        # one address for all methods: equal workflows get equal replies
        draw=Draw(seed=params.seed, stage="test", benchmark=benchmark_label(benchmark)),
    )
    seconds = time.monotonic() - started
    return {"result": TEST_RESULT.dump_python(result, mode="json"), "seconds": seconds}


def final_test_key(context: Context, *, benchmark: str, code: str) -> str:
    """Return the cache key of `run_final_test`: the same for equal workflows."""
    manifest = load_manifest(context.workspace.splits, benchmark)
    return cache_key(
        "test",
        code=TEST_CODE,
        parameters={
            "executor": executor_facts(context.params, [benchmark]),
            "seed": context.params.seed,
        },
        # the version changes with the scorer, also with that of a task of one's own
        inputs={
            "splits": manifest.splits["test"].sha256,
            "version": manifest.version,
            "workflow": code,
        },
    )


@cached_task("candidates")
async def sample_candidates(
    context: Context, *, key: str, benchmark: str, policy: PolicyChoice, example: str
) -> dict[str, Any]:
    """Sample and evaluate a policy's first candidates on validation problems."""
    del key
    params = context.params
    proposer = await make_proposer(
        context,
        benchmark=benchmark,
        policy=policy,
        turns=params.search.turns,
        rule=SamplingRule(params.search.temperature, params.search.corrections),
    )
    found = await sample_first_candidates(
        proposer,
        example=baseline(example, benchmark=benchmark).code,
        count=params.evaluate.first_candidates,
        draw=Draw(
            seed=params.seed,
            stage="candidates",
            benchmark=benchmark_label(benchmark),
            policy=policy.name,
        ),
    )
    return {"result": FIRST_CANDIDATES.dump_python(found, mode="json")}


def candidates_key(context: Context, *, benchmark: str, policy: PolicyChoice, example: str) -> str:
    """Return the cache key of `sample_candidates`."""
    params = context.params
    return cache_key(
        "candidates",
        code=CANDIDATES_CODE,
        parameters={
            "executor": executor_facts(params, [benchmark]),
            "policy": policy_facts(params),
            "name": policy.name,  # part of the draws' address
            "sampling": [
                params.search.turns,
                params.search.temperature,
                params.search.corrections,
                params.evaluate.first_candidates,
            ],
            "seed": params.seed,
        },
        inputs={
            "splits": load_validation(context.workspace.splits, benchmark).sha256,
            "example": baseline(example, benchmark=benchmark).code,
            "adapter": policy.sha256(),
        },
    )
