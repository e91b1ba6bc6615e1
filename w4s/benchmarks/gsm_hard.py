"""GSM-Hard: the questions of GSM8K with large numbers.

Home: `reasoning-machines/gsm-hard`, split train (1,319 rows, all there are). Metric: the final
number lies within 0.001 of the target, as in the authors' evaluation.
Source: Gao et al., PAL, arXiv 2211.10435.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

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
    file="gsm_hard/train",
    hub="reasoning-machines/gsm-hard",
    split="train",
    revision="960448f73503112d4226baeb8eb41d3fb5ae2506",
)
DESCRIPTION = (
    "Solve a grade-school maths word problem with very large numbers, which may make the story "
    "absurd (negative amounts count). The answer is one number, without a unit and not rounded."
)
TOLERANCE = Fraction(1, 1000)


def gsm_hard(*, data_dir: Path | None = None) -> RowBenchmark:
    """Return the benchmark."""
    return RowBenchmark(
        "gsm_hard",
        description=DESCRIPTION,
        tables=from_source(SOURCE, data_dir),
        read_row=read_row,
        score=immediate(
            lambda problem, answer: numeric(problem.answer, answer, absolute=TOLERANCE)
        ),
    )


def read_row(row: Mapping[str, Any]) -> Item:
    """Read the columns input and target (a float)."""
    try:
        target = Decimal(column(row, "target"))
    except ArithmeticError as error:
        raise BadRowError(f"column 'target' is no number: {row['target']!r}") from error
    text = f"{target:f}"
    return Item(question=column(row, "input"), answer=text.removesuffix(".0"))
