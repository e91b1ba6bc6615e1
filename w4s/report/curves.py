"""Curves of searches: the best validation accuracy by how many candidates were sampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from w4s.benchmarks.custom import benchmark_label
from w4s.search import SearchResult


@dataclass(frozen=True, slots=True)
class Curve:
    """The best validation accuracy of one search: before it, then after each iteration.

    An iteration takes `step` candidates.
    """

    benchmark: str
    best: tuple[float, ...]
    step: int = 1

    @property
    def points(self) -> list[tuple[float, float]]:
        """The accuracies with where they lie across."""
        return [(float(index * self.step), value) for index, value in enumerate(self.best)]


def search_curve(result: SearchResult) -> Curve:
    """Return the curve of a search, by its candidates: searches of other shapes compare."""
    best = (result.example_accuracy, *(iteration.best for iteration in result.iterations))
    sampled = max((len(iteration.sampled) for iteration in result.iterations), default=1)
    return Curve(benchmark_label(result.benchmark), best, max(sampled, 1))


def mean_curve(curves: Sequence[Curve]) -> list[tuple[float, float]]:
    """Return the mean of curves of one step; one that ended early keeps its last value."""
    length = max(len(curve.best) for curve in curves)
    padded = [curve.best + curve.best[-1:] * (length - len(curve.best)) for curve in curves]
    mean = tuple(sum(values) / len(values) for values in zip(*padded, strict=True))
    return Curve("", mean, max(curve.step for curve in curves)).points
