"""From cells to the lines of a table: seeds and benchmarks together, compared with a reference.

Intervals are of the problems, at 95 %; spread over seeds is told apart from them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from w4s.experiments.cells import Cell
from w4s.experiments.plan import Experiment
from w4s.statistics import (
    PairedDifference,
    accuracy_interval,
    mcnemar_exact,
    paired_difference,
    spread_over_seeds,
)

POOLS: tuple[tuple[str, Callable[[Cell], bool]], ...] = (
    ("all benchmarks", lambda _: True),
    ("all seen ones", lambda cell: cell.seen is True),
    ("all unseen ones", lambda cell: cell.seen is False),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A method on a benchmark, or on several: accuracy over all problems, seeds averaged.

    `deviation` is the sample deviation of the accuracy over `seeds` searches. `versus` is the
    reference minus this method on the same problems, `mcnemar` the exact p where every score is
    right or wrong. Calls, tokens, USD are of one question; those of the search of one search.
    `failed` is the share of questions without an answer.
    """

    variant: str
    benchmark: str
    seen: bool | None
    method: str
    label: str
    accuracy: float
    low: float
    high: float
    problems: int
    seeds: int
    deviation: float
    validation: float | None
    calls: float
    tokens: float
    failed: float
    usd: float | None
    seconds: float
    search_calls: float
    search_tokens: float
    search_usd: float | None
    search_seconds: float
    run_ids: tuple[str, ...]
    versus: PairedDifference | None = None
    mcnemar: float | None = None

    @property
    def gap(self) -> float | None:
        """Validation minus test accuracy: how much the choice overfitted."""
        return None if self.validation is None else self.validation - self.accuracy


@dataclass(frozen=True, slots=True)
class _Group:
    """A line and the scores behind it, one for each problem: the mean over seeds.

    `strata` are the benchmarks of the problems, where they are several.
    """

    line: Line
    scores: tuple[float, ...]
    strata: tuple[str, ...] | None = None


def make_lines(
    cells: Sequence[Cell], experiment: Experiment, *, seed: int, reference_variant: str = ""
) -> list[Line]:
    """Return a line for each method on pools of benchmarks, then on each benchmark.

    `seed` is that of the bootstrap. A pool is left out where it is one benchmark, or all of them.
    """
    groups = [_group(own, seed=seed) for own in _by(cells, _place)]
    pooled = [
        _pool(name, [g for g in groups if _place_of(g) in places], variant, seed=seed)
        for name, places in _pools(cells)
        for variant in _methods(cells)
    ]
    everything = [*(group for group in pooled if group is not None), *groups]
    found = {(g.line.variant, g.line.benchmark, g.line.method): g for g in everything}
    return [
        _compared(group, _reference(group.line, found, experiment, reference_variant), seed=seed)
        for group in everything
    ]


def _place(cell: Cell) -> tuple[str, str, str]:
    return cell.variant, cell.benchmark, cell.method


def _place_of(group: _Group) -> str:
    return group.line.benchmark


def _methods(cells: Sequence[Cell]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((cell.variant, cell.method) for cell in cells))


def _by(cells: Iterable[Cell], key: Callable[[Cell], tuple[str, str, str]]) -> Iterable[list[Cell]]:
    groups: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(key(cell), []).append(cell)
    return groups.values()


def _pools(cells: Sequence[Cell]) -> list[tuple[str, set[str]]]:
    everything = {cell.benchmark for cell in cells}
    pools: list[tuple[str, set[str]]] = []
    for name, chosen in POOLS:
        places = {cell.benchmark for cell in cells if chosen(cell)}
        if len(places) > 1 and (not pools or places != everything):
            pools.append((name, places))
    return pools


def _group(cells: Sequence[Cell], *, seed: int) -> _Group:
    first, count = cells[0], len(cells)
    problems = len(first.scores)
    scores = tuple(_mean(values) for values in zip(*(c.scores for c in cells), strict=True))
    interval = accuracy_interval(scores, seed=seed)
    asked = problems * count
    line = Line(
        variant=first.variant,
        benchmark=first.benchmark,
        seen=first.seen,
        method=first.method,
        label=first.label,
        accuracy=interval.estimate,
        low=interval.low,
        high=interval.high,
        problems=problems,
        seeds=count,
        deviation=spread_over_seeds([cell.accuracy for cell in cells]).deviation,
        validation=_mean_of([cell.validation for cell in cells]),
        calls=sum(cell.usage.calls for cell in cells) / asked,
        tokens=sum(cell.usage.tokens for cell in cells) / asked,
        failed=sum(cell.failures for cell in cells) / asked,
        usd=_scaled(_mean_of([cell.usd for cell in cells]), 1 / problems),
        seconds=_mean([cell.seconds for cell in cells]),
        search_calls=_mean([cell.search_usage.calls for cell in cells]),
        search_tokens=_mean([cell.search_usage.tokens for cell in cells]),
        search_usd=_mean_of([cell.search_usd for cell in cells]),
        search_seconds=_mean([cell.search_seconds for cell in cells]),
        run_ids=tuple(cell.run_id for cell in cells),
    )
    return _Group(line, scores)


def _pool(
    name: str, groups: Sequence[_Group], method: tuple[str, str], *, seed: int
) -> _Group | None:
    """Return the groups of one method as one, over all problems of their benchmarks.

    None where it was not tested on all of them: it would stand beside methods that were.
    """
    own = [group for group in groups if (group.line.variant, group.line.method) == method]
    places = {group.line.benchmark for group in own}
    if len(places) < 2 or places != {group.line.benchmark for group in groups}:
        return None
    lines = [group.line for group in own]
    scores = tuple(chain.from_iterable(group.scores for group in own))
    strata = tuple(group.line.benchmark for group in own for _ in group.scores)
    interval = accuracy_interval(scores, seed=seed, strata=strata)
    line = replace(
        lines[0],
        benchmark=name,
        seen=lines[0].seen if len({line.seen for line in lines}) == 1 else None,
        accuracy=interval.estimate,
        low=interval.low,
        high=interval.high,
        problems=len(scores),
        deviation=_pooled_deviation(lines),
        validation=_weighted(lines, [line.validation for line in lines]),
        calls=_weighted(lines, [line.calls for line in lines]) or 0.0,
        tokens=_weighted(lines, [line.tokens for line in lines]) or 0.0,
        failed=_weighted(lines, [line.failed for line in lines]) or 0.0,
        usd=_weighted(lines, [line.usd for line in lines]),
        seconds=sum(line.seconds for line in lines),
        search_calls=_mean([line.search_calls for line in lines]),
        search_tokens=_mean([line.search_tokens for line in lines]),
        search_usd=_mean_of([line.search_usd for line in lines]),
        search_seconds=_mean([line.search_seconds for line in lines]),
        run_ids=tuple(chain.from_iterable(line.run_ids for line in lines)),
    )
    return _Group(line, scores, strata)


def _pooled_deviation(lines: Sequence[Line]) -> float:
    """Return the deviation of the accuracy over all problems: searches are independent."""
    total = sum(line.problems for line in lines)
    return math.sqrt(math.fsum((line.problems * line.deviation / total) ** 2 for line in lines))


def _reference(
    line: Line,
    found: dict[tuple[str, str, str], _Group],
    experiment: Experiment,
    reference_variant: str,
) -> _Group | None:
    if not experiment.references:
        reference = found.get((reference_variant, line.benchmark, line.method))
        return None if reference is None or reference.line is line else reference
    for method in experiment.references:
        reference = found.get((line.variant, line.benchmark, method))
        if reference is not None:
            return None if reference.line is line else reference
    return None


def _compared(group: _Group, reference: _Group | None, *, seed: int) -> Line:
    if reference is None or len(reference.scores) != len(group.scores):
        return group.line
    versus = paired_difference(reference.scores, group.scores, seed=seed, strata=group.strata)
    binary = all(score in (0.0, 1.0) for score in (*group.scores, *reference.scores))
    p_value = mcnemar_exact(reference.scores, group.scores).p_value if binary else None
    return replace(group.line, versus=versus, mcnemar=p_value)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _mean_of(values: Sequence[float | None]) -> float | None:
    """Return the mean, or None where a value is not known."""
    known = [value for value in values if value is not None]
    return _mean(known) if known and len(known) == len(values) else None


def _weighted(lines: Sequence[Line], values: Sequence[float | None]) -> float | None:
    """Return the mean over all problems of `lines`, or None where a value is not known."""
    known = [
        line.problems * value
        for line, value in zip(lines, values, strict=True)
        if value is not None
    ]
    if len(known) < len(lines):
        return None
    return math.fsum(known) / sum(line.problems for line in lines)


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
