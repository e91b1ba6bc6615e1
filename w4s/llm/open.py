"""Open an engine from the parameters: endpoint, record, budget."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from w4s.config import ExecutorParams, Params, Price
from w4s.errors import ReplayError
from w4s.llm.budget import Amount, Budget
from w4s.llm.calls import CallFilter, measure_calls
from w4s.llm.endpoint import EMBEDDED_MODEL, configured_endpoint, endpoint_name
from w4s.llm.record import Record
from w4s.llm.replay import replayed_endpoint
from w4s.llm.totals import Totals

if TYPE_CHECKING:
    from w4s.llm.engine import Engine

RECORD_FILE = Path("record") / "executor.sqlite"


def refuse_without_record(path: Path) -> None:
    """Raise ReplayError where there is no record at `path` to replay."""
    if not path.exists():
        raise ReplayError(f"{path}: there is no record to replay. Run without --replay first.")


def record_path(workspace: Path) -> Path:
    """Return where a workspace keeps the record of its executor calls."""
    return workspace / RECORD_FILE


@asynccontextmanager
async def open_engine(
    params: Params,
    *,
    workspace: Path,
    environment: Mapping[str, str] | None = None,
    totals: Totals | None = None,
) -> AsyncIterator[Engine]:
    """Yield the engine of `params` with the record of `workspace`.

    The endpoint is opened at the first call that is not recorded; with `executor.replay` there
    is none, and neither key nor address are needed. What the record holds counts as spent, so
    that a resumed run keeps within the same budget. `totals` are counted on where given.

    Raises ConfigError, EndpointError, DataError, and ReplayError where there is no record.
    """
    from w4s.llm.engine import Engine  # the HTTP client takes a while to import

    path, executor = record_path(workspace), params.executor
    environment = os.environ if environment is None else environment
    if executor.replay:
        refuse_without_record(path)
    configured = endpoint_name(executor, environment=environment)
    endpoint = None
    if not executor.replay:
        endpoint = configured_endpoint(executor, params.embedded, environment=environment)
    prices = known_prices(executor)
    with Record(path) as record:
        replayed = ""
        if executor.replay:
            replayed = replayed_endpoint(record, configured=configured, model=executor.model)
        else:
            record.adopt(configured, model=executor.model)
        budget = Budget(params.budget, prices=prices)
        if not budget.unlimited:
            budget.spent = _spent(path, prices)
        async with Engine(
            executor.model_copy(update={"prices": prices}),
            endpoint,
            record=record,
            budget=budget,
            totals=totals,
            replayed=replayed,
        ) as engine:
            yield engine


def known_prices(executor: ExecutorParams) -> dict[str, Price]:
    """Return the configured prices; the embedded model costs nothing."""
    return {EMBEDDED_MODEL: Price(prompt=0, completion=0), **executor.prices}


def _spent(path: Path, prices: Mapping[str, Price]) -> Amount:
    spent = Amount()
    for cost in measure_calls(path, CallFilter(), prices=prices):
        spent += Amount(cost.usage.calls, cost.usage.tokens, cost.usd or 0.0)
    return spent
