"""Stage 1: draw the splits of every benchmark and write them. `python -m flows.prepare`."""

from __future__ import annotations

from prefect import flow

from flows.stage import run_recipes
from tasks.cached import Outcome, run_task
from tasks.context import Context
from tasks.options import PARAMS_FILE
from tasks.prepare import is_in_place, prepare_benchmark, prepare_key
from w4s.benchmarks.custom import benchmark_label


async def prepare_stage(context: Context) -> None:
    """Prepare every benchmark, seen and unseen."""
    benchmarks = context.params.benchmarks.all
    context.progress.stage("prepare", len(benchmarks))
    for benchmark in benchmarks:
        outcome = await _prepared(context, benchmark)
        if not is_in_place(context, benchmark, outcome.value):
            outcome = await _prepared(context, benchmark, again=True)
        note = outcome.value["note"]
        context.progress.item(benchmark_label(benchmark), note, cached=outcome.cached)


async def _prepared(context: Context, benchmark: str, *, again: bool | None = None) -> Outcome:
    return await run_task(
        prepare_benchmark,
        context,
        item=benchmark_label(benchmark),
        key=prepare_key(context, benchmark),
        again=again,
        benchmark=benchmark,
    )


@flow(name="prepare")
async def prepare(
    profile: str | None = None, params: str = PARAMS_FILE, settings: list[str] | None = None
) -> None:
    """Run the stage by itself."""
    await run_recipes(
        "prepare", [prepare_stage], params=params, profile=profile, settings=settings or []
    )


if __name__ == "__main__":
    from flows.cli import main

    main("prepare")
