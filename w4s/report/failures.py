"""What went wrong, counted: broken candidates, and problems on which a workflow failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from w4s.report.contents import NamedSearch
from w4s.types import Candidate, Failure, Trajectory


@dataclass(frozen=True, slots=True)
class Signature:
    """One kind of failure of one stage on one benchmark; `example` is the commonest message."""

    stage: str
    benchmark: str
    kind: str
    count: int
    example: str


def broken_attempts(
    trajectories: Sequence[Trajectory], searches: Sequence[NamedSearch]
) -> list[Signature]:
    """Return why attempts at a candidate (corrections included) did not run, commonest first."""
    found: dict[tuple[str, str, str], Counter[str]] = {}
    for stage, benchmark, failure in _attempts(trajectories, searches):
        place = (stage, benchmark, failure.kind.value)
        found.setdefault(place, Counter())[failure.message] += 1
    signatures = [
        Signature(*place, sum(messages.values()), messages.most_common(1)[0][0])
        for place, messages in found.items()
    ]
    return sorted(signatures, key=lambda s: (-s.count, s.stage, s.benchmark, s.kind))


def failed_problems(trajectories: Sequence[Trajectory]) -> dict[str, Counter[str]]:
    """Return, by benchmark, how often a collected workflow failed on a problem, and why."""
    found: dict[str, Counter[str]] = {}
    for trajectory in trajectories:
        for candidate in candidates(trajectory):
            if candidate.feedback is not None:
                counter = found.setdefault(trajectory.benchmark, Counter())
                counter.update({str(k): n for k, n in candidate.feedback.failures.items()})
    return found


def candidates(trajectory: Trajectory) -> Iterator[Candidate]:
    """Yield every candidate of every turn."""
    for turn in trajectory.turns:
        yield from turn.candidates


def _attempts(
    trajectories: Sequence[Trajectory], searches: Sequence[NamedSearch]
) -> Iterator[tuple[str, str, Failure]]:
    for trajectory in trajectories:
        for candidate in candidates(trajectory):
            for failure in candidate.failures:
                yield "collect", trajectory.benchmark, failure
    for search in searches:
        for step in search.result.iterations:
            for failure in step.failures:
                yield f"search, {search.policy}", search.result.benchmark, failure
