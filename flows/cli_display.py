"""What the person sees: progress on stderr, results on stdout."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from flows.cli_costs import show_costs
from flows.cli_tables import Sheet, first_places, show_sheet, wide_console
from tasks.progress import Spent
from tasks.workspace import Workspace
from w4s.report.costs import read_costs
from w4s.report.rows import chance


class Display:
    """Draws a run's progress: a live line on a terminal, plain lines elsewhere.

    Implements `tasks.progress.Progress`.
    """

    def __init__(self, command: str, *, workspace: Path) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._live = Progress(
            TextColumn("{task.description}", style="bold"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            _Spending(self),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self.spent: Spent = str
        self._current = self._live.add_task("starting", total=None, note="")
        self._console.print(f"w4s {command}: working in {workspace}", markup=False, soft_wrap=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop drawing; what follows is printed below."""
        self._live.stop()

    def spending(self, spent: Spent) -> None:
        """Show what `spent` says beside the progress."""
        self.spent = spent

    def stage(self, name: str, items: int) -> None:
        """Begin a line for the stage."""
        self._live.remove_task(self._current)
        self._current = self._live.add_task(name, total=items, note="")
        self._console.print(f"[bold]{name}[/bold]")

    def step(self, item: str, done: int, total: int, note: str) -> None:
        """Show the step with its note: the best accuracy up to now, the loss."""
        text = f"{item}: {done}/{total}, {note}"
        self._live.update(self._current, note=text)
        if not self._console.is_terminal and (
            done == total or done * 4 // total > (done - 1) * 4 // total
        ):
            line = "; ".join(filter(None, (text, self.spent())))
            self._console.print(f"  {line}", markup=False, soft_wrap=True)

    def item(self, item: str, note: str, *, cached: bool) -> None:
        """Count the item and leave a line about it."""
        self._live.update(self._current, advance=1, note="")
        mark = " (found finished)" if cached else ""
        self._console.print(f"  {item}: {note}{mark}", markup=False, soft_wrap=True)


class _Spending(ProgressColumn):
    """The totals of the executor, read anew at each drawing."""

    def __init__(self, display: Display) -> None:
        super().__init__()
        self._display = display

    def render(self, task: Task) -> Text:  # noqa: ARG002  # the same for every task
        """Return what was spent until now."""
        return Text(self._display.spent(), style="dim")


_WHOLE = {"all", "own_task"}
_MOST_COLUMNS = 4


def show_results(command: str, workspace: Workspace) -> None:
    """Print the tables that the command made: accuracies, costs; then where the files are."""
    console = wide_console()
    table = workspace.results / "table.json"
    if command in {*_WHOLE, "evaluate"} and table.exists():
        _show_table(console, table)
        _show_first_candidates(console, workspace.results / "first_candidates.json")
    costs = read_costs(workspace.root)
    if costs and (costs[-1].calls or costs[-1].replayed or command in _WHOLE):
        show_costs(console, costs)
    console.print(f"Files: {workspace.root}", markup=False, soft_wrap=True)
    for folder, what in _FOLDERS:
        if (workspace.root / folder).exists():
            console.print(f"  {folder:<14} {what}", markup=False, soft_wrap=True)
    console.print("Compare runs: w4s ui", markup=False)


_FOLDERS = (
    ("report", "one page about the run: open report.html in a browser"),
    ("results", "table, pictures, and the best workflow of each benchmark (run: w4s solve)"),
    ("experiments", "the paper's experiments: tables, pictures, the runs behind each cell"),
    ("searches", "every search with its learning curve"),
    ("adapters", "the trained policies"),
    ("trajectories", "the training data"),
    ("splits", "the problems"),
    ("w4s.log", "what happened in detail"),
)


def _show_table(console: Console, file: Path) -> None:
    rows = json.loads(file.read_text(encoding="utf-8"))
    starts = first_places([row["benchmark"] for row in rows])
    show_sheet(
        console,
        Sheet(
            "Test accuracy on held-out problems",
            texts=("benchmark", "method"),
            figures=("accuracy [95 %]", "validation", "gap", "calls", "tokens", "seconds"),
            rows=[_table_row(row, first=number in starts) for number, row in enumerate(rows)],
            keep=3,
            whole="results/table.md",
            sections=starts[1:],
        ),
    )


def _table_row(row: dict[str, Any], *, first: bool) -> tuple[str, ...]:
    seen = " (unseen)" if row["seen"] is False else ""
    validation = row["validation"]
    return (
        row["benchmark"] + seen if first else "",
        row["method"],
        f"{row['accuracy']:.2f} [{row['low']:.2f}, {row['high']:.2f}]",
        "" if validation is None else f"{validation:.2f}",
        "" if validation is None else f"{validation - row['accuracy']:+.2f}",
        f"{row['calls']:,}",
        f"{row['tokens']:,}",
        f"{row['seconds']:.0f}",
    )


def _show_first_candidates(console: Console, file: Path) -> None:
    """Print how good the policies' first candidates were, where any were sampled."""
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if not found:
        return
    (start,) = (name for name in found if name.startswith("minus "))
    benchmarks = list(next(iter(found["by benchmark"].values())))
    if not 1 < len(benchmarks) <= _MOST_COLUMNS:  # one is the mean, and the file has the many
        benchmarks = []
    compared = (f"{start} [95 %]", "p") if found[start] else ()
    blank = ("",) * len(compared)
    rows = []
    for policy, mean in found["mean"].items():
        gain, own = found[start].get(policy), found["by benchmark"][policy]
        rows.append(
            (
                policy,
                _interval(mean),
                *((_interval(gain, sign="+"), chance(gain["p_value"])) if gain else blank),
                *(f"{own[benchmark]:.2f}" for benchmark in benchmarks),
            )
        )
    show_sheet(
        console,
        Sheet(
            "First candidates of each policy: mean validation accuracy",
            texts=("policy",),
            figures=("mean [95 %]", *compared, *benchmarks),
            rows=rows,
            keep=1 + len(compared),
            whole="results/first_candidates.json",
        ),
    )


def _interval(ends: dict[str, float], *, sign: str = "") -> str:
    return f"{ends['estimate']:{sign}.2f} [{ends['low']:{sign}.2f}, {ends['high']:{sign}.2f}]"
