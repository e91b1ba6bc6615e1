"""The transfer matrix: workflows, unchanged, with other executors and on other benchmarks."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

from w4s.report.rows import markdown_table


@dataclass(frozen=True, slots=True)
class TransferRow:
    """One workflow with one executor on one benchmark: accuracy with its 95 % interval, and cost.

    Calls, tokens and USD are those of all `problems`; `usd` is None where no price is known.
    """

    workflow: str
    executor: str
    benchmark: str
    accuracy: float
    low: float
    high: float
    problems: int
    failures: int
    calls: int
    tokens: int
    usd: float | None
    seconds: float


def transfer_markdown(rows: Sequence[TransferRow]) -> str:
    """Return a table for each workflow: a row an executor, a column a benchmark."""
    workflows = dict.fromkeys(row.workflow for row in rows)
    tables = [_table(name, [row for row in rows if row.workflow == name]) for name in workflows]
    legend = (
        "Test accuracy [95 % interval]; calls, tokens and USD of one question. Failed: questions "
        "without an answer, which count as wrong.\n"
    )
    return "\n".join([legend, *tables])


def transfer_csv(rows: Sequence[TransferRow]) -> str:
    """Return the rows as CSV with every figure in full."""
    text = io.StringIO()
    names = [field.name for field in fields(TransferRow)]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()


def _table(workflow: str, rows: Sequence[TransferRow]) -> str:
    benchmarks = list(dict.fromkeys(row.benchmark for row in rows))
    cells = {(row.executor, row.benchmark): _cell(row) for row in rows}
    lines = [["executor", *benchmarks]]
    for executor in dict.fromkeys(row.executor for row in rows):
        lines.append([executor, *(cells.get((executor, name), "–") for name in benchmarks)])
    return f"## {workflow}\n\n{markdown_table(lines)}"


def _cell(row: TransferRow) -> str:
    calls, tokens = row.calls / row.problems, row.tokens / row.problems
    usd = "" if row.usd is None else f", {row.usd / row.problems:.6f} USD"
    failed = f", {row.failures} failed" if row.failures else ""
    return (
        f"{row.accuracy:.2f} [{row.low:.2f}, {row.high:.2f}]; {calls:.1f} calls, {tokens:.0f} "
        f"tokens{usd}{failed}"
    )
