"""Whose turn it is to begin, of many programs that are there at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_BEGINNING_SECONDS = 0.05


class Beginnings:
    """Lets few programs begin at once: the first ones then call early, not all of them late.

    A beginning lasts until the program calls or ends, but not long.
    """

    def __init__(self, most: int) -> None:
        self._free = asyncio.Semaphore(most)

    async def enter(self) -> Callable[[], None]:
        """Wait for a turn; return what is to be called when the program has begun."""
        await self._free.acquire()
        timer: asyncio.TimerHandle | None = None

        def begun() -> None:
            nonlocal timer
            if timer is not None:
                timer.cancel()
                timer = None
                self._free.release()

        timer = asyncio.get_running_loop().call_later(_BEGINNING_SECONDS, begun)
        return begun
