"""Tables on a terminal of any width: figures are shown whole or left out, never cut off."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_BETWEEN = 3  # columns of the terminal that a column of the table takes beside its text
_FOLDED = 18  # a text may be folded to so many characters


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows of some texts and then figures. A line is drawn before the rows of `sections`.

    Where the terminal is narrow the last figures are left out, but never the first `keep`; `whole`
    says where all of them are.
    """

    title: str
    texts: Sequence[str]
    figures: Sequence[str]
    rows: Sequence[Sequence[str]]
    keep: int
    whole: str
    sections: Collection[int] = ()


def first_places(names: Sequence[str]) -> list[int]:
    """Return the places at which a name stands for the first time: where its section begins."""
    return [place for place, name in enumerate(names) if name not in names[:place]]


def wide_console() -> Console:
    """Return a console on stdout; a log file, which has no width of its own, gets 140 columns."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 140
    return console


def show_sheet(console: Console, sheet: Sheet) -> None:
    """Print the table in the width of `console`. What stands in brackets is no markup."""
    shown = _fitting(sheet, console.width)
    table = Table(box=box.SIMPLE_HEAD)
    for heading in sheet.texts:
        table.add_column(Text(heading), overflow="fold")
    for heading in sheet.figures[:shown]:
        table.add_column(Text(heading), justify="right", no_wrap=True)
    columns = len(sheet.texts) + shown
    console.print(Text(sheet.title, "table.title"))
    for number, row in enumerate(sheet.rows):
        if number in sheet.sections:
            table.add_section()
        table.add_row(*map(Text, row[:columns]))
    console.print(table)
    if shown < len(sheet.figures):
        rest = ", ".join(" ".join(name.split()) for name in sheet.figures[shown:])
        console.print(f"Too wide for this terminal: {rest}: {sheet.whole}\n", markup=False)


def _fitting(sheet: Sheet, width: int) -> int:
    """Return how many of the figures fit beside the texts."""
    lines = [[*sheet.texts, *sheet.figures], *sheet.rows]
    widths = [
        max(len(part) for line in lines for part in line[column].split("\n"))
        for column in range(len(lines[0]))
    ]
    texts = len(sheet.texts)
    used = sum(min(one, _FOLDED) + _BETWEEN for one in widths[:texts])
    shown = 0
    for one in widths[texts:]:
        used += one + _BETWEEN
        if used > width and shown >= sheet.keep:
            break
        shown += 1
    return shown
