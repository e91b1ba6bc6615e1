"""Replies on their way when nobody waits for them: paid for, so recorded where they come soon."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from typing import Any

import pytest

from tests.endpoint import ScriptedEndpoint, Step
from tests.llm.engine_parts import open_test_engine, question
from w4s.concurrency import gather
from w4s.config import BudgetParams
from w4s.errors import BudgetError, EndpointError
from w4s.llm.base import CallFailed
from w4s.llm.flights import Abandoned, Flights, Trip
from w4s.llm.record import Record

pytestmark = pytest.mark.anyio


def slow(_: int, __: Mapping[str, Any]) -> Step:
    return Step(0.2)


async def test_one_of_two_who_wait_may_leave() -> None:
    """The other one gets the reply."""
    request = question("a", temperature=0.0)
    with ScriptedEndpoint(slow) as endpoint:
        async with open_test_engine(endpoint) as engine:
            one = asyncio.create_task(engine.chat(request, draw="x"))
            two = asyncio.create_task(engine.chat(request, draw="y"))
            await asyncio.sleep(0.1)
            one.cancel()
            assert (await two).texts[0]
        assert endpoint.counters.calls == 1


async def test_an_interrupted_run_keeps_the_replies_that_are_on_their_way(record: Record) -> None:
    """As after Ctrl-C: what was sent is recorded before the engine closes, the rest never sent."""
    with ScriptedEndpoint(slow) as endpoint:
        async with open_test_engine(endpoint, record=record, concurrency=3) as engine:
            calls = [engine.chat(question(f"q{i}"), draw=f"c/g/{i}") for i in range(9)]
            work = asyncio.ensure_future(gather(calls))
            await asyncio.sleep(0.1)
            work.cancel()
            with pytest.raises(asyncio.CancelledError):
                await work
        assert endpoint.counters.calls == 3
        async with open_test_engine(endpoint, record=record) as engine:
            for i in range(3):
                reply = await engine.chat(question(f"q{i}"), draw=f"c/g/{i}")
                assert reply.usage.cached == 1
        assert endpoint.counters.calls == 3


async def test_a_spent_budget_lets_the_calls_in_flight_land(record: Record) -> None:
    """One error; what was asked is recorded; nothing new is asked; more budget pays the rest."""
    requests = [question(f"q{i}") for i in range(10)]
    limits = BudgetParams(calls=4)
    with ScriptedEndpoint(slow) as endpoint:
        with pytest.raises(BudgetError, match=r"budget\.calls = 4"):
            async with open_test_engine(endpoint, record=record, budget=limits) as engine:
                await gather(engine.chat(r, draw=f"c/g/{i}") for i, r in enumerate(requests))
        assert endpoint.counters.calls == 4
        async with open_test_engine(endpoint, record=record) as engine:
            await gather(engine.chat(r, draw=f"c/g/{i}") for i, r in enumerate(requests))
        assert endpoint.counters.calls == 10


async def test_a_fatal_refusal_lets_the_calls_in_flight_land(record: Record) -> None:
    """A key that is refused in the middle loses no reply that the endpoint still gives."""

    def script(call: int, _: Mapping[str, Any]) -> Step:
        return Step(0.05, "401") if call == 2 else Step(0.3)

    with ScriptedEndpoint(script) as endpoint:
        with pytest.raises(EndpointError, match="OPENAI_API_KEY"):
            async with open_test_engine(endpoint, record=record, concurrency=4) as engine:
                await gather(engine.chat(question(f"q{i}"), draw=f"c/g/{i}") for i in range(9))
        assert endpoint.counters.calls == 4
        endpoint.script = slow
        async with open_test_engine(endpoint, record=record) as engine:
            await gather(engine.chat(question(f"q{i}"), draw=f"c/g/{i}") for i in range(9))
            assert engine.totals.usage.cached == 3
        assert endpoint.counters.calls == 4 + 6


async def test_one_failed_part_of_a_request_loses_none_of_the_others(record: Record) -> None:
    """Where n replies are n requests, those that came are recorded and not asked for again."""

    def script(_: int, body: Mapping[str, Any]) -> Step:
        if body.get("n", 1) > 1:
            return Step(fault="wrong_schema")
        return Step(fault="500") if body["seed"] == 1 else Step(0.1)

    with ScriptedEndpoint(script) as endpoint:
        async with open_test_engine(endpoint, record=record, retries=0) as engine:
            first = await engine.chat(question("a", seed=9), draw="c/g/a")
            assert first.texts
            assert engine._caller is not None
            engine._caller._learn("m", n=1)
            with pytest.raises(CallFailed):
                await engine.chat(question("b", n=3), draw="c/g/b")
            asked = endpoint.counters.calls
            endpoint.script = lambda _, __: Step()
            assert len((await engine.chat(question("b", n=3), draw="c/g/b")).texts) == 3
        assert asked == 1 + 3
        assert endpoint.counters.calls == asked + 1


async def test_who_asks_again_pays_no_part_that_landed_meanwhile(record: Record) -> None:
    """A request that was given up records what was on its way; joining it asks for the rest."""

    def script(_: int, body: Mapping[str, Any]) -> Step:
        return Step(0.6 if body["seed"] == 1 else 0.2)

    request = question("a", n=3)
    with ScriptedEndpoint(script) as endpoint:
        async with open_test_engine(endpoint, record=record, concurrency=2) as engine:
            await engine.chat(question("z"), draw="c/g/z")
            assert engine._caller is not None
            engine._caller._learn("m", n=1)
            first = asyncio.create_task(engine.chat(request, draw="c/g/a"))
            await asyncio.sleep(0.1)
            first.cancel()  # two parts are on their way; the third will not be sent
            await asyncio.sleep(0.3)
            reply = await engine.chat(request, draw="c/g/a")
            assert len(reply.texts) == 3
            assert reply.usage.cached == 2
    assert endpoint.counters.calls == 1 + 3


async def test_a_failed_call_fails_in_the_replay_too(record: Record) -> None:
    """With the same words, so that a workflow that met it ends as it did."""
    with ScriptedEndpoint(lambda _, __: Step(fault="500")) as endpoint:
        async with open_test_engine(endpoint, record=record, retries=1) as engine:
            with pytest.raises(CallFailed) as first:
                await engine.chat(question("a"), draw="c/g/a")
    async with open_test_engine(None, record=record) as engine:
        with pytest.raises(CallFailed) as again:
            await engine.chat(question("a"), draw="c/g/a")
    assert str(again.value) == str(first.value)


async def test_what_was_not_sent_is_dropped_at_once_and_what_hangs_after_the_grace() -> None:
    """No flight holds a slot for ever."""
    flights: Flights[int] = Flights(grace_seconds=0.05)
    ended: list[str] = []

    def begin(name: str, sent: int) -> Any:
        async def fly(trip: Trip) -> int:
            trip.paid = sent
            try:
                await asyncio.sleep(30)
            finally:
                ended.append(name)
            return 1

        return fly

    for name, sent in (("waits", 0), ("hangs", 1)):
        waiter = asyncio.ensure_future(flights.join(name, begin(name, sent)))
        await asyncio.sleep(0.01)
        waiter.cancel()
    await asyncio.sleep(0.01)
    assert ended == ["waits"]
    await asyncio.sleep(0.1)
    assert ended == ["waits", "hangs"]


async def test_who_joins_a_flight_that_was_given_up_begins_another() -> None:
    """An abandoned request that ends without a reply is no failure of who comes later."""
    flights: Flights[int] = Flights(grace_seconds=1.0)
    go = asyncio.Event()

    async def gives_up(trip: Trip) -> int:
        trip.paid = 1
        await go.wait()
        raise Abandoned

    async def lands(_: Trip) -> int:
        return 7

    first = asyncio.ensure_future(flights.join("a", gives_up))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    second = asyncio.ensure_future(flights.join("a", lands))
    await asyncio.sleep(0)
    go.set()
    assert await asyncio.wait_for(second, 5) == (7, False)


async def test_a_reply_that_is_being_recorded_is_not_asked_for_again(record: Record) -> None:
    """Also where it was given up at just that time: who comes then waits for the disk."""
    other = sqlite3.connect(record.path, isolation_level=None)
    with ScriptedEndpoint() as endpoint:
        async with open_test_engine(endpoint, record=record) as engine:
            engine._flights._grace_seconds = 0.01
            other.execute("BEGIN IMMEDIATE")  # keeps the writer waiting
            first = asyncio.create_task(engine.chat(question("a"), draw="c/g/0"))
            while not endpoint.counters.answered:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            first.cancel()
            await asyncio.sleep(0.1)
            second = asyncio.create_task(engine.chat(question("a"), draw="c/g/0"))
            await asyncio.sleep(0.1)
            other.execute("ROLLBACK")
            assert (await second).usage.cached == 1
        assert endpoint.counters.calls == 1
    other.close()
