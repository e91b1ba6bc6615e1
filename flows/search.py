"""Stage 5: search with every policy on every benchmark. `python -m flows.search`."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import flow

from flows.stage import run_recipes
from tasks.cached import run_task
from tasks.context import Context
from tasks.examples import evaluate_example, example_key
from tasks.options import PARAMS_FILE
from tasks.policies import PolicyChoice, searching_policies
from tasks.search import RESULT, search_key, search_label, search_once
from tasks.searches import (
    ExampleScore,
    FinishedSearch,
    Searches,
    write_one_search,
    write_searches,
)
from tasks.spread import run_items
from w4s.benchmarks.custom import benchmark_label
from w4s.searches.registry import W4S
from w4s.types import Usage


async def search_stage(context: Context) -> None:
    """Measure the examples, search from the best one, write all searches."""
    benchmarks = context.params.benchmarks.all
    policies = searching_policies(context.params, context.workspace)
    seeds, examples = context.params.search.seeds, context.params.examples
    ways: list[tuple[PolicyChoice, str]] = [
        (policies[0], rival) for rival in context.params.search.rivals
    ]
    ways += [(policy, W4S) for policy in policies]
    context.progress.stage("search", len(benchmarks) * (len(examples) + len(ways) * len(seeds)))
    pairs = [(benchmark, example) for benchmark in benchmarks for example in examples]
    scores = await run_items(context, pairs, lambda pair: _measure(context, *pair))
    start = Searches((), tuple(scores))
    searches: list[FinishedSearch] = []
    for policy, method in ways:  # one policy after another: each is loaded once
        searches += await _search_all(context, policy, method, start)
    write_searches(context, Searches(tuple(searches), start.examples))


async def _measure(context: Context, benchmark: str, example: str) -> ExampleScore:
    label = f"{benchmark_label(benchmark)}, example {example}"
    outcome = await run_task(
        evaluate_example,
        context,
        item=label,
        key=example_key(context, benchmark=benchmark, example=example),
        benchmark=benchmark,
        example=example,
    )
    accuracy = float(outcome.value["accuracy"])
    context.progress.item(label, f"accuracy {accuracy:.2f}", cached=outcome.cached)
    usage = Usage(**outcome.value["usage"])
    return ExampleScore(benchmark, example, accuracy, usage)


async def _search_all(
    context: Context, policy: PolicyChoice, method: str, start: Searches
) -> Sequence[FinishedSearch]:
    async def one(item: tuple[str, int]) -> FinishedSearch:
        benchmark, seed = item
        example = start.best_example(benchmark).example
        return await _search(
            context, benchmark=benchmark, policy=policy, seed=seed, example=example, method=method
        )

    items = [
        (b, seed) for b in context.params.benchmarks.all for seed in context.params.search.seeds
    ]
    return await run_items(context, items, one)


async def search_one(context: Context, *, benchmark: str, policy: PolicyChoice, seed: int) -> None:
    """Measure the examples on one benchmark, search from the best one, write that search alone."""
    examples = context.params.examples
    context.progress.stage("search", len(examples) + 1)
    scores = await run_items(context, examples, lambda name: _measure(context, benchmark, name))
    start = Searches((), tuple(scores))
    example = start.best_example(benchmark).example
    found = await _search(
        context, benchmark=benchmark, policy=policy, seed=seed, example=example, method=W4S
    )
    write_one_search(context, Searches((found,), start.examples))


async def _search(
    context: Context, *, benchmark: str, policy: PolicyChoice, seed: int, example: str, method: str
) -> FinishedSearch:
    label = search_label(benchmark, policy, seed, method)
    key = search_key(
        context, benchmark=benchmark, policy=policy, seed=seed, example=example, method=method
    )
    outcome = await run_task(
        search_once,
        context,
        item=label,
        key=key,
        benchmark=benchmark,
        policy=policy,
        seed=seed,
        example=example,
        method=method,
    )
    result = RESULT.validate_python(outcome.value["result"])
    note = f"accuracy {result.example_accuracy:.2f} -> {result.accuracy:.2f}"
    if result.stopped is not None:
        note = f"{note}, ended by search.budget after {len(result.iterations)} iterations"
    context.progress.item(label, note, cached=outcome.cached)
    name = policy.name if method == W4S else method
    return FinishedSearch(name, result, float(outcome.value["seconds"]))


@flow(name="search")
async def search(
    profile: str | None = None, params: str = PARAMS_FILE, settings: list[str] | None = None
) -> None:
    """Run the stage by itself."""
    await run_recipes(
        "search", [search_stage], params=params, profile=profile, settings=settings or []
    )


if __name__ == "__main__":
    from flows.cli import main

    main("search")
