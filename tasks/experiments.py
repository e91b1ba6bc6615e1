"""From tested workflows to the files of an experiment: cells with their runs, tables, a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tasks.context import Context
from tasks.methods import baseline_method, example_method, measured_baseline, search_method
from tasks.results import Method
from tasks.searches import FinishedSearch, Searches
from tasks.told import Point
from w4s.benchmarks.custom import benchmark_label
from w4s.experiments.cells import Cell
from w4s.experiments.lines import Line, make_lines
from w4s.experiments.pictures import draw_experiment
from w4s.experiments.plan import BEST_EXAMPLE, Experiment
from w4s.experiments.tables import curve_rows, curves_csv, lines_csv, markdown
from w4s.files import atomic_folder, atomic_write_text
from w4s.final_test import TestResult
from w4s.llm.open import known_prices
from w4s.llm.totals import cost_usd
from w4s.report.curves import search_curve
from w4s.report.rows import ResultRow, chance

FOLDER = "experiments"
CHAIN = "chain_of_thought"


@dataclass(frozen=True, slots=True)
class Entry:
    """A method to test in an experiment; `key` names it for machines."""

    key: str
    method: Method
    search: FinishedSearch | None = None


def entries(context: Context, searches: Searches) -> list[Entry]:
    """Return baselines, the best example, and the searches of every seed, for each benchmark."""
    found: list[Entry] = []
    for benchmark in context.params.benchmarks.all:
        for name in context.params.evaluate.baselines:
            found.append(Entry(name, measured_baseline(benchmark, name, searches)))
        found.append(Entry(BEST_EXAMPLE, example_method(benchmark, searches)))
        found += [
            Entry(search.policy, search_method(search), search)
            for search in searches.searches
            if search.result.benchmark == benchmark
        ]
    return found


def transfer_entries(context: Context, searches: Searches, *, searched: bool) -> list[Entry]:
    """Return chain of thought and the workflow found, for each benchmark.

    With the executor that was `searched` with, the workflows found on seen benchmarks are tested
    on all others as well.
    """
    benchmarks = context.params.benchmarks
    found: list[Entry] = []
    for benchmark in benchmarks.all:
        best = _best(searches, benchmark)
        own = Method(benchmark, "workflow found here", best.result.code)
        if searched:  # its validation and cost are of this executor
            own = replace(search_method(best), name=own.name)
        found.append(Entry(CHAIN, baseline_method(benchmark, CHAIN)))
        found.append(Entry("own", own, best if searched else None))
        for other in benchmarks.seen if searched else ():
            if other != benchmark:
                code = _best(searches, other).result.code
                label = f"workflow found on {benchmark_label(other)}"
                found.append(Entry(f"from {other}", Method(benchmark, label, code)))
    return found


def _best(searches: Searches, benchmark: str) -> FinishedSearch:
    """Return the search that found the workflow with the best validation accuracy."""
    own = [one for one in searches.searches if one.result.benchmark == benchmark]
    return max(own, key=lambda search: search.result.accuracy)


def make_cell(
    context: Context,
    entry: Entry,
    tested: tuple[ResultRow, TestResult],
    *,
    variant: str,
    seen: bool | None,
) -> Cell:
    """Return the cell of a tested entry, with a run of its own in MLflow."""
    row, result = tested
    method, search = entry.method, entry.search
    params = context.params
    model = params.policy.model if method.alone else params.executor.model
    prices = known_prices(params.executor)
    benchmark = benchmark_label(method.benchmark)
    seed = f"seed {search.result.seed}" if search else ""
    name = ", ".join(filter(None, (benchmark, method.name, variant, seed)))
    tags = {"benchmark": benchmark, "method": method.name, "variant": variant, "seed": seed}
    with context.tracker.run(name, stage=FOLDER, parent=context.run_id, tags=tags) as run_id:
        cell = Cell(
            variant=variant,
            benchmark=benchmark,
            seen=seen,
            method=entry.key,
            label=method.name,
            seed=search.result.seed if search else None,
            validation=method.validation,
            scores=result.scores,
            usage=result.usage,
            usd=cost_usd(result.usage, prices.get(model)),
            seconds=row.seconds,
            search_usage=method.search_usage,
            search_usd=cost_usd(method.search_usage, prices.get(params.executor.model)),
            search_seconds=search.seconds if search else 0.0,
            curve=_curve(search),
            run_id=run_id,
            step=1 if search is None else search_curve(search.result).step,
            failures=result.failures,
        )
        _log(context, cell, method, result)
    return cell


def write_experiment(
    context: Context,
    experiment: Experiment,
    cells: Sequence[Cell],
    *,
    comparisons: dict[str, Any],
) -> Path:
    """Write tables, picture and cells, whole or not at all, and log them; return the folder.

    `comparisons` are those of the policies' first candidates, by variant.
    """
    params = context.params
    lines = make_lines(
        cells,
        experiment,
        seed=params.seed,
        reference_variant=experiment.reference_variant(params),
    )
    curves = curve_rows(cells) if experiment.shape == "curve" else []
    target = context.workspace.root / FOLDER / experiment.name
    with atomic_folder(target) as folder:
        page = markdown(experiment, lines, curves, _reference(experiment, context, cells))
        if experiment.shape == "transfer" and not params.experiments.executors:
            page += "No other executors: experiments.executors is empty.\n"
        atomic_write_text(folder / "table.md", page + _first_candidates(comparisons))
        atomic_write_text(folder / "table.csv", lines_csv(lines))
        if curves:
            atomic_write_text(folder / "curves.csv", curves_csv(curves))
        if comparisons:
            _write_json(folder / "first_candidates.json", comparisons)
        _write_json(folder / "cells.json", [asdict(cell) for cell in cells])
        _write_json(folder / "metrics.json", _metrics(lines))
        turns = params.experiments.turns
        draw_experiment(folder / "picture.png", experiment.shape, lines, cells, turns)
    context.tracker.artifact(context.run_id, target, FOLDER)
    return target


def _curve(search: FinishedSearch | None) -> tuple[float, ...]:
    if search is None:
        return ()
    result = search.result
    return (result.example_accuracy, *(step.best for step in result.iterations))


def _log(context: Context, cell: Cell, method: Method, result: TestResult) -> None:
    figures = {
        "accuracy": result.accuracy,
        "low": result.interval.low,
        "high": result.interval.high,
        "failures": result.failures,
        "validation_accuracy": cell.validation,
        "calls": cell.usage.calls,
        "tokens": cell.usage.tokens,
        "usd": cell.usd,
        "search_calls": cell.search_usage.calls,
        "search_tokens": cell.search_usage.tokens,
    }
    points = [Point(f"test/{k}", v) for k, v in figures.items() if v is not None]
    points += [Point("best", best, step) for step, best in enumerate(cell.curve)]
    context.tracker.metrics(cell.run_id, points)
    context.tracker.text(cell.run_id, method.code, "workflow.py")


def _reference(experiment: Experiment, context: Context, cells: Sequence[Cell]) -> str:
    """Say in words what the methods of a table are compared with."""
    if not experiment.references:
        return f"the same method with {experiment.reference_variant(context.params)}"
    labels = {cell.method: cell.label for cell in cells}
    return next((labels[name] for name in experiment.references if name in labels), "nothing")


def _first_candidates(comparisons: dict[str, Any]) -> str:
    """Return how accurate the policies' first candidates are, as a Markdown table."""
    found = {name: one for name, one in comparisons.items() if one}
    if not found:
        return ""
    text = "\n## First candidates of each policy: validation accuracy before any feedback\n\n"
    text += "| policy | mean [95 %] | broken | minus the starting policy [95 %] | p |\n"
    text += "| --- | --- | --- | --- | --- |\n"
    for one in found.values():
        (gains,) = (value for name, value in one.items() if name.startswith("minus "))
        for policy, mean in one["mean"].items():
            text += f"| {policy} | {_interval(mean, '.3f')} | {one['broken'][policy]} | "
            gain = gains.get(policy)
            text += (
                f"{_interval(gain, '+.3f')} | {chance(gain['p_value'])} |\n"
                if gain
                else "– | – |\n"
            )
    return text


def _interval(one: dict[str, float], form: str) -> str:
    low, high = format(one["low"], form), format(one["high"], form)
    return f"{one['estimate']:{form}} [{low}, {high}]"


def _metrics(lines: Sequence[Line]) -> dict[str, Any]:
    metrics: dict[str, Any] = {}
    for line in lines:
        place = metrics.setdefault(line.variant or "all", {}).setdefault(line.benchmark, {})
        place[line.method] = line.accuracy
    return metrics


def _write_json(path: Path, value: Any) -> None:
    atomic_write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")
