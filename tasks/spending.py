"""What a command spends on the executor: shown while it runs, logged to MLflow, tabled at its end.

All engines that a command opens count on the same totals.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from tasks.progress import Progress
from tasks.told import Point
from tasks.tracking import Tracker, store_errors
from w4s.config import Params
from w4s.llm.calls import CallFilter, measure_calls
from w4s.llm.open import known_prices, record_path
from w4s.llm.totals import Totals
from w4s.report.costs import cost_rows, write_costs
from w4s.types import Usage

_LOG_EVERY_SECONDS = 10.0
logger = logging.getLogger(__name__)
_TOTALS: ContextVar[Totals | None] = ContextVar("totals", default=None)


def current_totals() -> Totals | None:
    """Return the totals of the command that runs, None outside of one."""
    return _TOTALS.get()


@asynccontextmanager
async def watch_spending(
    params: Params, *, folder: Path, tracker: Tracker, run_id: str, progress: Progress
) -> AsyncIterator[Totals]:
    """Count what is asked within the block; write `folder`/costs.json at its end, however it ends.

    Meanwhile the totals stand in the progress line, and in MLflow as metrics of the run by its
    seconds. Figures that MLflow does not take are a warning in the log.
    """
    totals = Totals(known_prices(params.executor))
    token = _TOTALS.set(totals)
    progress.spending(totals.line)
    begun = time.monotonic()
    live = asyncio.create_task(_log_on(tracker, run_id, totals, begun))
    try:
        yield totals
    finally:
        _TOTALS.reset(token)
        live.cancel()
        try:
            with suppress(asyncio.CancelledError):
                await live
            _log(tracker, run_id, totals, begun)
        finally:
            _write(params, totals, folder)


def spending_points(totals: Totals, step: int) -> list[Point]:
    """Return the totals as metrics at `step`; USD only where they are known."""
    usage, usd = totals.usage, totals.usd
    figures = {
        "calls": usage.calls - usage.cached,
        "replayed_calls": usage.cached,
        "tokens": usage.tokens,
        **({} if usd is None else {"usd": usd}),
    }
    return [Point(f"executor/{name}", value, step) for name, value in figures.items()]


def _write(params: Params, totals: Totals, folder: Path) -> None:
    prices = known_prices(params.executor)
    record = record_path(folder)
    recorded = measure_calls(record, CallFilter(), prices=prices) if record.exists() else []
    write_costs(folder, cost_rows(totals.by_group, recorded, prices=prices))


async def _log_on(tracker: Tracker, run_id: str, totals: Totals, begun: float) -> None:
    logged = Usage()
    while True:
        await asyncio.sleep(_LOG_EVERY_SECONDS)
        usage = totals.usage
        if usage != logged:
            logged = usage
            await asyncio.to_thread(_log, tracker, run_id, totals, begun)


def _log(tracker: Tracker, run_id: str, totals: Totals, begun: float) -> None:
    """Log the totals. A store that fails costs a point of a curve, and not the run."""
    points = spending_points(totals, int(time.monotonic() - begun))
    try:
        tracker.metrics(run_id, points, of_now=True)
    except store_errors() as error:
        logger.warning("MLflow did not take what was spent: %s", error)
