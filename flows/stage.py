"""How a stage becomes a flow: what all flows share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from tasks.context import Context
from tasks.opening import open_context
from tasks.options import Options

Recipe = Callable[[Context], Awaitable[None]]


async def run_recipes(
    command: str,
    recipes: Sequence[Recipe],
    *,
    params: str,
    profile: str | None,
    settings: list[str],
) -> None:
    """Open the context of `command` and follow `recipes` in order."""
    options = Options(params=params, profile=profile, settings=tuple(settings))
    async with open_context(command, options) as context:
        for recipe in recipes:
            await recipe(context)
