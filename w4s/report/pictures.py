"""Pictures of results as PNG files. Imports matplotlib only when one is drawn."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w4s.files import atomic_write_bytes
from w4s.report.curves import Curve, mean_curve, search_curve
from w4s.report.rows import ResultRow
from w4s.search import SearchResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 120
_ACROSS = "test accuracy (95 % interval)"
_COLOURS = ("#9aa0a6", "#5f6368", "#f29900", "#1a73e8", "#188038", "#a142f4", "#d93025")
_PLAIN, _STRONG = "#5f6368", "#1a73e8"
_STRIPE, _GRID = "#f5f6f7", "#dadce0"


@dataclass(frozen=True, slots=True)
class Point:
    """A point with the ends of its interval upwards."""

    across: float
    up: float
    low: float
    high: float


def draw_accuracies(path: Path, rows: Sequence[ResultRow]) -> None:
    """Draw test accuracy with its interval: a group of bars a benchmark, a colour a method.

    More methods than colours are drawn as a panel a benchmark, with a line a method.
    """
    benchmarks = list(dict.fromkeys(row.benchmark for row in rows))
    methods = list(dict.fromkeys(row.method for row in rows))
    unseen = {row.benchmark for row in rows if row.seen is False}
    if len(methods) > len(_COLOURS):
        panels: dict[str, dict[str, Point]] = {}
        for row in rows:
            name = f"{row.benchmark} (unseen)" if row.benchmark in unseen else row.benchmark
            point = Point(0.0, row.accuracy, row.low, row.high)
            panels.setdefault(name, {})[row.method] = point
        draw_intervals(path, panels, across=_ACROSS)
        return
    figure, axes = _figure(width=max(6.0, 1.6 * len(benchmarks)), height=4.2)
    for index, method in enumerate(methods):
        own = [row for row in rows if row.method == method]
        _draw_bars(axes, own, benchmarks, index=index, of=len(methods))
    names = [f"{name}\n(unseen)" if name in unseen else name for name in benchmarks]
    axes.set_xticks(range(len(benchmarks)), names, rotation=20, ha="right")
    axes.set_ylim(0, 1.05)
    axes.set_ylabel(_ACROSS)
    figure.legend(fontsize=8, frameon=False, ncols=3, loc="outside upper center")
    _save(figure, path)


def _draw_bars(
    axes: Axes, rows: Sequence[ResultRow], benchmarks: Sequence[str], *, index: int, of: int
) -> None:
    """Draw the bars of method number `index` of `of` ones."""
    width = 0.8 / max(of, 1)
    axes.bar(
        [benchmarks.index(row.benchmark) + (index + 0.5) * width - 0.4 for row in rows],
        [row.accuracy for row in rows],
        width,
        yerr=[
            [max(0.0, row.accuracy - row.low) for row in rows],
            [max(0.0, row.high - row.accuracy) for row in rows],
        ],
        label=rows[0].method,
        color=_COLOURS[index],
        error_kw={"elinewidth": 0.8, "capsize": 1.5},
    )


def draw_searches(path: Path, searches: Mapping[str, Sequence[SearchResult]]) -> None:
    """Draw best validation accuracy by candidates: a panel a benchmark, a colour a policy.

    `searches` maps a policy's label to its searches; thin lines are seeds, thick ones their mean.
    """
    curves = {name: [search_curve(one) for one in found] for name, found in searches.items()}
    draw_curves(path, curves)


def draw_curves(path: Path, curves: Mapping[str, Sequence[Curve]]) -> None:
    """Draw the curves of each label like `draw_searches`; one that ended early is shorter."""
    benchmarks = list(dict.fromkeys(one.benchmark for some in curves.values() for one in some))
    figure, panels = _figure(
        width=max(4.0, 3.0 * min(len(benchmarks), 4)),
        height=2.6 * -(-len(benchmarks) // 4),
        columns=min(len(benchmarks), 4),
        rows=-(-len(benchmarks) // 4),
    )
    flat = list(getattr(panels, "flat", [panels]))
    for axes, benchmark in zip(flat, benchmarks, strict=False):
        _draw_panel(axes, benchmark, curves)
        axes.set_xlabel("candidates (0: the example)", fontsize=8)
    for axes in flat[len(benchmarks) :]:
        axes.axis("off")
    handles, labels = flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, frameon=False, ncols=4, loc="outside upper center")
    _save(figure, path)


def _draw_panel(axes: Axes, benchmark: str, curves: Mapping[str, Sequence[Curve]]) -> None:
    from matplotlib.ticker import MaxNLocator

    for index, (label, found) in enumerate(curves.items()):
        own = [curve for curve in found if curve.benchmark == benchmark]
        if not own:
            continue
        colour = _COLOURS[(index + 2) % len(_COLOURS)]
        for curve in own if len(own) > 1 else ():
            axes.plot(*_columns(curve.points), color=colour, linewidth=0.6, alpha=0.5)
        axes.plot(*_columns(mean_curve(own)), color=colour, linewidth=2, label=label)
    axes.set_title(benchmark, fontsize=9)
    axes.set_ylim(-0.03, 1.03)
    axes.tick_params(labelsize=8)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("best validation accuracy", fontsize=8)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def draw_points(path: Path, points: Mapping[str, Point], *, across: str, up: str) -> None:
    """Draw named points with their intervals over a logarithmic axis, e.g. accuracy over tokens."""
    from matplotlib.ticker import StrMethodFormatter, SymmetricalLogLocator

    figure, axes = _figure(width=8, height=4.2)
    for index, (name, point) in enumerate(points.items()):
        below, above = max(0.0, point.up - point.low), max(0.0, point.high - point.up)
        look = _look(index)
        axes.errorbar(
            [point.across], [point.up], [[below], [above]], **look, elinewidth=0.6, label=name
        )
    axes.set_xscale("symlog", linthresh=1)
    axes.xaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=1, subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    _save(figure, path)


def draw_steps(path: Path, lines: Mapping[str, Sequence[Point]], *, across: str, up: str) -> None:
    """Draw lines through points at whole numbers, with their intervals, e.g. accuracy over T."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = _figure(width=6, height=3.6)
    for index, (name, points) in enumerate(lines.items()):
        aside = 0.03 * (index - (len(lines) - 1) / 2)  # intervals of two lines do not hide
        places = [point.across + aside for point in points]
        below = [max(0.0, point.up - point.low) for point in points]
        above = [max(0.0, point.high - point.up) for point in points]
        look = {**_look(index + 2), "linestyle": "-"}
        axes.errorbar(
            places, [point.up for point in points], [below, above], **look, capsize=2, label=name
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    figure.legend(fontsize=8, frameon=False, ncols=3, loc="outside upper center")
    _save(figure, path)


def draw_intervals(
    path: Path,
    panels: Mapping[str, Mapping[str, Point]],
    *,
    across: str,
    strong: Collection[str] = (),
) -> None:
    """Draw a panel for each name of `panels`: a line for each label, its point and interval.

    For many methods on a few benchmarks, where bars would be thin. Values lie in `Point.up`; the
    labels in `strong` stand out.
    """
    labels = list(dict.fromkeys(label for panel in panels.values() for label in panel))
    columns = min(len(panels), 4)
    rows = -(-len(panels) // columns)
    height = rows * (0.9 + 0.2 * len(labels))
    figure, found = _figure(width=2.4 + 2.4 * columns, height=height, rows=rows, columns=columns)
    flat = list(getattr(found, "flat", [found]))
    for index, (axes, (name, panel)) in enumerate(zip(flat, panels.items(), strict=False)):
        _draw_intervals(axes, panel, labels, strong)
        axes.set_title(name, fontsize=9)
        axes.set_xlabel(across, fontsize=8)
        if index % columns:
            axes.set_yticklabels([])
    for axes in flat[len(panels) :]:
        axes.axis("off")
    _save(figure, path)


def _draw_intervals(
    axes: Axes, panel: Mapping[str, Point], labels: Sequence[str], strong: Collection[str]
) -> None:
    for place in range(0, len(labels), 2):  # stripes lead the eye from a label to its point
        axes.axhspan(place - 0.5, place + 0.5, color=_STRIPE, linewidth=0)
    axes.grid(axis="x", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for label, point in panel.items():
        place = labels.index(label)
        colour = _STRONG if label in strong else _PLAIN
        axes.plot([point.low, point.high], [place, place], color=colour, linewidth=1.2)
        axes.plot([point.up], [place], "o", color=colour, markersize=4.5)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"], fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlim(-0.03, 1.03)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _look(index: int) -> dict[str, Any]:
    """Return colour and marker of a point: no two of the first twenty-eight are alike."""
    size = len(_COLOURS)
    return {"color": _COLOURS[index % size], "marker": "osD^"[index // size % 4], "linestyle": ""}


def draw_lines(
    path: Path, lines: Mapping[str, Sequence[tuple[float, float]]], *, label: str, x: str = "step"
) -> None:
    """Draw named lines of (x, value), e.g. losses by step."""
    figure, axes = _figure(width=6, height=3.4)
    for index, (name, points) in enumerate(lines.items()):
        colour = _COLOURS[(index + 3) % len(_COLOURS)]
        axes.plot(*_columns(points), label=name, color=colour)
    axes.set_xlabel(x)
    axes.set_ylabel(label)
    axes.legend(fontsize=8, frameon=False)
    _save(figure, path)


def draw_histogram(path: Path, values: Sequence[float], *, label: str) -> None:
    """Draw how often each value occurs, e.g. of the rewards."""
    figure, axes = _figure(width=4.5, height=3)
    axes.hist(values, bins=20, color=_COLOURS[3])
    axes.set_xlabel(label)
    axes.set_ylabel("count")
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
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)  # names of tasks and models may hold a $
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    atomic_write_bytes(path, buffer.getvalue())
