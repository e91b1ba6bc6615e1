"""Stage 4: train one adapter for each objective. `python -m flows.train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow

from flows.stage import run_recipes
from tasks.adapters import place_adapters
from tasks.cached import run_task
from tasks.context import Context
from tasks.options import PARAMS_FILE
from tasks.policies import starting_policy
from tasks.training import made_folder, train_key, train_objective, training_note


async def train_stage(context: Context) -> None:
    """Train on the same trajectories, from the same start, by every objective."""
    if context.params.policy.base_url is not None:
        context.progress.stage("train", 0)
        context.progress.item("train", "skipped: the policy is behind an endpoint", cached=False)
        place_adapters(context, {})
        return
    objectives = context.params.train.objectives
    start = starting_policy(context.params, context.workspace)
    context.progress.stage("train", len(objectives))
    trained: dict[str, tuple[Path, dict[str, Any]]] = {}
    for objective in objectives:
        key = train_key(context, objective=objective, start=start)
        folder = made_folder(context, key)
        outcome = await run_task(
            train_objective,
            context,
            item=objective,
            key=key,
            again=not folder.is_dir(),
            objective=objective,
            start=start,
        )
        note = training_note(outcome.value)
        context.progress.item(objective, note, cached=outcome.cached)
        trained[objective] = folder, outcome.value
    place_adapters(context, trained)


@flow(name="train")
async def train(
    profile: str | None = None, params: str = PARAMS_FILE, settings: list[str] | None = None
) -> None:
    """Run the stage by itself."""
    await run_recipes(
        "train", [train_stage], params=params, profile=profile, settings=settings or []
    )


if __name__ == "__main__":
    from flows.cli import main

    main("train")
