"""One of the paper's experiments. `python -m flows.experiment NAME`, or `w4s experiment NAME`.

Every variant goes through the stages of a run, whose tasks are cached with those of the run: what
`w4s run` computed with the same parameters is found here, and the other way round.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence
from typing import Any

from prefect import flow

from flows.collect import collect_stage
from flows.evaluate import first_candidates, test_methods
from flows.prepare import prepare_stage
from flows.search import search_stage
from flows.stage import Recipe, run_recipes
from flows.train import train_stage
from flows.warm_start import warm_start_stage
from tasks.context import Context
from tasks.experiments import Entry, entries, make_cell, transfer_entries, write_experiment
from tasks.options import PARAMS_FILE
from tasks.policies import searching_policies, trained_on
from tasks.results import compare_policies
from tasks.searches import Searches, read_searches
from tasks.transfer import ExecutorChoice, check_executors, choose_executor
from tasks.variants import open_variant, with_other_executor
from w4s.config import Params
from w4s.experiments.cells import Cell
from w4s.experiments.plan import Changes, Experiment, check_experiment, get_experiment, vary


async def run_experiment(context: Context, name: str) -> None:
    """Run every variant of the experiment and write its table."""
    experiment = get_experiment(name)
    check_experiment(experiment, context.params)
    executors = [choose_executor(text, context.params) for text in _executors(context, experiment)]
    check_executors(executors, context.params)
    start = await _starting_adapter(context)
    cells: list[Cell] = []
    comparisons: dict[str, Any] = {}
    for variant in experiment.variants(context.params):
        params = vary(context.params, {**variant.changes, **start})
        async with open_variant(context, f"{name} {variant.label}".strip(), params) as own:
            searching = await _search(own, experiment)
            searches = read_searches(searching.workspace.searches)
            if experiment.shape == "transfer":
                cells += await _transfer(own, searches, executors)
                continue
            if experiment.first_candidates and params.evaluate.first_candidates > 0:
                comparisons[variant.label] = await _compare(searching, searches)
            chosen = entries(searching, searches)
            cells += await _test(searching, chosen, context.params, variant=variant.label)
    write_experiment(context, experiment, cells, comparisons=comparisons)


async def _starting_adapter(context: Context) -> Changes:
    """Return the change that lets all variants start from one and the same warm start."""
    params = context.params
    trained = params.warm_start.enabled and params.warm_start.adapter is None
    if not trained or params.policy.base_url is not None:
        return {}
    async with open_variant(context, "warm start", params) as own:
        for stage in (prepare_stage, warm_start_stage):
            await stage(own)
        return {"warm_start": {"adapter": own.workspace.warm_start / "adapter"}}


async def _search(context: Context, experiment: Experiment) -> Context:
    """Train and search; return the context with the benchmarks that were searched."""
    params = context.params
    stages: list[Recipe] = [prepare_stage, warm_start_stage]
    if params.policy.base_url is None and params.train.objectives:
        stages += [collect_stage, train_stage]
    for stage in stages:
        await stage(context)
    if experiment.unseen_only:
        context = copy.copy(context)
        searched = {"seen": params.benchmarks.unseen, "unseen": ()}
        context.params = vary(params, {"benchmarks": searched})
    await search_stage(context)
    return context


async def _compare(context: Context, searches: Searches) -> dict[str, Any]:
    """Compare what the policies write before any feedback on their own workflows."""
    policies = searching_policies(context.params, context.workspace)
    found = {policy.name: await first_candidates(context, policy, searches) for policy in policies}
    return compare_policies(found, seed=context.params.seed)


async def _test(
    context: Context, chosen: Sequence[Entry], whole: Params, *, variant: str
) -> list[Cell]:
    """Test the chosen methods; `whole` says which benchmarks training saw."""
    context.progress.stage("test", len(chosen))
    tested = await test_methods(context, [entry.method for entry in chosen])
    return [
        make_cell(
            context, entry, one, variant=variant, seen=trained_on(whole, entry.method.benchmark)
        )
        for entry, one in zip(chosen, tested, strict=True)
    ]


async def _transfer(
    context: Context, searches: Searches, executors: Sequence[ExecutorChoice]
) -> list[Cell]:
    """Test found workflows on other benchmarks, then with other executors."""
    cells: list[Cell] = []
    for index, executor in enumerate(executors):
        chosen = transfer_entries(context, searches, searched=index == 0)
        async with with_other_executor(context, executor) as own:
            cells += await _test(own, chosen, context.params, variant=executor.label)
    return cells


def _executors(context: Context, experiment: Experiment) -> list[str]:
    """Return the executor of the searches, then those that the experiment adds, each once."""
    others = context.params.experiments.executors if experiment.shape == "transfer" else ()
    return list(dict.fromkeys((context.params.executor.model, *others)))


@flow(name="experiment")
async def experiment(
    name: str,
    profile: str | None = None,
    params: str = PARAMS_FILE,
    settings: list[str] | None = None,
) -> None:
    """Run one experiment."""

    async def recipe(context: Context) -> None:
        await asyncio.to_thread(context.tracker.open)  # tables name the runs behind their cells
        await run_experiment(context, name)

    await run_recipes(
        f"experiment {name}", [recipe], params=params, profile=profile, settings=settings or []
    )


if __name__ == "__main__":
    from flows.cli import main

    main("experiment")
