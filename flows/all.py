"""The whole method in one flow run. `python -m flows.all`, or `w4s run`."""

from __future__ import annotations

from prefect import flow

from flows.collect import collect_stage
from flows.evaluate import evaluate_stage
from flows.prepare import prepare_stage
from flows.report import report_stage
from flows.search import search_stage
from flows.stage import run_recipes
from flows.train import train_stage
from flows.warm_start import warm_start_stage
from tasks.options import PARAMS_FILE

STAGES = (
    prepare_stage,
    warm_start_stage,
    collect_stage,
    train_stage,
    search_stage,
    evaluate_stage,
    report_stage,
)


@flow(name="all")
async def everything(
    profile: str | None = None, params: str = PARAMS_FILE, settings: list[str] | None = None
) -> None:
    """Run every stage, one after another."""
    await run_recipes("run", STAGES, params=params, profile=profile, settings=settings or [])


if __name__ == "__main__":
    from flows.cli import main

    main("run")
