"""Run the items of a stage: side by side where the models run elsewhere, else one by one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from tasks.context import Context
from tasks.keys import EMBEDDED
from w4s.concurrency import gather

Item = TypeVar("Item")
Result = TypeVar("Result")


async def run_items(
    context: Context, items: Iterable[Item], work: Callable[[Item], Awaitable[Result]]
) -> list[Result]:
    """Return the results of `work` in the order of `items`.

    With the embedded executor, which one item keeps busy, items run one by one, so that each is
    finished, and safe from a crash, as early as can be.
    """
    if context.params.executor.model == EMBEDDED:
        return [await work(item) for item in items]

    async def one(item: Item) -> Result:
        return await work(item)

    return await gather(one(item) for item in items)
