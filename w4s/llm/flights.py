"""Requests on their way: who waits for which, and what becomes of those that nobody waits for.

A request that is with the endpoint is paid for, so its reply is waited for, within limits, even
when nobody wants it any more. Knows nothing of HTTP, records or budgets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class Abandoned(Exception):
    """Nobody waits for this request any more, so nothing new is asked for it."""


@dataclass(slots=True)
class Trip:
    """How far a request is: `paid` counts what is with the endpoint now, or being recorded.

    A `late` one begins after another one to the same address that nobody waited for.
    """

    paid: int = 0
    abandoned: bool = False
    late: bool = False


@dataclass(slots=True, eq=False)
class _Flight(Generic[Result]):
    task: asyncio.Task[Result]
    trip: Trip
    waiters: int = 0
    end: asyncio.TimerHandle | None = None
    given_up: bool = False


class Flights(Generic[Result]):
    """Lets all who want the same at the same time wait for one flight.

    A flight that loses its last waiter is cancelled: at once where nothing of it is with the
    endpoint, else after `grace_seconds`.
    """

    def __init__(self, *, grace_seconds: float) -> None:
        self._grace_seconds = grace_seconds
        self._flights: dict[Hashable, _Flight[Result]] = {}

    async def join(
        self, address: Hashable, begin: Callable[[Trip], Coroutine[Any, Any, Result]]
    ) -> tuple[Result, bool]:
        """Return what the flight at `address` brings, and whether somebody else had begun it."""
        trip = Trip()
        while True:
            try:
                return await self._join(address, begin, trip)
            except Abandoned:
                trip = Trip(late=True)  # joined when it was already ending for want of waiters

    async def drain(self, *, grace_seconds: float) -> None:
        """Let what is with the endpoint land, for at most so long; begin nothing new for it."""
        flights = list(self._flights.values())
        for flight in flights:
            self._abandon(flight, grace_seconds)
        tasks = [flight.task for flight in flights]
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=grace_seconds)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _join(
        self,
        address: Hashable,
        begin: Callable[[Trip], Coroutine[Any, Any, Result]],
        trip: Trip,
    ) -> tuple[Result, bool]:
        flight = self._flights.get(address)
        shared = flight is not None
        if flight is not None and flight.given_up:  # it may be recording what it brought
            await asyncio.wait([flight.task])
            self._forget(address, flight)
            raise Abandoned
        if flight is None:
            flight = self._begin(address, begin, trip)
        flight.waiters += 1
        flight.trip.abandoned = False
        if flight.end is not None:
            flight.end.cancel()
        try:
            return await asyncio.shield(flight.task), shared
        finally:
            flight.waiters -= 1
            if flight.waiters == 0 and not flight.task.done():
                self._abandon(flight, self._grace_seconds)

    def _begin(
        self,
        address: Hashable,
        begin: Callable[[Trip], Coroutine[Any, Any, Result]],
        trip: Trip,
    ) -> _Flight[Result]:
        flight = _Flight(asyncio.create_task(begin(trip)), trip)
        self._flights[address] = flight
        flight.task.add_done_callback(lambda task: self._land(address, flight, task))
        return flight

    def _abandon(self, flight: _Flight[Result], grace_seconds: float) -> None:
        if flight.given_up:
            return
        flight.trip.abandoned = True
        if flight.end is not None:
            flight.end.cancel()
        if flight.trip.paid == 0:
            self._give_up(flight)
        else:
            loop = asyncio.get_running_loop()
            flight.end = loop.call_later(grace_seconds, self._give_up, flight)

    def _give_up(self, flight: _Flight[Result]) -> None:
        flight.given_up = True
        flight.task.cancel()

    def _land(self, address: Hashable, flight: _Flight[Result], task: asyncio.Task[Result]) -> None:
        self._forget(address, flight)
        if not task.cancelled():
            task.exception()  # seen: there may be nobody left to whom it is raised

    def _forget(self, address: Hashable, flight: _Flight[Result]) -> None:
        if self._flights.get(address) is flight:
            del self._flights[address]
