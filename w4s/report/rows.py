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
    are those of the test; `search_calls` and `search_tokens` those of finding it. `failures` counts
    the problems without an answer: the workflow broke, passed a limit or got no reply.
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
    failures: int = 0

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
    "failed",
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
        f"{row.failures:,}",
    )


def to_markdown(rows: Sequence[ResultRow]) -> str:
    """Return the rows as a Markdown table.

    Where nothing was trained it is without "trained on", where nothing failed without "failed".
    """
    empty = {
        "trained on": all(row.seen is None for row in rows),
        "failed": not any(row.failures for row in rows),
    }
    kept = [place for place, name in enumerate(HEADINGS) if not empty.get(name)]
    lines = [HEADINGS, *(cells(row) for row in rows)]
    return markdown_table([[line[place] for place in kept] for line in lines])


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of texts as a Markdown table, headings first. A text may hold a `|`."""
    cut = [[text.replace("|", "\\|") for text in line] for line in lines]
    cut.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(line)} |\n" for line in cut)


def chance(p_value: float) -> str:
    """Return a p-value as a cell: it is never 0."""
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def to_csv(rows: Sequence[ResultRow]) -> str:
    """Return the rows as CSV with every figure in full."""
    text = io.StringIO()
    names = [field.name for field in fields(ResultRow)]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()
