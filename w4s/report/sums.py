"""Figures over several benchmarks: mean accuracies of a method, costs of a stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from w4s.llm.calls import GroupCost
from w4s.report.contents import TestScores
from w4s.report.rows import ResultRow
from w4s.statistics import Interval, accuracy_interval
from w4s.types import Usage


@dataclass(frozen=True, slots=True)
class GroupMean:
    """A method on all seen, or all unseen, benchmarks: everything is over all their problems.

    `gap` is validation minus test accuracy, None where a row has none. `seen` is None where nothing
    was trained.
    """

    seen: bool | None
    method: str
    interval: Interval
    gap: float | None
    calls_per_problem: float
    benchmarks: int


@dataclass(frozen=True, slots=True)
class StageCost:
    """What one stage asked of one model. `usd` is None where a price is not known."""

    stage: str
    model: str
    usage: Usage
    usd: float | None
    seconds: float


def group_means(
    rows: Sequence[ResultRow], scores: Sequence[TestScores], *, seed: int
) -> list[GroupMean]:
    """Return each method's accuracy over all held-out problems, seen benchmarks first.

    Only methods whose every row has scores.
    """
    known = {(one.benchmark, one.method): one.scores for one in scores}
    means = []
    for seen in (None, True, False):
        for method in dict.fromkeys(row.method for row in rows if row.seen == seen):
            own = [row for row in rows if (row.seen, row.method) == (seen, method)]
            found = [known.get((row.benchmark, method)) for row in own]
            complete = [one for one in found if one]
            if len(complete) < len(own):
                continue
            strata = [row.benchmark for row, one in zip(own, complete, strict=True) for _ in one]
            together = list(chain.from_iterable(complete))
            gaps = [row.problems * row.gap for row in own if row.gap is not None]
            problems = sum(row.problems for row in own)
            means.append(
                GroupMean(
                    seen=seen,
                    method=method,
                    interval=accuracy_interval(together, seed=seed, strata=strata),
                    gap=sum(gaps) / problems if len(gaps) == len(own) else None,
                    calls_per_problem=sum(row.calls for row in own) / problems,
                    benchmarks=len(own),
                )
            )
    return means


def stage_costs(costs: Sequence[GroupCost]) -> list[StageCost]:
    """Return costs by stage and model over all benchmarks; the last one is of everything."""
    found = []
    places = dict.fromkeys((cost.group.stage, cost.group.model) for cost in costs)
    for stage, model in places:
        own = [cost for cost in costs if (cost.group.stage, cost.group.model) == (stage, model)]
        found.append(_sum(stage, model, own))
    return [*found, _sum("all", "", costs)]


def _sum(stage: str, model: str, costs: Sequence[GroupCost]) -> StageCost:
    prices = [cost.usd for cost in costs if cost.usd is not None]
    return StageCost(
        stage,
        model,
        sum((cost.usage for cost in costs), Usage()),
        sum(prices) if len(prices) == len(costs) else None,
        sum(cost.seconds for cost in costs),
    )
