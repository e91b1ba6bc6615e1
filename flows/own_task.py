"""Search on a task of one's own, without collecting and training. `w4s search --task FILE`."""

from __future__ import annotations

from prefect import flow

from flows.evaluate import evaluate_stage
from flows.prepare import prepare_stage
from flows.report import report_stage
from flows.search import search_stage
from flows.stage import run_recipes
from flows.warm_start import warm_start_stage
from tasks.options import PARAMS_FILE

STAGES = (prepare_stage, warm_start_stage, search_stage, evaluate_stage, report_stage)


@flow(name="own-task")
async def own_task(
    profile: str | None = None, params: str = PARAMS_FILE, settings: list[str] | None = None
) -> None:
    """Prepare the task, search with the policy as it is, test what was found."""
    await run_recipes("search", STAGES, params=params, profile=profile, settings=settings or [])
