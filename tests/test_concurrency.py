"""Coroutines that run together: order, bound, first error, and what has not begun."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from w4s import concurrency
from w4s.concurrency import gather

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Coroutine tests run on asyncio alone."""
    return "asyncio"


async def test_of_a_great_many_only_some_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The results come in order; each one that ends lets the next one begin."""
    monkeypatch.setattr(concurrency, "_MOST", 20)
    running = peak = 0

    async def one(number: int) -> int:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0.001 * (number % 3))
        running -= 1
        return number

    assert await gather(one(i) for i in range(500)) == list(range(500))
    assert peak == 20


async def test_nothing_to_do_gives_nothing() -> None:
    """An empty evaluation is one."""
    assert await gather([]) == []


@pytest.mark.filterwarnings("error")
async def test_the_first_error_ends_all_and_begins_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is raised itself, when those that ran have been cancelled and waited for."""
    monkeypatch.setattr(concurrency, "_MOST", 4)
    ended: list[int] = []
    begun: list[int] = []

    async def one(number: int) -> None:
        begun.append(number)
        try:
            if number == 2:
                raise LookupError("the second")
            await asyncio.sleep(10)
        finally:
            ended.append(number)

    def some() -> Iterator[Any]:
        yield from map(one, range(50))

    with pytest.raises(LookupError, match="the second"):
        await gather(some())
    assert sorted(ended) == sorted(begun) == [0, 1, 2, 3]
    with pytest.raises(LookupError, match="the second"):
        await gather([one(i) for i in range(50)])  # made already: none is left without an end
