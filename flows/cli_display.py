"""What the person sees: progress on stderr, results on stdout."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tasks.workspace import Workspace


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
            TextColumn("{task.fields[note]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._current = self._live.add_task("starting", total=None, note="")
        self._console.print(f"w4s {command}: working in {workspace}", soft_wrap=True)

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
            self._console.print(f"  {text}", markup=False, soft_wrap=True)

    def item(self, item: str, note: str, *, cached: bool) -> None:
        """Count the item and leave a line about it."""
        self._live.update(self._current, advance=1, note="")
        mark = " (found finished)" if cached else ""
        self._console.print(f"  {item}: {note}{mark}", markup=False, soft_wrap=True)


def show_results(command: str, workspace: Workspace) -> None:
    """Print the final table where the command made one, then where the files are."""
    console = Console(highlight=False)
    table = workspace.results / "table.json"
    if command in {"all", "evaluate", "own_task"} and table.exists():
        _show_table(console, table)
    console.print(f"Files: {workspace.root}", markup=False, soft_wrap=True)
    for folder, what in _FOLDERS:
        if (workspace.root / folder).exists():
            console.print(f"  {folder:<14} {what}", markup=False, soft_wrap=True)
    console.print("Compare runs: w4s ui", markup=False)


_FOLDERS = (
    ("results", "table, pictures, and the best workflow of each benchmark (run: w4s solve)"),
    ("searches", "every search with its learning curve"),
    ("adapters", "the trained policies"),
    ("trajectories", "the training data"),
    ("splits", "the problems"),
    ("w4s.log", "what happened in detail"),
)


def _show_table(console: Console, file: Path) -> None:
    from w4s.report.rows import HEADINGS, ResultRow, cells

    rows = [ResultRow(**row) for row in json.loads(file.read_text(encoding="utf-8"))]
    table = Table(title="Test accuracy on held-out problems")
    for number, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="left" if number < 3 else "right")
    before = ""
    for row in rows:
        if before and row.benchmark != before:
            table.add_section()
        before = row.benchmark
        table.add_row(*cells(row))
    if not console.is_terminal:
        console.width = 140  # a log file has no width; the table does
    console.print(table)
