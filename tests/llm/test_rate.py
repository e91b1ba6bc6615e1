"""Concurrency and limits a minute, on a clock of their own."""

from __future__ import annotations

import asyncio

import pytest

from w4s.llm.rate import Concurrency, MinuteLimit

pytestmark = pytest.mark.anyio


class FakeTime:
    """A clock that sleeping moves on."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


async def test_it_starts_low_and_grows_to_the_most() -> None:
    """Doubling every ten milliseconds until the configured number."""
    time = FakeTime()
    slots = Concurrency(50, clock=time.clock, sleep=time.sleep)
    await slots.acquire()
    assert slots.limit == 8
    time.now += 0.0101
    assert slots.limit == 16
    time.now += 1
    assert slots.limit == 50


async def test_overload_halves_it_once_for_all_that_were_in_flight() -> None:
    """Ten refusals of one round are one sign of overload, not ten."""
    time = FakeTime()
    slots = Concurrency(40, clock=time.clock, sleep=time.sleep)
    await slots.acquire()
    time.now += 1
    epochs = [await slots.acquire() for _ in range(39)]
    for epoch in epochs[:10]:
        slots.overloaded(epoch)
    assert slots.limit == 20
    for _ in range(30):
        slots.release()
    slots.overloaded(await slots.acquire())
    assert slots.limit == 5


async def test_after_overload_it_grows_by_one_a_round() -> None:
    """A full round of successes earns one slot."""
    time = FakeTime()
    slots = Concurrency(40, clock=time.clock, sleep=time.sleep)
    epoch = await slots.acquire()
    time.now += 1
    slots.in_flight = 20
    slots.overloaded(epoch)
    assert slots.limit == 10
    for _ in range(11):
        slots.succeeded()
    assert slots.limit == 11


async def test_a_pause_stops_everybody() -> None:
    """Nobody gets a slot before the endpoint's Retry-After is over."""
    time = FakeTime()
    slots = Concurrency(4, clock=time.clock, sleep=time.sleep)
    epoch = await slots.acquire()
    slots.overloaded(epoch, pause_seconds=30.0)
    slots.release()
    await asyncio.wait_for(slots.acquire(), 5)
    assert time.now >= 130.0


async def test_a_waiter_that_gives_up_leaves_no_slot_behind() -> None:
    """Cancelling a waiter, before or after it got its slot, loses nothing."""
    time = FakeTime()
    slots = Concurrency(1, clock=time.clock, sleep=time.sleep)
    await slots.acquire()
    first, second = (asyncio.create_task(slots.acquire()) for _ in range(2))
    await asyncio.sleep(0)
    slots.release()  # the first one has the slot, but has not run yet
    first.cancel()
    await asyncio.wait_for(second, 5)
    slots.release()
    assert slots.in_flight == 0


async def test_those_that_try_again_come_first() -> None:
    """A retry does not queue behind new work."""
    time = FakeTime()
    slots = Concurrency(1, clock=time.clock, sleep=time.sleep)
    await slots.acquire()
    new = asyncio.create_task(slots.acquire())
    await asyncio.sleep(0)
    again = asyncio.create_task(slots.acquire(again=True))
    await asyncio.sleep(0)
    slots.release()
    await asyncio.wait_for(again, 5)
    assert not new.done()
    new.cancel()


async def test_no_minute_holds_more_than_its_limit() -> None:
    """Whatever sixty seconds one looks at."""
    time = FakeTime()
    limit = MinuteLimit(100, clock=time.clock, sleep=time.sleep)
    taken: list[tuple[float, int]] = []
    for units in [30, 50, 40, 10, 200, 1, 99, 70, 20]:
        await limit.take(units)
        taken.append((time.now, min(units, 100)))
        time.now += 3
    for start, _ in taken:
        assert sum(units for at, units in taken if start <= at < start + 60) <= 100


async def test_without_a_limit_nobody_waits() -> None:
    """None is no limit."""
    time = FakeTime()
    limit = MinuteLimit(None, clock=time.clock, sleep=time.sleep)
    await limit.take(10**9)
    assert time.now == 100.0
