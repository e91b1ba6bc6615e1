"""Race the candidates of a turn on the same problems in the same order, and stop the losers early.

A candidate stops when it can no longer win even if it solved everything that is left (the choice
is then the one of a full evaluation), or, with `margin`, when its interval lies below the best one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from w4s.benchmarks.base import Benchmark
from w4s.concurrency import gather
from w4s.evaluation import Workbench, make_feedback, run_problems
from w4s.statistics import wilson_interval
from w4s.types import Feedback, ProblemResult, ValidationSplits

_BLOCKS = 4


@dataclass(frozen=True, slots=True)
class Entrant:
    """A workflow in the race, with the address of its evaluation."""

    code: str
    draw: str


@dataclass(frozen=True, slots=True)
class RaceRule:
    """How boldly to stop: in `blocks` rounds; with `margin` also by intervals of that level.

    Without `margin` only those stop that cannot win any more.
    """

    blocks: int = _BLOCKS
    margin: float | None = None


@dataclass
class _Lane:
    entrant: Entrant
    results: list[ProblemResult]
    running: bool = True

    @property
    def points(self) -> float:
        return math.fsum(result.score.value for result in self.results)


async def race(
    entrants: Sequence[Entrant],
    splits: ValidationSplits,
    *,
    benchmark: Benchmark,
    workbench: Workbench,
    rule: RaceRule = RaceRule(),
) -> list[Feedback]:
    """Return the feedback of each entrant, in order.

    A stopped one has the accuracy on the problems that it ran, `skipped` > 0, and no case studies.
    """
    if not entrants:  # no candidate of the turn was valid
        return []
    lanes = [_Lane(entrant, []) for entrant in entrants]
    total = len(splits.private)
    size = -(-total // rule.blocks)
    for start in range(0, total, size):
        block = splits.private[start : start + size]
        running = [lane for lane in lanes if lane.running]
        found = await gather(
            run_problems(
                lane.entrant.code,
                block,
                benchmark=benchmark,
                workbench=workbench,
                draw=lane.entrant.draw,
            )
            for lane in running
        )
        for lane, results in zip(running, found, strict=True):
            lane.results.extend(results)
        _stop_losers(lanes, total, rule)
    return await gather(
        _finish(lane, splits, benchmark=benchmark, workbench=workbench) for lane in lanes
    )


def _stop_losers(lanes: Sequence[_Lane], total: int, rule: RaceRule) -> None:
    running = [lane for lane in lanes if lane.running]
    leader = max(running, key=lambda lane: lane.points)
    for lane in running:
        left = total - len(lane.results)
        beaten = lane.points + left < leader.points
        if rule.margin is not None and not beaten:
            beaten = _interval(lane, rule.margin)[1] < _interval(leader, rule.margin)[0]
        if beaten and left:
            lane.running = False


def _interval(lane: _Lane, level: float) -> tuple[float, float]:
    interval = wilson_interval(int(lane.points), len(lane.results), level=level)
    return interval.low, interval.high


async def _finish(
    lane: _Lane, splits: ValidationSplits, *, benchmark: Benchmark, workbench: Workbench
) -> Feedback:
    if not lane.running:
        feedback = make_feedback(lane.results, (), ())
        return replace(feedback, skipped=len(splits.private) - len(lane.results))
    public = await run_problems(
        lane.entrant.code,
        splits.public,
        benchmark=benchmark,
        workbench=workbench,
        draw=lane.entrant.draw,
    )
    return make_feedback(lane.results, splits.public, public)
