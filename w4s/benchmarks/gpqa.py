"""GPQA Diamond: 198 graduate-level questions of physics, chemistry and biology, four options.

Home: `Idavidrein/gpqa` (gated: accept its terms and log in), configuration gpqa_diamond, split
train, all there are. Its authors ask not to spread the questions in plain text: keep files with
them private. Metric: the letter chosen. The home has the right option first always, so the
options are shuffled here, by the question alone: every run sees the same order.
Source: Rein et al., arXiv 2311.12022.
"""

from __future__ import annotations

import random
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from w4s.benchmarks.choices import score_choice, with_options
from w4s.benchmarks.row_benchmark import Item, RowBenchmark, column, from_source, immediate
from w4s.benchmarks.rows import Source

SOURCE = Source(
    file="gpqa/train",
    hub="Idavidrein/gpqa",
    config="gpqa_diamond",
    split="train",
    revision="633f5ee89ab8ad4522a9f850766b73f62147ffdd",
)
DESCRIPTION = (
    "Answer a graduate-level multiple-choice question of physics, chemistry or biology with four "
    "options. The answer is the letter of the right option."
)
SHUFFLE_SEED = 0
_WRONG = ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")


def gpqa(*, data_dir: Path | None = None) -> RowBenchmark:
    """Return the benchmark."""
    return RowBenchmark(
        "gpqa",
        description=DESCRIPTION,
        tables=from_source(SOURCE, data_dir),
        read_row=read_row,
        score=immediate(score_choice),
    )


def read_row(row: Mapping[str, Any]) -> Item:
    """Read the columns Question, Correct Answer and Incorrect Answer 1 to 3."""
    question = column(row, "Question")
    options = [column(row, name).strip() for name in ("Correct Answer", *_WRONG)]
    order = list(range(len(options)))
    random.Random(f"gpqa/{SHUFFLE_SEED}/{question}").shuffle(order)
    shuffled = [options[place] for place in order]
    return Item(
        question=with_options(question, shuffled),
        answer=string.ascii_uppercase[order.index(0)],
        data={"options": shuffled, "domain": str(row.get("High-level domain") or "")},
    )
