"""Run coroutines together; the first error is raised as itself."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from itertools import islice
from typing import Any, TypeVar

T = TypeVar("T")

_MOST = 1024  # many more than are with an endpoint; the memory of ten thousand is not needed
_STEP = 16  # begun before those that have begun get to do something


async def gather(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Return the results in order. On an error the others are cancelled and waited for first.

    Unlike `asyncio.TaskGroup` it raises the first error itself, not a group: callers and the
    command line tell errors apart by their class. Of a great many, 1024 run at once: each one
    that ends lets the next one begin.
    """
    waiting = enumerate(coroutines)
    results: dict[int, T] = {}
    tasks: list[asyncio.Task[None]] = []

    async def lane(index: int, coroutine: Coroutine[Any, Any, T]) -> None:
        results[index] = await coroutine
        for index, coroutine in waiting:  # the lane goes on with another one
            results[index] = await coroutine

    try:
        for index, coroutine in islice(waiting, _MOST):
            tasks.append(asyncio.create_task(lane(index, coroutine)))
            if index % _STEP == _STEP - 1:
                await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        return [results[index] for index in range(len(results))]
    finally:
        for _, coroutine in waiting:
            coroutine.close()
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
