"""MGSM: 250 problems of GSM8K in each of eleven languages.

Home: `juletxara/mgsm`, one configuration a language, split test; all languages together, as in
the paper. A problem and its translations may therefore lie in different splits. Metric: the
final number equals the answer, in the digits of any script. Answers to German, Spanish, French
and Russian problems may be written as these languages do: "2.000", "2 000" and "2000,00" are
2000 there. The authors' scorer and simple-evals strip commas only, and would count them as
wrong; "2.000" for the answer 2 is right with them and here. Source: Shi et al., arXiv 2210.03057.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from w4s.benchmarks.numbers import exact_number
from w4s.benchmarks.row_benchmark import BadRowError, Item, RowBenchmark, column, immediate
from w4s.benchmarks.rows import Row, Source, Table, read_source
from w4s.benchmarks.scorers import numeric
from w4s.types import Problem, Score

DECIMAL_COMMA = frozenset({"de", "es", "fr", "ru"})
LANGUAGES = ("bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh")
HUB = "juletxara/mgsm"
REVISION = "b2f13d426afe3be8d69a7e739b36724db8b66bbc"
DESCRIPTION = (
    "Solve a grade-school maths word problem written in one of eleven languages (Bengali, "
    "German, English, Spanish, French, Japanese, Russian, Swahili, Telugu, Thai, Chinese). "
    "The answer is one whole number, without a unit."
)


def mgsm(*, data_dir: Path | None = None) -> RowBenchmark:
    """Return the benchmark."""
    return RowBenchmark(
        "mgsm",
        description=DESCRIPTION,
        tables=lambda: [_table(language, data_dir) for language in LANGUAGES],
        read_row=read_row,
        score=immediate(score),
    )


def score(problem: Problem, answer: str) -> Score:
    """Judge a number, written as in the problem's language or as in English."""
    comma = problem.data.get("language") in DECIMAL_COMMA
    return numeric(problem.answer, answer, decimal_comma=comma)


def source(language: str) -> Source:
    """Return where the rows of one language live."""
    return Source(
        file=f"mgsm/{language}", hub=HUB, config=language, split="test", revision=REVISION
    )


def read_row(row: Mapping[str, Any]) -> Item:
    """Read the columns question and answer, or answer_number as on the hub."""
    answer = row.get("answer_number")
    text = column(row, "answer") if answer is None else str(answer)
    text = text.strip().replace(",", "").removesuffix(".0")
    if exact_number(text) is None:
        raise BadRowError(f"the answer is no number: {text!r}")
    data = {"language": str(row.get("language") or "")}
    return Item(question=column(row, "question"), answer=text, data=data)


def _table(language: str, data_dir: Path | None) -> Table:
    table = read_source(source(language), data_dir=data_dir)
    rows: Sequence[Row] = [
        Row(f"{language}/{row.place}", {**row.values, "language": language}) for row in table.rows
    ]
    return Table(tuple(rows), table.version)
