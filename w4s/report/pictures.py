"""Pictures of results as PNG files. Imports matplotlib only when one is drawn."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w4s.files import atomic_write_bytes
from w4s.report.rows import ResultRow
from w4s.search import SearchResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 120
_COLOURS = ("#9aa0a6", "#5f6368", "#f29900", "#1a73e8", "#188038", "#a142f4", "#d93025")


def draw_accuracies(path: Path, rows: Sequence[ResultRow]) -> None:
    """Draw test accuracy with its interval: a group of bars a benchmark, a colour a method."""
    benchmarks = list(dict.fromkeys(row.benchmark for row in rows))
    methods = list(dict.fromkeys(row.method for row in rows))
    figure, axes = _figure(width=max(6.0, 1.6 * len(benchmarks)), height=4.2)
    width = 0.8 / max(len(methods), 1)
    for index, method in enumerate(methods):
        own = [row for row in rows if row.method == method]
        centres = [benchmarks.index(row.benchmark) + (index + 0.5) * width - 0.4 for row in own]
        heights = [row.accuracy for row in own]
        below = [max(0.0, row.accuracy - row.low) for row in own]
        above = [max(0.0, row.high - row.accuracy) for row in own]
        axes.bar(
            centres,
            heights,
            width,
            yerr=[below, above],
            label=method,
            color=_COLOURS[index % len(_COLOURS)],
            error_kw={"elinewidth": 0.8, "capsize": 1.5},
        )
    seen = {row.benchmark: row.seen for row in rows}
    names = [name if seen[name] else f"{name}\n(unseen)" for name in benchmarks]
    axes.set_xticks(range(len(benchmarks)), names, rotation=20, ha="right")
    axes.set_ylim(0, 1.05)
    axes.set_ylabel("test accuracy (95 % interval)")
    axes.legend(fontsize=8, frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.2))
    _save(figure, path)


def draw_searches(path: Path, searches: Mapping[str, Sequence[SearchResult]]) -> None:
    """Draw best validation accuracy by iteration: a panel a benchmark, a colour a policy.

    `searches` maps a policy's label to its searches; thin lines are seeds, thick ones their mean.
    """
    benchmarks = list(dict.fromkeys(r.benchmark for rs in searches.values() for r in rs))
    figure, panels = _figure(
        width=3.0 * min(len(benchmarks), 4),
        height=2.6 * -(-len(benchmarks) // 4),
        columns=min(len(benchmarks), 4),
        rows=-(-len(benchmarks) // 4),
    )
    flat = list(getattr(panels, "flat", [panels]))
    for axes, benchmark in zip(flat, benchmarks, strict=False):
        _draw_panel(axes, benchmark, searches)
    for axes in flat[len(benchmarks) :]:
        axes.axis("off")
    flat[0].legend(fontsize=8, frameon=False)
    _save(figure, path)


def _draw_panel(axes: Axes, benchmark: str, searches: Mapping[str, Sequence[SearchResult]]) -> None:
    for index, (label, results) in enumerate(searches.items()):
        curves = [_curve(result) for result in results if result.benchmark == benchmark]
        if not curves:
            continue
        colour = _COLOURS[(index + 2) % len(_COLOURS)]
        if len(curves) > 1:
            for curve in curves:
                axes.plot(curve, color=colour, linewidth=0.6, alpha=0.5)
        mean = [sum(values) / len(values) for values in zip(*curves, strict=True)]
        axes.plot(mean, color=colour, linewidth=2, label=label)
    axes.set_title(benchmark, fontsize=9)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("iteration (0: the example)", fontsize=8)
    axes.set_ylabel("best validation accuracy", fontsize=8)


def _curve(result: SearchResult) -> list[float]:
    return [result.example_accuracy, *(iteration.best for iteration in result.iterations)]


def draw_histogram(path: Path, values: Sequence[float], *, label: str) -> None:
    """Draw how often each value occurs, e.g. of the rewards."""
    figure, axes = _figure(width=4.5, height=3)
    axes.hist(values, bins=20, color=_COLOURS[3])
    axes.set_xlabel(label)
    axes.set_ylabel("count")
    _save(figure, path)


def draw_lines(
    path: Path, lines: Mapping[str, Sequence[tuple[float, float]]], *, label: str
) -> None:
    """Draw named lines of (step, value), e.g. losses."""
    figure, axes = _figure(width=6, height=3.4)
    for index, (name, points) in enumerate(lines.items()):
        steps, values = zip(*points, strict=True) if points else ((), ())
        axes.plot(steps, values, label=name, color=_COLOURS[(index + 3) % len(_COLOURS)])
    axes.set_xlabel("step")
    axes.set_ylabel(label)
    axes.legend(fontsize=8, frameon=False)
    _save(figure, path)


def _figure(*, width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, Any]:
    # no pyplot: it keeps global state and picks a window system
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=rows * columns == 1)
    return figure, panels


def _save(figure: Figure, path: Path) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    atomic_write_bytes(path, buffer.getvalue())
