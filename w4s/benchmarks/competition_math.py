r"""MATH: competition problems whose answers are mathematical expressions.

Home: `HuggingFaceH4/MATH-500`, split test: the 500 problems of MATH's test set that have become
the usual sample. Metric: the expressions are equal for math-verify; the last `\boxed{}` of an
answer counts. Source: Hendrycks et al., arXiv 2103.03874; Lightman et al., arXiv 2305.20050.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from w4s.benchmarks.math_referee import MathReferee
from w4s.benchmarks.row_benchmark import Item, RowBenchmark, column, from_source
from w4s.benchmarks.rows import Source
from w4s.types import Problem, Score

SOURCE = Source(
    file="math500/test",
    hub="HuggingFaceH4/MATH-500",
    split="test",
    revision="6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be",
)
DESCRIPTION = (
    "Solve a competition maths problem (algebra, geometry, number theory, counting, calculus). "
    r"The answer is one expression in LaTeX, such as \frac{3}{4} or x^2+1, without words."
)


def competition_math(*, data_dir: Path | None = None) -> RowBenchmark:
    """Return the benchmark; its scorer starts a child process when it is first needed."""
    referee = MathReferee()

    async def score(problem: Problem, answer: str) -> Score:
        return await asyncio.to_thread(referee.score, problem.answer, answer)

    return RowBenchmark(
        "math",
        description=DESCRIPTION,
        tables=from_source(SOURCE, data_dir),
        read_row=read_row,
        score=score,
    )


def read_row(row: Mapping[str, Any]) -> Item:
    """Read the columns problem and answer, and subject and level where there are any."""
    data = {key: str(row[key]) for key in ("subject", "level") if row.get(key) is not None}
    return Item(question=column(row, "problem"), answer=column(row, "answer"), data=data)
