"""Stage 2: teach a small policy the form of workflows. `python -m flows.warm_start`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow

from flows.stage import run_recipes
from tasks.adapters import place_warm_start
from tasks.cached import run_task
from tasks.context import Context
from tasks.options import PARAMS_FILE
from tasks.training import clone_grammar, clone_key, made_folder, training_note
from w4s.errors import ConfigError


async def warm_start_stage(context: Context) -> None:
    """Clone the grammar, take the configured adapter, or leave the policy as it is."""
    params = context.params.warm_start
    context.progress.stage("warm start", 1)
    if not params.enabled or context.params.policy.base_url is not None:
        place_warm_start(context, None, {"enabled": False})
        context.progress.item("warm start", "off: the policy stays as it is", cached=False)
    elif params.adapter is not None:
        source = _configured(context, params.adapter)
        place_warm_start(context, source, {"adapter": str(params.adapter)})
        context.progress.item("warm start", f"adapter {params.adapter}", cached=False)
    else:
        source, figures = await _clone(context)
        place_warm_start(context, source, figures)


async def _clone(context: Context) -> tuple[Path, dict[str, Any]]:
    key = clone_key(context)
    folder = made_folder(context, key)
    outcome = await run_task(
        clone_grammar, context, item="clone", key=key, again=not folder.is_dir()
    )
    context.progress.item("warm start", training_note(outcome.value), cached=outcome.cached)
    return folder, outcome.value


def _configured(context: Context, adapter: Path) -> Path:
    folder = (context.project / adapter).resolve()
    if not (folder / "adapter_config.json").is_file():
        raise ConfigError(
            f"warm_start.adapter: {folder} holds no adapter (adapter_config.json). "
            "Name another folder, or null to train one."
        )
    return folder


@flow(name="warm-start")
async def warm_start(
    profile: str | None = None, params: str = PARAMS_FILE, settings: list[str] | None = None
) -> None:
    """Run the stage by itself."""
    await run_recipes(
        "warm-start", [warm_start_stage], params=params, profile=profile, settings=settings or []
    )


if __name__ == "__main__":
    from flows.cli import main

    main("warm-start")
