"""GSM8K: grade-school word problems with a whole number as the answer.

Home: `openai/gsm8k`, configuration main, split test (1,319 rows). Metric: the final number
equals the number after "####". Source: Cobbe et al., arXiv 2110.14168.
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
    file="gsm8k/test",
    hub="openai/gsm8k",
    config="main",
    split="test",
    revision="cc7b047b6e5bb11b4f1af84efc572db110a51b3c",
)
DESCRIPTION = (
    "Solve a grade-school maths word problem in several steps. The answer is one whole number, "
    "without a unit."
)


def gsm8k(*, data_dir: Path | None = None) -> RowBenchmark:
    """Return the benchmark."""
    return RowBenchmark(
        "gsm8k",
        description=DESCRIPTION,
        tables=from_source(SOURCE, data_dir),
        read_row=read_row,
        score=immediate(lambda problem, answer: numeric(problem.answer, answer)),
    )


def read_row(row: Mapping[str, Any]) -> Item:
    """Read the columns question and answer (a solution that ends in "#### 42")."""
    _, mark, final = column(row, "answer").rpartition("####")
    final = final.strip().replace(",", "")
    if not mark or exact_number(final) is None:
        raise BadRowError(f"column 'answer' does not end in '#### number': …{final[-60:]!r}")
    return Item(question=column(row, "question"), answer=final)
