"""What a command spends: on one count for all its engines, logged and tabled however it ends."""

import asyncio
import logging
from pathlib import Path
from typing import Any, cast

import pytest
from mlflow.exceptions import MlflowException

import tasks.spending
from tasks.progress import Silent, Spent
from tasks.spending import current_totals, watch_spending
from tasks.told import Point
from tasks.tracking import Tracker
from tests.llm.engine_parts import question
from w4s.config import load_params
from w4s.errors import BudgetError
from w4s.llm.open import record_path
from w4s.llm.record import Record, RecordedReply
from w4s.llm.request import resolve
from w4s.llm.totals import Group
from w4s.report.costs import read_costs
from w4s.types import Usage

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"


class Listener(Silent):
    """Remembers whom to ask."""

    spent: Spent

    def spending(self, spent: Spent) -> None:
        self.spent = spent


class FakeTracker:
    """Keeps the metrics."""

    def __init__(self) -> None:
        self.logged: list[dict[str, float]] = []
        self.refusals = 0

    def metrics(self, run_id: str, points: list[Point], *, of_now: bool) -> None:
        assert (run_id, of_now) == ("run", True)  # no figures of what was found
        if self.refusals:
            self.refusals -= 1
            raise MlflowException("database is locked")
        self.logged.append({point.name: point.value for point in points})


async def _record(folder: Path) -> None:
    with Record(record_path(folder)) as record:
        request = resolve(question("a"), draw="search/gcd/0", model="m", max_tokens=20)
        await record.write(request, [RecordedReply(0, "a", "stop", 10, 5, 0.5)])


def test_totals_are_live_and_the_table_is_written_even_after_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that stops at its budget still says what it has spent."""
    monkeypatch.setattr(tasks.spending, "_LOG_EVERY_SECONDS", 0.01)
    listener, tracker = Listener(), FakeTracker()

    async def work() -> None:
        await _record(tmp_path)
        watch: Any = watch_spending(
            load_params(PARAMS),
            folder=tmp_path,
            tracker=cast(Tracker, tracker),
            run_id="run",
            progress=listener,
        )
        async with watch:
            totals = current_totals()
            assert totals is not None
            totals.add(Group("search", "gcd", "m"), Usage(1, 10, 5))
            assert "1 calls (0% replayed), 15 tokens, unknown cost" in listener.spent()
            async with asyncio.timeout(20):
                while not tracker.logged:
                    await asyncio.sleep(0.01)
            raise BudgetError("spent")

    with pytest.raises(BudgetError, match="spent"):
        asyncio.run(work())
    live = {"executor/calls": 1, "executor/replayed_calls": 0, "executor/tokens": 15}
    assert tracker.logged[0] == tracker.logged[-1] == live
    row, total = read_costs(tmp_path)
    assert (row.stage, row.calls, row.recorded_calls, row.usd) == ("search", 1, 1, None)
    assert total.recorded_tokens == 15
    assert current_totals() is None


def test_a_store_that_fails_once_costs_one_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The next figures are logged, with a warning; the table is there although the last fail."""
    monkeypatch.setattr(tasks.spending, "_LOG_EVERY_SECONDS", 0.01)
    caplog.set_level(logging.WARNING, logger="tasks")  # Prefect's tests raise the root's
    tracker = FakeTracker()
    tracker.refusals = 1

    async def work() -> None:
        await _record(tmp_path)
        watch: Any = watch_spending(
            load_params(PARAMS),
            folder=tmp_path,
            tracker=cast(Tracker, tracker),
            run_id="run",
            progress=Silent(),
        )
        async with watch as totals:
            async with asyncio.timeout(20):
                while not tracker.logged:
                    totals.add(Group("search", "gcd", "m"), Usage(1, 10, 5))
                    await asyncio.sleep(0.01)
            tracker.refusals = 1

    asyncio.run(work())
    assert caplog.text.count("did not take what was spent: database is locked") == 2
    assert read_costs(tmp_path)
