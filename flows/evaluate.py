"""Stage 6: the one final test of finished workflows. `python -m flows.evaluate`."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import flow

from flows.stage import run_recipes
from tasks.cached import run_task
from tasks.context import Context
from tasks.evaluate import (
    FIRST_CANDIDATES,
    TEST_RESULT,
    candidates_key,
    final_test_key,
    run_final_test,
    sample_candidates,
    shown_in_training,
)
from tasks.methods import finished_methods
from tasks.options import PARAMS_FILE
from tasks.policies import PolicyChoice, searching_policies, trained_on
from tasks.results import Method, make_row, write_results
from tasks.searches import Searches, read_searches
from tasks.spread import run_items
from tasks.variants import small_model_alone
from w4s.benchmarks.custom import benchmark_label
from w4s.final_test import TestResult
from w4s.first_candidates import FirstCandidates
from w4s.report.rows import ResultRow


async def evaluate_stage(context: Context) -> None:
    """Test every finished workflow, compare the policies' first candidates, write the results."""
    searches = read_searches(context.workspace.searches)
    policies = searching_policies(context.params, context.workspace)
    methods = finished_methods(context.params, searches)
    sampled = context.params.evaluate.first_candidates > 0
    comparisons = len(policies) * len(context.params.benchmarks.all) if sampled else 0
    context.progress.stage("evaluate", len(methods) + comparisons)
    tested = await test_methods(context, methods)
    candidates = {
        policy.name: await first_candidates(context, policy, searches) if sampled else []
        for policy in policies
    }
    write_results(
        context,
        rows=[row for row, _ in tested],
        tests=[test for _, test in tested],
        searches=searches,
        candidates=candidates,
        notes=shown_in_training(context.params, context.workspace.splits),
    )


async def test_methods(
    context: Context, methods: Sequence[Method]
) -> list[tuple[ResultRow, TestResult]]:
    """Test the methods on their benchmarks' held-out problems, in their order."""
    async with small_model_alone(context) as alone:

        async def one(method: Method) -> tuple[ResultRow, TestResult]:
            return await _test(alone if method.alone else context, method)

        return await run_items(context, methods, one)


async def _test(context: Context, method: Method) -> tuple[ResultRow, TestResult]:
    label = f"{benchmark_label(method.benchmark)}, {method.name}"
    outcome = await run_task(
        run_final_test,
        context,
        item=label,
        key=final_test_key(context, benchmark=method.benchmark, code=method.code),
        benchmark=method.benchmark,
        method=method.name,
        code=method.code,
    )
    result = TEST_RESULT.validate_python(outcome.value["result"])
    row = make_row(
        method,
        result,
        seen=trained_on(context.params, method.benchmark),
        seconds=float(outcome.value["seconds"]),
    )
    context.progress.item(label, f"test accuracy {row.accuracy:.2f}", cached=outcome.cached)
    return row, result


async def first_candidates(
    context: Context, policy: PolicyChoice, searches: Searches
) -> list[FirstCandidates]:
    """Return a policy's first candidates on every benchmark: its searches', else sampled anew."""
    count = context.params.evaluate.first_candidates

    async def one(benchmark: str) -> FirstCandidates:
        label = f"{benchmark_label(benchmark)}, first candidates of {policy.name}"
        searched = searches.first_candidates(benchmark, policy.name, count=count)
        if searched is not None:
            context.progress.item(label, f"mean accuracy {searched.mean:.2f}", cached=False)
            return searched
        example = searches.best_example(benchmark).example
        key = candidates_key(context, benchmark=benchmark, policy=policy, example=example)
        outcome = await run_task(
            sample_candidates,
            context,
            item=label,
            key=key,
            benchmark=benchmark,
            policy=policy,
            example=example,
        )
        found: FirstCandidates = FIRST_CANDIDATES.validate_python(outcome.value["result"])
        context.progress.item(label, f"mean accuracy {found.mean:.2f}", cached=outcome.cached)
        return found

    return await run_items(context, context.params.benchmarks.all, one)


@flow(name="evaluate")
async def evaluate(
    profile: str | None = None, params: str = PARAMS_FILE, settings: list[str] | None = None
) -> None:
    """Run the stage by itself."""
    await run_recipes(
        "evaluate", [evaluate_stage], params=params, profile=profile, settings=settings or []
    )


if __name__ == "__main__":
    from flows.cli import main

    main("evaluate")
