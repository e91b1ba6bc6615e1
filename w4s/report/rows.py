"""The final table as values: rows, Markdown and CSV. Draws and prints nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One method on one benchmark: test accuracy with its 95 % interval, and what it cost.

    `seen` is whether training saw the benchmark, None where nothing was trained. `validation` is
    the accuracy by which the workflow was chosen, None where nothing measured it. Calls and tokens
    are those of the test; `search_calls` and `search_tokens` those of finding it.
    """

    benchmark: str
    seen: bool | None
    method: str
    accuracy: float
    low: float
    high: float
    problems: int
    validation: float | None
    calls: int
    tokens: int
    search_calls: int
    search_tokens: int
    seconds: float

    @property
    def gap(self) -> float | None:
        """Validation minus test accuracy: how much the choice overfitted."""
        return None if self.validation is None else self.validation - self.accuracy


HEADINGS = (
    "benchmark",
    "trained on",
    "method",
    "test accuracy [95 %]",
    "validation",
    "gap",
    "calls",
    "tokens",
    "search calls",
    "search tokens",
    "seconds",
)


def cells(row: ResultRow) -> tuple[str, ...]:
    """Return the texts of a row, one for each heading."""
    return (
        row.benchmark,
        "yes" if row.seen else "no",
        row.method,
        f"{row.accuracy:.2f} [{row.low:.2f}, {row.high:.2f}]",
        "–" if row.validation is None else f"{row.validation:.2f}",
        "–" if row.gap is None else f"{row.gap:+.2f}",
        f"{row.calls:,}",
        f"{row.tokens:,}",
        f"{row.search_calls:,}",
        f"{row.search_tokens:,}",
        f"{row.seconds:.0f}",
    )


def to_markdown(rows: Sequence[ResultRow]) -> str:
    """Return the rows as a Markdown table; where nothing was trained, without "trained on"."""
    lines = [HEADINGS, *(cells(row) for row in rows)]
    if all(row.seen is None for row in rows):
        lines = [(line[0], *line[2:]) for line in lines]
    return markdown_table(lines)


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of texts as a Markdown table, headings first. A text may hold a `|`."""
    cut = [[text.replace("|", "\\|") for text in line] for line in lines]
    cut.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(line)} |\n" for line in cut)


def to_csv(rows: Sequence[ResultRow]) -> str:
    """Return the rows as CSV with every figure in full."""
    text = io.StringIO()
    names = [field.name for field in fields(ResultRow)]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()
