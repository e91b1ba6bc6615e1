"""How fast to ask: adaptive concurrency, pauses that the endpoint asks for, limits a minute.

Knows nothing of HTTP. Clock and sleep are passed in.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]

_FIRST_LIMIT = 8.0
_DOUBLING_SECONDS = 0.01
_DECREASE = 0.5
_MINUTE_SECONDS = 60.0


class Concurrency:
    """Slots for requests in flight: at most `most`, fewer while the endpoint is overloaded.

    Starts with a few and doubles every ten milliseconds until the first sign of overload: then
    it halves, once for the requests that were in flight together, and grows by one for each full
    round of successes (AIMD). Waiters are served in order, those that try again first.
    """

    def __init__(self, most: int, *, clock: Clock, sleep: Sleep) -> None:
        self._most = most
        self._clock = clock
        self._sleep = sleep
        self._limit = min(_FIRST_LIMIT, float(most))
        self._doubling_since: float | None = None
        self._doubling_from = self._limit
        self._doubling_to = float(most)
        self._epoch = 0
        self._not_before = 0.0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._waker: asyncio.Task[None] | None = None
        self.in_flight = 0

    @property
    def limit(self) -> int:
        """How many requests may be in flight now."""
        self._grow_with_time()
        return max(1, int(self._limit))

    async def acquire(self, *, again: bool = False) -> int:
        """Wait for a slot. Returns the epoch, to be handed back with the outcome."""
        if self._doubling_since is None and self._limit < self._doubling_to:
            self._doubling_since = self._clock()
        if self._waiters or not self._free():
            waiter = asyncio.get_running_loop().create_future()
            (self._waiters.appendleft if again else self._waiters.append)(waiter)
            self._wake()
            try:
                await waiter
            except asyncio.CancelledError:
                self._abandon(waiter)
                raise
        else:
            self.in_flight += 1
        return self._epoch

    def release(self) -> None:
        """Give a slot back."""
        self.in_flight -= 1
        self._wake()

    def succeeded(self) -> None:
        """Count a success: the limit grows by one for each round of them."""
        if self._doubling_since is None:
            self._limit = min(float(self._most), self._limit + 1.0 / max(1.0, self._limit))

    def overloaded(self, epoch: int, *, pause_seconds: float = 0.0) -> None:
        """Halve the limit, once for all requests of an epoch, and pause all of them."""
        self._pause(pause_seconds)
        if epoch != self._epoch:
            return
        self._grow_with_time()
        self._end_doubling(max(1.0, min(self._limit, float(self.in_flight or 1)) * _DECREASE))

    def down(self, *, pause_seconds: float) -> None:
        """Let one request at a time probe an endpoint that cannot be reached."""
        self._pause(pause_seconds)
        self._end_doubling(1.0)

    def back(self) -> None:
        """Start growing again after an outage."""
        self._doubling_from = self._limit = min(_FIRST_LIMIT, float(self._most))
        self._doubling_to = float(self._most)
        self._doubling_since = self._clock()
        self._not_before = 0.0
        self._wake()

    def close(self) -> None:
        """Stop waking waiters."""
        if self._waker is not None:
            self._waker.cancel()

    def _end_doubling(self, limit: float) -> None:
        self._limit = limit
        self._doubling_to = limit
        self._doubling_since = None
        self._epoch += 1

    def _grow_with_time(self) -> None:
        if self._doubling_since is None:
            return
        steps = int((self._clock() - self._doubling_since) / _DOUBLING_SECONDS)
        self._limit = min(self._doubling_to, self._doubling_from * 2.0 ** min(steps, 30))
        if self._limit >= self._doubling_to:
            self._doubling_since = None

    def _pause(self, seconds: float) -> None:
        self._not_before = max(self._not_before, self._clock() + seconds)

    def _free(self) -> bool:
        return self.in_flight < self.limit and self._clock() >= self._not_before

    def _abandon(self, waiter: asyncio.Future[None]) -> None:
        if waiter.done() and not waiter.cancelled():  # it was given a slot that nobody takes
            self.release()
        elif waiter in self._waiters:
            self._waiters.remove(waiter)

    def _wake(self) -> None:
        """Give free slots to waiters; come back later where time alone will free some."""
        self._serve()
        if self._waiters and self._time_helps() and (self._waker is None or self._waker.done()):
            self._waker = asyncio.create_task(self._serve_later())

    def _serve(self) -> None:
        while self._waiters and self._free():
            waiter = self._waiters.popleft()
            if not waiter.done():
                self.in_flight += 1
                waiter.set_result(None)

    def _time_helps(self) -> bool:
        return self._doubling_since is not None or self._clock() < self._not_before

    async def _serve_later(self) -> None:
        while self._waiters and self._time_helps():
            await self._sleep(max(_DOUBLING_SECONDS, self._not_before - self._clock()))
            self._serve()


class MinuteLimit:
    """At most so many units in any sixty seconds."""

    def __init__(self, most: int | None, *, clock: Clock, sleep: Sleep) -> None:
        self._most = most
        self._clock = clock
        self._sleep = sleep
        self._taken: deque[tuple[float, int]] = deque()
        self._sum = 0
        self._turn = asyncio.Lock()

    async def take(self, units: int) -> None:
        """Wait until `units` fit. More than a whole minute's worth counts as that."""
        if self._most is None:
            return
        units = min(units, self._most)
        async with self._turn:  # in order: a large request is not starved by small ones
            while self._used() + units > self._most:
                await self._sleep(max(0.001, self._taken[0][0] + _MINUTE_SECONDS - self._clock()))
            self._taken.append((self._clock(), units))
            self._sum += units

    def _used(self) -> int:
        now = self._clock()
        while self._taken and self._taken[0][0] <= now - _MINUTE_SECONDS:
            self._sum -= self._taken.popleft()[1]
        return self._sum
