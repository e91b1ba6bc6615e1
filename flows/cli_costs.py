"""The table of costs at the end of a command."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from w4s.report.costs import CostRow

_UNKNOWN = "unknown"


def money(usd: float | None) -> str:
    """Return an amount of USD as text; one that is not known is said so."""
    return _UNKNOWN if usd is None else f"{usd:.4f}"


def show_costs(console: Console, rows: Sequence[CostRow]) -> None:
    """Print what this run asked for, and what the record holds of all runs; nothing for no rows."""
    if not rows:
        return
    table = Table(title="Executor calls: of this run, and of all runs in this folder")
    for heading in ("stage", "benchmark", "model"):
        table.add_column(heading, no_wrap=True)
    for heading in ("paid", "replayed", "tokens", "USD", "all calls", "all tokens", "all USD"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        if row is rows[-1]:
            table.add_section()
        table.add_row(
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
    console.print(table)
