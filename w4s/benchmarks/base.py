"""The seam of a benchmark: a name, a description for the policy, problems, and a scorer."""

from __future__ import annotations

from typing import Protocol

from w4s.errors import DataError
from w4s.types import Problem, Score


class TooFewProblems(DataError):
    """A benchmark has fewer different problems than asked for."""

    def __init__(self, benchmark: str, *, asked: int, available: int) -> None:
        super().__init__(
            f"{benchmark}: {asked} problems asked for, but it has {available} different ones. "
            "Lower benchmarks.private, benchmarks.public or benchmarks.test."
        )
        self.asked = asked
        self.available = available


class Benchmark(Protocol):
    """A data set with a scorer."""

    @property
    def name(self) -> str:
        """The name used in parameters, files and reports."""
        ...

    @property
    def description(self) -> str:
        """One or two sentences for the policy: what is asked and which form an answer has."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever rows or verdicts may change; part of cache keys and split hashes."""
        ...

    def problems(self, count: int, *, seed: int) -> list[Problem]:
        """Return `count` different problems, the same for the same seed.

        Raises TooFewProblems where the data set has fewer, DataError where it cannot be read.
        """
        ...

    async def score(self, problem: Problem, answer: str) -> Score:
        """Judge a workflow's answer (its dict's "answer" as text). Never raises on odd answers."""
        ...
