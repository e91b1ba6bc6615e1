"""SVAMP: one-step arithmetic word problems with misleading variations.

Home: `ChilleD/SVAMP`, splits train and test together (700 + 300 rows: the authors' challenge
set, of which nothing is trained on here). Metric: the final number equals the answer.
Source: Patel et al., arXiv 2103.07191.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from w4s.benchmarks.numbers import exact_number
from w4s.benchmarks.row_benchmark import (
    BadRowError,
    Item,
    RowBenchmark,
    column,
    from_source,
    immediate,
)
from w4s.benchmarks.rows import Source
from w4s.benchmarks.scorers import numeric

SOURCE = Source(
    file="svamp/test",
    hub="ChilleD/SVAMP",
    split="train+test",
    revision="5e0bf1e5e7c0e9c4bc39180d224f41f3f801b7ef",
)
DESCRIPTION = (
    "Solve a short arithmetic word problem that may mention numbers that are not needed. "
    "The answer is one number, without a unit."
)


def svamp(*, data_dir: Path | None = None) -> RowBenchmark:
    """Return the benchmark."""
    return RowBenchmark(
        "svamp",
        description=DESCRIPTION,
        tables=from_source(SOURCE, data_dir),
        read_row=read_row,
        score=immediate(lambda problem, answer: numeric(problem.answer, answer)),
    )


def read_row(row: Mapping[str, Any]) -> Item:
    """Read the columns Body, Question and Answer (a number or its text)."""
    answer = column(row, "Answer").strip().removesuffix(".0")
    if exact_number(answer) is None:
        raise BadRowError(f"column 'Answer' is no number: {answer!r}")
    body = column(row, "Body").strip()
    stop = "" if body.endswith((".", "?", "!", ",")) else "."
    kind = str(row.get("Type") or "")
    question = f"{body}{stop} {column(row, 'Question').strip()}"
    return Item(question=question, answer=answer, data={"type": kind})
