"""What a report is made of: the values that a workspace holds, and what it does not hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from w4s.llm.calls import GroupCost
from w4s.report.rows import ResultRow
from w4s.search import SearchResult
from w4s.types import Trajectory


@dataclass(frozen=True, slots=True)
class NamedSearch:
    """A search by the policy's name in tables; `seconds` is how long it took."""

    policy: str
    result: SearchResult
    seconds: float


@dataclass(frozen=True, slots=True)
class TestScores:
    """Every held-out problem's score of a method on a benchmark, in the order of the problems."""

    __test__ = False  # not a pytest class

    benchmark: str
    method: str
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FirstAccuracy:
    """A policy's mean accuracy of first candidates with its interval.

    `gain` is the mean minus that of the policy that training started from, with its interval;
    None for that one itself.
    """

    policy: str
    mean: tuple[float, float, float]
    gain: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True)
class Contents:
    """The parts of a report. An empty part is left out and named in `missing`.

    `facts` say what ran: models, sizes, commit. `losses` maps an objective to (step, loss).
    `baseline` is the code that the found workflows are shown beside.
    """

    title: str
    baseline: str
    seed: int
    facts: Mapping[str, str] = field(default_factory=dict)
    rows: Sequence[ResultRow] = ()
    scores: Sequence[TestScores] = ()
    searches: Sequence[NamedSearch] = ()
    first: Sequence[FirstAccuracy] = ()
    trajectories: Sequence[Trajectory] = ()
    losses: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    costs: Sequence[GroupCost] = ()
    missing: Sequence[str] = ()
