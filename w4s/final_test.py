"""The one run of a finished workflow on held-out problems; nothing of it feeds a search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from w4s.benchmarks.base import Benchmark
from w4s.evaluation import Workbench, run_problems, total_usage
from w4s.statistics import Interval, accuracy_interval
from w4s.types import Draw, ProblemResult, TestProblem, Usage


@dataclass(frozen=True, slots=True)
class TestResult:
    """A workflow's test: accuracy with its 95 % interval, cost, and every problem's score."""

    __test__ = False  # not a pytest class

    benchmark: str
    method: str
    accuracy: float
    interval: Interval
    problems: int
    failures: int
    usage: Usage
    scores: tuple[float, ...]  # in the order of the test split, for paired tests


async def run_test(
    code: str,
    problems: Sequence[TestProblem],
    *,
    method: str,
    benchmark: Benchmark,
    workbench: Workbench,
    draw: Draw,
) -> TestResult:
    """Run the finished workflow `code` of `method` on the test split."""
    results = await run_problems(
        code, problems, benchmark=benchmark, workbench=workbench, draw=draw.path
    )
    return _summary(results, method=method, benchmark=benchmark.name, seed=draw.seed)


def _summary(
    results: Sequence[ProblemResult], *, method: str, benchmark: str, seed: int
) -> TestResult:
    scores = tuple(result.score.value for result in results)
    return TestResult(
        benchmark=benchmark,
        method=method,
        accuracy=math.fsum(scores) / len(scores),
        interval=accuracy_interval(scores, seed=seed),
        problems=len(scores),
        failures=sum(result.failure is not None for result in results),
        usage=total_usage(results),
        scores=scores,
    )
