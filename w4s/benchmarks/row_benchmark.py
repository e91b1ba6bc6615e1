"""A benchmark made of rows, a way to read one row, and a scorer.

Knows no particular data set: those are modules of their own.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from w4s.benchmarks.base import TooFewProblems
from w4s.benchmarks.rows import Row, Source, Table, read_source, refuse_bad_rows
from w4s.benchmarks.text import normalise_question
from w4s.types import Problem, Score

SCORERS_REVISION = 7  # of the built-in scorers: one more whenever verdicts may change
ACCEPTED = "accepted"  # all right answers, in the data of a problem that has several
LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Item:
    """What a row says: a question, its reference answer, and what the scorer needs besides."""

    question: str
    answer: str
    data: Mapping[str, Any] = field(default_factory=dict)


class BadRowError(ValueError):
    """A row cannot be used; the message says why."""


ReadRow = Callable[[Mapping[str, Any]], Item]
ScoreAnswer = Callable[[Problem, str], Awaitable[Score]]
Scorer = Callable[[Problem, str], Score]


def column(row: Mapping[str, Any], name: str) -> str:
    """Return a column of a row as text. Raises BadRowError where it is missing or empty."""
    value = row.get(name)
    if value is None or not str(value).strip():
        raise BadRowError(f"column {name!r} is missing or empty (has: {', '.join(row) or 'none'})")
    return str(value)


def structure(row: Mapping[str, Any], name: str) -> Any:
    """Return a column that is no text, None where it is missing. CSV holds it as JSON.

    Raises BadRowError where a text is no JSON.
    """
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        return value or None
    try:
        return json.loads(value)
    except ValueError as error:
        raise BadRowError(
            f"column {name!r} is no JSON; write its lists as JSON, or the rows as JSONL or Parquet"
        ) from error


class RowBenchmark:
    """Problems from rows. `scorer_revision` changes when verdicts may.

    Rows whose questions are the same after normalising count once. A problem is called by its
    number, and of two answers to one question the first counts. In a file `of_ones_own` a problem
    is called by where its row stands, and two answers to one question are refused.
    """

    def __init__(
        self,
        name: str,
        *,
        description: str,
        tables: Callable[[], Sequence[Table]],
        read_row: ReadRow,
        score: ScoreAnswer,
        scorer_revision: int | str = SCORERS_REVISION,
        of_ones_own: bool = False,
    ) -> None:
        self._name = name
        self._description = description
        self._read_tables = tables
        self._read_row = read_row
        self._score = score
        self._scorer_revision = scorer_revision
        self._of_ones_own = of_ones_own

    @property
    def name(self) -> str:
        """The name used in parameters, files and reports."""
        return self._name

    @property
    def description(self) -> str:
        """What is asked and which form an answer has, for the policy."""
        return self._description

    @cached_property
    def version(self) -> str:
        """Name the rows and the scorer's revision. Raises DataError where there are no rows."""
        versions = "+".join(table.version for table in self._tables)
        if len(versions) > 80:
            versions = hashlib.sha256(versions.encode()).hexdigest()[:16]
        return f"{versions}-{self._scorer_revision}"

    def problems(self, count: int, *, seed: int) -> list[Problem]:
        """Return `count` different problems in an order that the seed decides.

        Raises TooFewProblems, and DataError listing rows that cannot be used.
        """
        problems = list(self._all)
        if count > len(problems):
            raise TooFewProblems(self._name, asked=count, available=len(problems))
        random.Random(f"{self._name}/{seed}").shuffle(problems)
        return problems[:count]

    async def score(self, problem: Problem, answer: str) -> Score:
        """Judge an answer with the benchmark's scorer."""
        if not answer.strip():
            return Score(0.0, None, "the answer is empty")
        return await self._score(problem, answer)

    @cached_property
    def _tables(self) -> Sequence[Table]:
        return self._read_tables()

    @cached_property
    def _all(self) -> Sequence[Problem]:
        rows = [row for table in self._tables for row in table.rows]
        bad: list[str] = []
        problems: dict[str, Problem] = {}
        for number, row in enumerate(rows):
            try:
                problem = self._problem(number, row)
            except BadRowError as error:
                bad.append(f"{row.place}: {error}")
                continue
            first = problems.setdefault(normalise_question(problem.question), problem)
            if self._of_ones_own and (first.answer, first.data) != (problem.answer, problem.data):
                bad.append(_contradiction(row.place, problem, first))
        refuse_bad_rows(self._name, bad, total=len(rows))
        if len(problems) < len(rows):
            repeated = len(rows) - len(problems)
            LOGGER.info("%s: %d of %d rows repeat a question", self._name, repeated, len(rows))
        return list(problems.values())

    def _problem(self, number: int, row: Row) -> Problem:
        item = self._read_row(row.values)
        place = row.place.replace("/", "-")  # an id is one part of a draw's address
        return Problem(
            id=place if self._of_ones_own else f"{self._name}-{number}",
            benchmark=self._name,
            question=item.question,
            answer=item.answer,
            data=item.data,
        )


def _contradiction(place: str, problem: Problem, first: Problem) -> str:
    one, other = (p.data.get(ACCEPTED, p.answer) for p in (problem, first))
    return (
        f"{place}: asks what {first.id} asks (but for case and punctuation), with another answer: "
        f"{one!r:.60}, not {other!r:.60}; keep one of them"
    )


def immediate(scorer: Scorer) -> ScoreAnswer:
    """Return a scorer that has nothing to wait for as one that can be awaited."""

    async def score(problem: Problem, answer: str) -> Score:
        return scorer(problem, answer)

    return score


def from_source(source: Source, data_dir: Path | None) -> Callable[[], Sequence[Table]]:
    """Return a function that reads the one table of `source`."""
    return lambda: [read_source(source, data_dir=data_dir)]
