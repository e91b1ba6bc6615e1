"""The report as one HTML document that a person reads in five minutes. Writes no file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

from w4s.report.charts import Line, histogram, interval_bar, legend, line_chart
from w4s.report.contents import Contents, NamedSearch
from w4s.report.curves import mean_curve, search_curve
from w4s.report.failures import broken_attempts, candidates, failed_problems
from w4s.report.page import (
    Cell,
    Html,
    charts,
    code_pair,
    figure,
    folded,
    page,
    paragraph,
    section,
    table,
)
from w4s.report.rows import HEADINGS, ResultRow, cells
from w4s.report.sums import GroupMean, group_means, stage_costs
from w4s.search import SearchResult
from w4s.types import FailureKind

_MESSAGE_LENGTH = 140
_SIGNATURES = 25
_OPENED = 2  # workflows shown without a click
_ACCURACY = "test accuracy [95 %]"
_FIGURES = ("validation", "gap", "calls", "tokens", "search calls", "seconds")  # of HEADINGS


def write_document(contents: Contents) -> str:
    """Return the document: self-contained, without scripts, every text escaped."""
    parts = [
        _head(contents),
        _summary(contents),
        _results(contents.rows),
        _curves(contents.searches),
        _training(contents),
        _workflows(contents),
        _failures(contents),
        _costs(contents),
        _missing(contents.missing),
    ]
    return page(contents.title, [part for part in parts if part])


def _head(contents: Contents) -> str:
    facts = " · ".join(f"{name}: {value}" for name, value in contents.facts.items())
    return f"<header><h1>{escape(contents.title)}</h1>{paragraph(facts, soft=True)}</header>"


def _summary(contents: Contents) -> str:
    means = group_means(contents.rows, contents.scores, seed=contents.seed)
    if not means:
        return ""
    titles = {
        None: "",  # nothing was trained
        True: "<h3>Benchmarks that training saw</h3>",
        False: "<h3>Benchmarks that it did not see</h3>",
    }
    headings = (
        "method",
        _ACCURACY,
        "0 … 1",
        "validation − test",
        "calls a problem",
        "benchmarks",
    )
    parts = [paragraph("Held-out problems of all benchmarks together, by method.")]
    for seen, title in titles.items():
        own = [_mean_row(mean) for mean in means if mean.seen is seen]
        parts += [title, table(headings, own)] if own else []
    return section("In short", *parts, _first(contents))


def _mean_row(mean: GroupMean) -> tuple[Cell, ...]:
    one = mean.interval
    return (
        mean.method,
        f"{one.estimate:.2f} [{one.low:.2f}, {one.high:.2f}]",
        Html(interval_bar(one.estimate, one.low, one.high, colour=3)),
        "–" if mean.gap is None else f"{mean.gap:+.2f}",
        f"{mean.calls_per_problem:.1f}",
        str(mean.benchmarks),
    )


def _first(contents: Contents) -> str:
    if not contents.first:
        return ""
    rows: list[tuple[Cell, ...]] = [
        (
            one.policy,
            "{:.2f} [{:.2f}, {:.2f}]".format(*one.mean),
            "–" if one.gain is None else "{:+.2f} [{:+.2f}, {:+.2f}]".format(*one.gain),
        )
        for one in contents.first
    ]
    note = (
        "Validation accuracy of the workflows that each policy writes first, before any feedback "
        "on its own; the difference is paired with the policy that training started from."
    )
    headings = ("policy", "mean [95 %]", "minus starting policy [95 %]")
    return f"<h3>The policies alone</h3>{paragraph(note, soft=True)}{table(headings, rows)}"


def _results(rows: Sequence[ResultRow]) -> str:
    if not rows:
        return ""
    names = list(dict.fromkeys(row.method for row in rows))
    sizes = {row.problems for row in rows}  # a small benchmark has fewer than the others
    starts = [n for n, row in enumerate(rows) if not n or row.benchmark != rows[n - 1].benchmark]
    shown = (*_FIGURES, *(["failed"] if any(row.failures for row in rows) else []))
    lines: list[tuple[Cell, ...]] = []
    for number, row in enumerate(rows):
        label = row.benchmark + (" (unseen)" if row.seen is False else "")
        label += f", n = {row.problems}" if len(sizes) > 1 else ""
        bar = interval_bar(row.accuracy, row.low, row.high, colour=names.index(row.method))
        texts = dict(zip(HEADINGS, cells(row), strict=True))
        figures = (texts[name] for name in shown)
        first = label if number in starts else ""
        lines.append((first, row.method, texts[_ACCURACY], Html(bar), *figures))
    accuracy = _ACCURACY if len(sizes) > 1 else f"{_ACCURACY}, n = {rows[0].problems}"
    headings = ("benchmark", "method", accuracy, "0 … 1", *shown)
    return section("Every benchmark", table(headings, lines, left=2, starts=starts))


def _curves(searches: Sequence[NamedSearch]) -> str:
    if not searches:
        return ""
    policies = list(dict.fromkeys(search.policy for search in searches))
    colours = {policy: 2 + index for index, policy in enumerate(policies)}
    drawn = []
    for benchmark in dict.fromkeys(search.result.benchmark for search in searches):
        lines: list[Line] = []
        for policy in policies:
            own = [
                s.result for s in searches if (s.result.benchmark, s.policy) == (benchmark, policy)
            ]
            lines += _policy_lines(own, policy, colours[policy])
        drawn.append(
            figure(
                benchmark,
                line_chart(
                    lines, x_label="candidates", y_label="best validation", y_range=(0.0, 1.0)
                ),
            )
        )
    note = "At 0 is the example that the search starts from; thin lines are seeds."
    return section("Searches", paragraph(note, soft=True), legend(colours), charts(drawn))


def _policy_lines(results: Sequence[SearchResult], policy: str, colour: int) -> list[Line]:
    curves = [search_curve(result) for result in results]
    if not curves:
        return []
    thin = [Line(curve.points, colour, thin=True) for curve in curves if len(curves) > 1]
    return [*thin, Line(mean_curve(curves), colour, name=policy)]


def _training(contents: Contents) -> str:
    rewards = [
        candidate.reward
        for trajectory in contents.trajectories
        for candidate in candidates(trajectory)
        if candidate.reward is not None
    ]
    drawn = []
    if rewards:
        title = f"Rewards of {len(rewards)} collected candidates"
        drawn.append(figure(title, histogram(rewards, label="reward")))
    colours = {objective: 3 + index for index, objective in enumerate(contents.losses)}
    if contents.losses:
        lines = [
            Line(list(points), colours[name], name=name) for name, points in contents.losses.items()
        ]
        chart = line_chart(lines, x_label="step", y_label="loss", width=420, height=190)
        drawn.append(figure("Training loss", chart))
    if not drawn:
        return ""
    return section("Training data and training", charts(drawn), legend(colours) if colours else "")


def _workflows(contents: Contents) -> str:
    if not contents.searches:
        return ""
    tested = {(row.benchmark, row.method): row.accuracy for row in contents.rows}
    shown = []
    benchmarks = list(dict.fromkeys(search.result.benchmark for search in contents.searches))
    for number, benchmark in enumerate(benchmarks):
        own = [search for search in contents.searches if search.result.benchmark == benchmark]
        best = max(own, key=lambda search: search.result.accuracy)
        result = best.result
        where = "the example itself" if result.found is None else f"iteration {result.found + 1}"
        title = (
            f"found by {best.policy}, seed {result.seed}, {where}; "
            f"validation accuracy {result.accuracy:.2f}"
        )
        direct = tested.get((benchmark, "direct answer"))
        baseline = "direct answer" + ("" if direct is None else f"; test accuracy {direct:.2f}")
        pair = code_pair((baseline, contents.baseline), (title, result.code))
        summary = f"{benchmark}: {result.example_accuracy:.2f} → {result.accuracy:.2f}"
        shown.append(folded(summary, pair, opened=number < _OPENED))
    note = "The best workflow of each benchmark by validation accuracy, beside the direct question."
    return section("What was found", paragraph(note, soft=True), *shown)


def _failures(contents: Contents) -> str:
    parts = []
    signatures = broken_attempts(contents.trajectories, contents.searches)
    if signatures:
        rows: list[tuple[Cell, ...]] = [
            (one.stage, one.benchmark, one.kind, _short(one.example), f"{one.count}")
            for one in signatures[:_SIGNATURES]
        ]
        headings = ("stage", "benchmark", "kind", "commonest message", "attempts")
        parts += ["<h3>Attempts that did not run</h3>", table(headings, rows, left=4)]
        if len(signatures) > _SIGNATURES:
            parts.append(paragraph(f"… and {len(signatures) - _SIGNATURES} rarer ones.", soft=True))
    problems = failed_problems(contents.trajectories)
    kinds = [k.value for k in FailureKind if any(c[k.value] for c in problems.values())]
    if kinds:
        lines: list[tuple[Cell, ...]] = [
            (name, *(str(counter[kind]) for kind in kinds)) for name, counter in problems.items()
        ]
        total = Counter[str]()
        for counter in problems.values():
            total.update(counter)
        lines.append(("all", *(str(total[kind]) for kind in kinds)))
        heading = "<h3>Problems on which a collected workflow failed</h3>"
        parts += [heading, table(("benchmark", *kinds), lines, starts=[len(lines) - 1])]
    if not parts and (contents.trajectories or contents.searches):
        parts.append(paragraph("No attempt and no problem failed."))
    return section("Failures", *parts) if parts else ""


def _costs(contents: Contents) -> str:
    if not contents.costs:
        return ""
    rows: list[tuple[Cell, ...]] = [
        (
            one.stage,
            one.model,
            f"{one.usage.calls:,}",
            f"{one.usage.prompt_tokens:,}",
            f"{one.usage.completion_tokens:,}",
            "–" if one.usd is None else f"{one.usd:.4f}",
            f"{one.seconds:,.0f}",
        )
        for one in stage_costs(contents.costs)
    ]
    headings = (
        "stage",
        "model",
        "calls",
        "prompt tokens",
        "completion tokens",
        "USD",
        "seconds of calls",
    )
    note = (
        "Every recorded call of the executor; calls overlap, so their seconds are no waiting time."
    )
    table_text = table(headings, rows, left=2, starts=[len(rows) - 1])
    return section("Cost", paragraph(note, soft=True), table_text)


def _missing(missing: Sequence[str]) -> str:
    if not missing:
        return ""
    items = "".join(paragraph(text) for text in missing)
    return section("Not in this report", items)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MESSAGE_LENGTH else line[: _MESSAGE_LENGTH - 1] + "…"
