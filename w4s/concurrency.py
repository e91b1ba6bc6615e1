"""Run coroutines together; the first error is raised as itself."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


async def gather(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Return the results in order. On an error the others are cancelled and waited for first.

    Unlike `asyncio.TaskGroup` it raises the first error itself, not a group: callers and the
    command line tell errors apart by their class.
    """
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def gather_to_the_end(coroutines: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Return the results in order. On an error the others run to their end first."""
    if len(coroutines) == 1:
        return [await coroutines[0]]
    outcomes = await asyncio.gather(*coroutines, return_exceptions=True)
    results: list[T] = []
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
        results.append(outcome)
    return results
