"""The final table, the best workflows and the comparison of policies: files and MLflow."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from tasks.context import Context
from tasks.data_sets import held_out_sets
from tasks.drawn import draw_once
from tasks.searches import Searches
from tasks.told import Point
from w4s.benchmarks.custom import benchmark_label
from w4s.config import ExecutorParams
from w4s.export.notes import executor_notes
from w4s.files import atomic_folder, atomic_write_text
from w4s.final_test import TestResult
from w4s.first_candidates import FirstCandidates
from w4s.report.pictures import draw_accuracies, draw_searches
from w4s.report.rows import ResultRow, to_csv, to_markdown
from w4s.statistics import accuracy_interval, paired_difference
from w4s.types import Usage
from w4s.workflow import Workflow, save_workflow


@dataclass(frozen=True, slots=True)
class Method:
    """A finished workflow to test: how it was found, and what finding it cost.

    `alone`: the small model is its executor.
    """

    benchmark: str
    name: str
    code: str
    validation: float | None = None
    search_usage: Usage = field(default_factory=Usage)
    alone: bool = False


def make_row(method: Method, result: TestResult, *, seen: bool | None, seconds: float) -> ResultRow:
    """Return the table's row for a tested method."""
    return ResultRow(
        benchmark=benchmark_label(method.benchmark),
        seen=seen,
        method=method.name,
        accuracy=result.accuracy,
        low=result.interval.low,
        high=result.interval.high,
        problems=result.problems,
        validation=method.validation,
        calls=result.usage.calls,
        tokens=result.usage.tokens,
        search_calls=method.search_usage.calls,
        search_tokens=method.search_usage.tokens,
        seconds=seconds,
        failures=result.failures,
    )


def write_results(
    context: Context,
    *,
    rows: Sequence[ResultRow],
    tests: Sequence[TestResult],
    searches: Searches,
    candidates: dict[str, list[FirstCandidates]],
    notes: Sequence[str] = (),
) -> None:
    """Write table, pictures, workflows and comparisons, whole or not at all, and log them.

    `candidates` maps a policy's name to its first candidates on each benchmark; `notes` are
    sentences for below the table.
    """
    comparison = compare_policies(candidates, seed=context.params.seed)
    labelled = {
        policy: [s.result for s in searches.searches if s.policy == policy]
        for policy in dict.fromkeys(search.policy for search in searches.searches)
    }
    with atomic_folder(context.workspace.results) as folder:
        _write_json(folder / "table.json", [asdict(row) for row in rows])
        atomic_write_text(folder / "table.csv", to_csv(rows))
        below = "".join(f"\n{note}\n" for note in notes)
        atomic_write_text(folder / "table.md", to_markdown(rows) + below)
        _write_json(folder / "scores.json", _scores(rows, tests))
        _write_json(folder / "first_candidates.json", comparison)
        _write_json(folder / "metrics.json", _metrics(rows, comparison))
        draw_once(context, folder / "accuracy.png", draw_accuracies, rows)
        draw_once(context, folder / "searches.png", draw_searches, labelled)
        for benchmark in context.params.benchmarks.all:
            _save_best(folder / "workflows", benchmark, searches, executor=context.params.executor)
    _log_results(context, _metrics(rows, comparison), candidates)


def compare_policies(candidates: dict[str, list[FirstCandidates]], *, seed: int) -> dict[str, Any]:
    """Return each policy's mean accuracy of first candidates, and trained minus starting one.

    The first policy is the starting one. The intervals, of 95 %, are resampled within benchmarks:
    another choice of benchmarks would be another comparison.
    """
    accuracies = {
        policy: list(chain.from_iterable(one.accuracies for one in found))
        for policy, found in candidates.items()
        if found
    }
    if not accuracies:
        return {}
    start = next(iter(accuracies))
    strata = [one.benchmark for one in candidates[start] for _ in one.accuracies]
    means = {
        p: asdict(accuracy_interval(a, seed=seed, strata=strata)) for p, a in accuracies.items()
    }
    gains = {
        policy: asdict(paired_difference(own, accuracies[start], seed=seed, strata=strata))
        for policy, own in accuracies.items()
        if policy != start
    }
    return {
        "mean": means,
        f"minus {start}": gains,
        "by benchmark": {
            p: {benchmark_label(f.benchmark): f.mean for f in candidates[p]} for p in accuracies
        },
        "broken": {p: sum(f.broken for f in candidates[p]) for p in accuracies},
    }


def _scores(rows: Sequence[ResultRow], tests: Sequence[TestResult]) -> list[dict[str, Any]]:
    return [
        {"benchmark": row.benchmark, "method": row.method, "scores": test.scores}
        for row, test in zip(rows, tests, strict=True)
    ]


def _metrics(rows: Sequence[ResultRow], comparison: dict[str, Any]) -> dict[str, Any]:
    test: dict[str, dict[str, float]] = {}
    for row in rows:
        test.setdefault(row.benchmark, {})[_slug(row.method)] = row.accuracy
    first = {policy: one["estimate"] for policy, one in comparison.get("mean", {}).items()}
    return {"test": test, "first_candidates": first}


def _slug(name: str) -> str:
    return "_".join("".join(c if c.isalnum() else " " for c in name).split())


def _save_best(
    folder: Path, benchmark: str, searches: Searches, *, executor: ExecutorParams
) -> None:
    own = [search for search in searches.searches if search.result.benchmark == benchmark]
    best = max(own, key=lambda search: search.result.accuracy)
    result = best.result
    label = benchmark_label(benchmark)
    name = label.replace(":", "-").replace("/", "-")
    notes = {
        "benchmark": label,
        "found by": f"{best.policy}, seed {result.seed}"
        + ("" if result.found is None else f", iteration {result.found}"),
        "validation": f"{result.accuracy:.3f}",
        **executor_notes(executor),
        "run": f'w4s solve --workflow {shlex.quote(f"{name}.py")} "QUESTION"',
    }
    save_workflow(folder / f"{name}.py", Workflow(name, result.code), notes=notes)


def _write_json(path: Path, value: Any) -> None:
    atomic_write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _log_results(
    context: Context, metrics: dict[str, Any], candidates: dict[str, list[FirstCandidates]]
) -> None:
    points = [
        Point(f"test/{benchmark}/{method}", accuracy)
        for benchmark, methods in metrics["test"].items()
        for method, accuracy in methods.items()
    ]
    points += [Point(f"first_candidates/{p}", v) for p, v in metrics["first_candidates"].items()]
    with context.tracker.run("evaluate", stage="evaluate", parent=context.run_id) as run_id:
        context.tracker.params(run_id, context.params.model_dump(mode="json"))
        read = held_out_sets(context, context.params.benchmarks.all)
        context.tracker.datasets(run_id, read, context="test")
        context.tracker.metrics(run_id, points)
        context.tracker.artifact(run_id, context.workspace.results, "results")

        def crown(own: str) -> None:
            from tasks.registry import choose_champion, log_verdicts

            log_verdicts(context.tracker, own, choose_champion(context, candidates))

        context.tracker.then(run_id, crown, about="champion")
    context.tracker.metrics(context.run_id, points)
