"""The picture of an experiment, by the shape of its table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from w4s.experiments.cells import Cell
from w4s.experiments.lines import POOLS, Line
from w4s.experiments.plan import Shape, turns_label
from w4s.report.curves import Curve
from w4s.report.pictures import (
    Point,
    draw_curves,
    draw_intervals,
    draw_points,
    draw_steps,
)

_ACCURACY = "test accuracy (95 % interval)"
_POOLS = tuple(name for name, _ in POOLS)


def draw_experiment(
    path: Path, shape: Shape, lines: Sequence[Line], cells: Sequence[Cell], turns: Sequence[int]
) -> None:
    """Draw accuracies with intervals, curves of searches, accuracy over cost or over T."""
    match shape:
        case "curve":
            draw_curves(path, _curves(cells))
        case "cost":
            draw_points(
                path, _points(_together(lines)), across="tokens of one question", up=_ACCURACY
            )
        case "turns":
            draw_steps(path, _by_turns(_together(lines), turns), across="T", up=_ACCURACY)
        case "methods" | "transfer":
            references = {_label(line) for line in lines if line.versus is None}
            draw_intervals(path, _panels(lines), across=_ACCURACY, strong=references)


def _together(lines: Sequence[Line]) -> list[Line]:
    """Return the lines of all benchmarks together, or those of the only one."""
    return [line for line in lines if line.benchmark == _POOLS[0]] or list(lines)


def _curves(cells: Sequence[Cell]) -> dict[str, list[Curve]]:
    curves: dict[str, list[Curve]] = {}
    for cell in cells:
        if cell.curve:
            curve = Curve(cell.benchmark, cell.curve, cell.step)
            curves.setdefault(cell.label, []).append(curve)
    return curves


def _panels(lines: Sequence[Line]) -> dict[str, dict[str, Point]]:
    """Return a panel for each benchmark, and for all of them together."""
    panels: dict[str, dict[str, Point]] = {}
    for line in lines:
        panels.setdefault(line.benchmark, {})[_label(line)] = _point(line)
    return panels


def _label(line: Line) -> str:
    return f"{line.label}, {line.variant}" if line.variant else line.label


def _points(lines: Sequence[Line]) -> dict[str, Point]:
    return {line.label: _point(line) for line in lines}


def _point(line: Line) -> Point:
    return Point(line.tokens, line.accuracy, line.low, line.high)


def _by_turns(lines: Sequence[Line], turns: Sequence[int]) -> dict[str, list[Point]]:
    labels = {turns_label(number): number for number in turns}
    points: dict[str, list[Point]] = {}
    for line in lines:
        point = Point(labels[line.variant], line.accuracy, line.low, line.high)
        points.setdefault(line.label, []).append(point)
    return points
