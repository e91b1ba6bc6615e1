"""What a run tells the person who waits. The command line draws it; the default is silent."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Protocol

Spent = Callable[[], str]
"""Says in a few words what the executor was asked until now, and what that cost."""


class Progress(Protocol):
    """Listens to a run."""

    def spending(self, spent: Spent) -> None:
        """From now on `spent` tells what the run spends, whenever it is asked."""
        ...

    def stage(self, name: str, items: int) -> None:
        """A stage begins, of `items` tasks."""
        ...

    def step(self, item: str, done: int, total: int, note: str) -> None:
        """A step (a turn, an optimiser step) of an item (`chain_sum, episode 2`) is over."""
        ...

    def item(self, item: str, note: str, *, cached: bool) -> None:
        """A task is over; `note` says in a few words how it ended."""
        ...


class Silent:
    """Tells nobody anything."""

    def spending(self, spent: Spent) -> None:
        """Ignore it."""

    def stage(self, name: str, items: int) -> None:
        """Ignore it."""

    def step(self, item: str, done: int, total: int, note: str) -> None:
        """Ignore it."""

    def item(self, item: str, note: str, *, cached: bool) -> None:
        """Ignore it."""


LISTENER: ContextVar[Progress | None] = ContextVar("progress", default=None)
"""Who listens to the runs of this context; the command line sets it."""


def current_progress() -> Progress:
    """Return who listens to the runs of this context, or a silent one."""
    return LISTENER.get() or Silent()
