"""What an experiment measures: one finished workflow on the held-out problems of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass

from w4s.types import Usage


@dataclass(frozen=True, slots=True)
class Cell:
    """One test. `scores` are in the order of the test split, so that tests can be paired.

    `method` is the machine's name, `label` the reader's; `seed` is the search's, None where nothing
    was searched. `seen` is whether training saw the benchmark, None where nothing was trained.
    `validation` is the accuracy by which the workflow was chosen, `curve` the best validation
    accuracy before and after each iteration of `step` candidates. `usage` is the test's,
    `search_usage` that of finding the workflow; USD are None where no price is known. `run_id` is
    MLflow's. `failures` counts the problems without an answer.
    """

    variant: str
    benchmark: str
    seen: bool | None
    method: str
    label: str
    seed: int | None
    validation: float | None
    scores: tuple[float, ...]
    usage: Usage
    usd: float | None
    seconds: float
    search_usage: Usage
    search_usd: float | None
    search_seconds: float
    curve: tuple[float, ...]
    run_id: str
    step: int = 1
    failures: int = 0

    @property
    def accuracy(self) -> float:
        """The mean score."""
        return sum(self.scores) / len(self.scores)
