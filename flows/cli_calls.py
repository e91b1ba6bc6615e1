"""`w4s calls`: what was asked of the executor, by stage, benchmark and model."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tasks.options import Options
from w4s.errors import DataError
from w4s.llm.calls import CallFilter, GroupCost, list_calls, measure_calls
from w4s.llm.open import known_prices, record_path


def show_calls(options: Options, *, stage: str | None, benchmark: str | None, last: int) -> None:
    """Print the costs by group, then the newest `last` calls. Raises DataError without a record."""
    params = options.load()
    path = record_path(options.workspace(params).root)
    if not path.exists():
        raise DataError(f"{path}: no calls are recorded here. Run something first (`w4s run`).")
    chosen = CallFilter(stage=stage, benchmark=benchmark)
    console = Console(highlight=False)
    console.print(_costs(measure_calls(path, chosen, prices=known_prices(params.executor))))
    if last:
        _print_calls(console, path, chosen, last)


def _costs(groups: list[GroupCost]) -> Table:
    table = Table(title="Executor calls")
    for heading in ("stage", "benchmark", "model"):
        table.add_column(heading)
    for heading in ("calls", "prompt tokens", "completion tokens", "USD", "seconds"):
        table.add_column(heading, justify="right")
    for one in groups:
        usd = "–" if one.usd is None else f"{one.usd:.4f}"
        table.add_row(
            one.group.stage,
            one.group.benchmark,
            one.group.model,
            f"{one.usage.calls:,}",
            f"{one.usage.prompt_tokens:,}",
            f"{one.usage.completion_tokens:,}",
            usd,
            f"{one.seconds:.0f}",
        )
    return table


def _print_calls(console: Console, path: Path, chosen: CallFilter, last: int) -> None:
    for call in list_calls(path, chosen, most=last):
        console.print(Text(f"\n{call.draw} ({call.usage.tokens} tokens)", style="bold"))
        console.print(Text(call.question))
        console.print(Text(f"-> {call.text}"))
