"""The tables of an experiment as Markdown and CSV. Measures and draws nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from w4s.experiments.cells import Cell
from w4s.experiments.lines import Line
from w4s.experiments.plan import Experiment
from w4s.report.rows import chance, markdown_table
from w4s.statistics import spread_over_seeds

NONE = "–"
_ID_CHARACTERS = 8
_IDS = 3  # most of one line
_LEGEND = """\
Accuracy: on the held-out problems, with a 95 % interval over the problems (Wilson's where every
score is right or wrong, which over several benchmarks is the wider one, else the bootstrap's);
several searches are averaged, and ± is their sample deviation. Failed: questions on which the
workflow broke, passed a limit or got no reply; they count as wrong. Validation: the accuracy by
which the workflow was chosen; gap: validation minus test.
Difference: {reference} minus this method on the same problems, paired bootstrap interval and p;
over several benchmarks the bootstrap resamples within each, as they are no sample of any.
McNemar: exact p. Nothing is corrected for the number of comparisons, and the bootstrap's intervals
of fewer than twenty problems are somewhat too narrow. Calls, tokens and USD: of one question; those
of the search: of one search. Runs: MLflow's ids, in full in table.csv.
"""


def markdown(
    experiment: Experiment,
    lines: Sequence[Line],
    curves: Sequence[Mapping[str, Any]],
    reference: str,
) -> str:
    """Return the page of an experiment: its question, its tables, how to read them."""
    parts = [f"# {experiment.name}\n", f"{experiment.question}\n", "![](picture.png)\n"]
    parts.append(_table([_texts(line) for line in lines]))
    if curves:
        parts.append("## Best validation accuracy by candidates sampled (0: the example)\n")
        parts.append(_table([_curve_texts(row) for row in curves]))
    return "\n".join([*parts, _LEGEND.format(reference=reference)])


def lines_csv(lines: Sequence[Line]) -> str:
    """Return the lines with every figure in full."""
    return _csv([_figures(line) for line in lines])


def curves_csv(curves: Sequence[Mapping[str, Any]]) -> str:
    """Return the curves with every figure in full."""
    return _csv(curves)


def curve_rows(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Return mean and spread over seeds of the best validation accuracy after each iteration.

    A search that its own budget ended early keeps its last accuracy to the end of the others.
    """
    groups: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in cells:
        if cell.curve:
            groups.setdefault((cell.variant, cell.benchmark, cell.label), []).append(cell)
    rows: list[dict[str, Any]] = []
    for (variant, benchmark, label), own in groups.items():
        step = max(cell.step for cell in own)  # one that ended at once does not know its own
        for iteration in range(max(len(cell.curve) for cell in own)):
            spread = spread_over_seeds([cell.curve[: iteration + 1][-1] for cell in own])
            rows.append(
                {
                    "variant": variant,
                    "benchmark": benchmark,
                    "method": label,
                    "iteration": iteration,
                    "candidates": iteration * step,
                    "mean": spread.mean,
                    "deviation": spread.deviation,
                    "low": spread.low,
                    "high": spread.high,
                    "seeds": spread.seeds,
                }
            )
    return rows


def _figures(line: Line) -> dict[str, Any]:
    versus = line.versus
    return {
        "variant": line.variant,
        "benchmark": line.benchmark,
        "seen": "" if line.seen is None else line.seen,
        "method": line.method,
        "label": line.label,
        "accuracy": line.accuracy,
        "low": line.low,
        "high": line.high,
        "problems": line.problems,
        "seeds": line.seeds,
        "deviation": line.deviation,
        "validation": line.validation,
        "gap": line.gap,
        "difference": versus.estimate if versus else None,
        "difference_low": versus.low if versus else None,
        "difference_high": versus.high if versus else None,
        "p_bootstrap": versus.p_value if versus else None,
        "p_mcnemar": line.mcnemar,
        "calls": line.calls,
        "tokens": line.tokens,
        "failed": line.failed,
        "usd": line.usd,
        "seconds": line.seconds,
        "search_calls": line.search_calls,
        "search_tokens": line.search_tokens,
        "search_usd": line.search_usd,
        "search_seconds": line.search_seconds,
        "runs": " ".join(line.run_ids),
    }


def _texts(line: Line) -> dict[str, str]:
    versus, searched = line.versus, line.search_calls > 0
    spread = f" ± {line.deviation:.2f}" if line.seeds > 1 else ""
    return {
        "variant": line.variant or NONE,
        "benchmark": line.benchmark,
        "trained on": NONE if line.seen is None else ("yes" if line.seen else "no"),
        "method": line.label,
        "accuracy [95 %]": f"{line.accuracy:.2f}{spread} [{line.low:.2f}, {line.high:.2f}]",
        "problems": f"{line.problems:,}",
        "failed": f"{line.failed:.1%}" if line.failed else NONE,
        "searches": str(line.seeds) if line.seeds > 1 else NONE,
        "validation": _number(line.validation, ".2f"),
        "gap": _number(line.gap, "+.2f"),
        "difference [95 %]": NONE
        if versus is None
        else f"{versus.estimate:+.2f} [{versus.low:+.2f}, {versus.high:+.2f}]",
        "p": NONE if versus is None else chance(versus.p_value),
        "McNemar": NONE if line.mcnemar is None else chance(line.mcnemar),
        "calls": f"{line.calls:.1f}",
        "tokens": f"{line.tokens:,.0f}",
        "USD": _number(line.usd, ".6f"),
        "search calls": f"{line.search_calls:,.0f}" if searched else NONE,
        "search tokens": f"{line.search_tokens:,.0f}" if searched else NONE,
        "search USD": _number(line.search_usd, ".4f") if searched else NONE,
        "search s": f"{line.search_seconds:.0f}" if searched else NONE,
        "runs": _runs(line.run_ids),
    }


def _runs(run_ids: Sequence[str]) -> str:
    shown = " ".join(run_id[:_ID_CHARACTERS] for run_id in run_ids[:_IDS])
    more = len(run_ids) - _IDS
    return f"{shown} and {more} more" if more > 0 else shown


def _curve_texts(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "variant": row["variant"] or NONE,
        "benchmark": row["benchmark"],
        "method": row["method"],
        "candidates": str(row["candidates"]),
        "mean ± deviation": f"{row['mean']:.2f} ± {row['deviation']:.2f}",
        "least to most": f"{row['low']:.2f} to {row['high']:.2f}",
        "seeds": str(row["seeds"]),
    }


def _number(value: float | None, form: str) -> str:
    return NONE if value is None else format(value, form)


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    """Return a Markdown table without the columns in which no row has anything."""
    names = [name for name in rows[0] if any(row[name] != NONE for row in rows)]
    return markdown_table([names, *([row[name] for name in names] for row in rows)])


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
