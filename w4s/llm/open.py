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
from w4s.llm.endpoint import EMBEDDED_MODEL, configured_endpoint
from w4s.llm.record import Record

if TYPE_CHECKING:
    from w4s.llm.engine import Engine

RECORD_FILE = Path("record") / "executor.sqlite"


def record_path(workspace: Path) -> Path:
    """Return where a workspace keeps the record of its executor calls."""
    return workspace / RECORD_FILE


@asynccontextmanager
async def open_engine(
    params: Params,
    *,
    workspace: Path,
    replay: bool = False,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Engine]:
    """Yield the engine of `params` with the record of `workspace`.

    The endpoint is opened at the first call that is not recorded; with `replay` there is none.
    What the record holds counts as spent, so that a resumed run keeps within the same budget.

    Raises ConfigError, EndpointError, DataError, and ReplayError where there is no record.
    """
    from w4s.llm.engine import Engine  # the openai client takes half a second to import

    path = record_path(workspace)
    if replay and not path.exists():
        raise ReplayError(f"{path}: there is no record to replay. Run without --replay first.")
    endpoint = None
    if not replay:
        endpoint = configured_endpoint(
            params.executor,
            params.embedded,
            environment=os.environ if environment is None else environment,
        )
    prices = known_prices(params.executor)
    executor = params.executor.model_copy(update={"prices": prices})
    with Record(path) as record:
        budget = Budget(params.budget, prices=prices)
        if not budget.unlimited:
            budget.spent = _spent(path, prices)
        async with Engine(executor, endpoint, record=record, budget=budget) as engine:
            yield engine


def known_prices(executor: ExecutorParams) -> dict[str, Price]:
    """Return the configured prices; the embedded model costs nothing."""
    return {EMBEDDED_MODEL: Price(prompt=0, completion=0), **executor.prices}


def _spent(path: Path, prices: Mapping[str, Price]) -> Amount:
    spent = Amount()
    for cost in measure_calls(path, CallFilter(), prices=prices):
        spent += Amount(cost.usage.calls, cost.usage.tokens, cost.usd or 0.0)
    return spent
