"""MMLU-Pro: knowledge and reasoning questions of fourteen subjects with up to ten options.

Home: `TIGER-Lab/MMLU-Pro`, split test (12,032 rows). Metric: the letter chosen, read by the
authors' patterns; an answer without a letter is wrong (the authors draw one at random).
Source: Wang et al., arXiv 2406.01574.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from w4s.benchmarks.choices import option_texts, score_choice, with_options
from w4s.benchmarks.row_benchmark import (
    BadRowError,
    Item,
    RowBenchmark,
    column,
    from_source,
    immediate,
    structure,
)
from w4s.benchmarks.rows import Source

SOURCE = Source(
    file="mmlu_pro/test",
    hub="TIGER-Lab/MMLU-Pro",
    split="test",
    revision="527feea0afed1de15a8c115abf7be4c912123315",
)
DESCRIPTION = (
    "Answer a multiple-choice question of a university subject with up to ten options. "
    "The answer is the letter of the right option."
)


def mmlu_pro(*, data_dir: Path | None = None) -> RowBenchmark:
    """Return the benchmark."""
    return RowBenchmark(
        "mmlu_pro",
        description=DESCRIPTION,
        tables=from_source(SOURCE, data_dir),
        read_row=read_row,
        score=immediate(score_choice),
    )


def read_row(row: Mapping[str, Any]) -> Item:
    """Read the columns question, options, answer (a letter) and category."""
    texts = option_texts(structure(row, "options"))
    answer = column(row, "answer").strip()
    if answer not in string.ascii_uppercase[: len(texts)]:
        raise BadRowError(f"column 'answer' is no letter of its {len(texts)} options: {answer!r}")
    return Item(
        question=with_options(column(row, "question"), texts),
        answer=answer,
        data={"options": texts, "category": str(row.get("category") or "")},
    )
