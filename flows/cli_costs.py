"""The table of costs at the end of a command."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from flows.cli_tables import Sheet, show_sheet
from w4s.report.costs import CostRow

_UNKNOWN = "unknown"


def money(usd: float | None) -> str:
    """Return an amount of USD as text; one that is not known is said so."""
    return _UNKNOWN if usd is None else f"{usd:.4f}"


def show_costs(console: Console, rows: Sequence[CostRow]) -> None:
    """Print what this run asked for, and what the record holds of all runs; nothing for no rows."""
    if not rows:
        return
    show_sheet(
        console,
        Sheet(
            "Executor calls: of this run, and of all runs in this folder",
            texts=("stage", "benchmark", "model"),
            figures=(
                "paid",
                "replayed",
                "tokens",
                "USD",
                "all\ncalls",
                "all\ntokens",
                "all\nUSD",
            ),
            rows=[_cells(row) for row in rows],
            keep=4,
            whole="costs.json",
            sections=[len(rows) - 1] if len(rows) > 1 else (),
        ),
    )


def _cells(row: CostRow) -> tuple[str, ...]:
    return (
        row.stage,
        row.benchmark,
        row.model,
        f"{row.calls:,}",
        f"{row.replayed:,}",
        f"{row.tokens:,}",
        money(row.usd),
        f"{row.recorded_calls:,}",
        f"{row.recorded_tokens:,}",
        money(row.recorded_usd),
    )
