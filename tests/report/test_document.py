"""The report: what it shows, what it says is missing, and that nothing in it can run or load."""

import math
import re
from dataclasses import replace
from html.parser import HTMLParser

from w4s.llm.calls import GroupCost
from w4s.llm.totals import Group
from w4s.report.charts import COLOURS, Line, histogram, line_chart
from w4s.report.contents import Contents, FirstAccuracy, NamedSearch, TestScores
from w4s.report.document import write_document
from w4s.report.failures import broken_attempts, failed_problems
from w4s.report.rows import ResultRow
from w4s.report.sums import group_means, stage_costs
from w4s.search import Iteration, SearchResult
from w4s.types import (
    Action,
    Candidate,
    Failure,
    FailureKind,
    Feedback,
    Trajectory,
    Turn,
    Usage,
)

HOSTILE = '</code></pre><script>alert(1)</script><img src="http://evil/x" onerror="x()">'
VOID = {"meta", "br", "img", "link"}


class Page(HTMLParser):
    """Reads a page and keeps its elements; an end without a beginning fails."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def row(benchmark: str, method: str, accuracy: float, *, seen: bool) -> ResultRow:
    return ResultRow(
        benchmark=benchmark,
        seen=seen,
        method=method,
        accuracy=accuracy,
        low=0.1,
        high=0.9,
        problems=4,
        validation=accuracy + 0.25,
        calls=8,
        tokens=100,
        search_calls=5,
        search_tokens=50,
        seconds=2.0,
    )


def search(benchmark: str, seed: int, best: float) -> NamedSearch:
    broken = Failure(FailureKind.SYNTAX, HOSTILE)
    steps = (
        Iteration(0, best, best, 1.0, (), "code"),
        Iteration(1, None, best, None, (broken, broken), None),
    )
    result = SearchResult(
        benchmark, "model", seed, f"# {HOSTILE}", best, 0, 0.25, steps, Usage(3, 4, 5)
    )
    return NamedSearch("rwr", result, 1.0)


def trajectory() -> Trajectory:
    feedback = Feedback(0.5, 4, (), {FailureKind.WALL_TIME: 2}, 0.0, Usage())
    candidates = (
        Candidate(0, Action("", "code", "code"), (), feedback, 1.0),
        Candidate(1, None, (Failure(FailureKind.RUNTIME, "boom"),), None, None),
    )
    return Trajectory("gcd", 0, 0, 0, "model", (Turn(0, (), candidates, 0),))


def contents() -> Contents:
    return Contents(
        title=f"run {HOSTILE}",
        baseline="def workflow(agent, task): ...",
        seed=0,
        facts={"executor": HOSTILE},
        rows=[row("gcd", "direct answer", 0.5, seen=True), row("lcm", HOSTILE, 0.25, seen=False)],
        scores=[
            TestScores("gcd", "direct answer", (1.0, 1.0, 0.0, 0.0)),
            TestScores("lcm", HOSTILE, (1.0, 0.0, 0.0, 0.0)),
        ],
        searches=[search("gcd", 0, 0.5), search("gcd", 1, 0.75)],
        first=[FirstAccuracy("rwr", (0.5, 0.25, 0.75), (0.25, 0.0, 0.5))],
        trajectories=[trajectory()],
        losses={"rwr": [(1.0, 2.0), (2.0, 1.0)]},
        costs=[GroupCost(Group("search", "gcd", HOSTILE), Usage(10, 20, 30), 0.5, 4.0)],
        missing=[f"Trajectories: {HOSTILE}"],
    )


def test_a_report_shows_every_part_of_a_run() -> None:
    """Means, table, curves with seeds, rewards, loss, code, failures, cost; whole HTML."""
    page = Page(write_document(contents()))
    for heading in (
        "In short",
        "Every benchmark",
        "Searches",
        "Training data and training",
        "What was found",
        "Failures",
        "Cost",
        "Not in this report",
    ):
        assert heading in page.text
    lines = [a for tag, a in page.elements if tag == "polyline"]
    assert sum("thin" in (a["class"] or "") for a in lines) == 2
    assert "0.25 → 0.75" in page.text
    assert "wall_time" in page.text
    assert "0.5000" in page.text


def test_a_report_can_be_read_without_its_colours_and_without_its_drawings() -> None:
    """Curves have dashes, and say in words where they end; headings know their columns."""
    whole = contents()
    found = [whole.searches[0], replace(whole.searches[1], policy="sft")]
    text = write_document(replace(whole, searches=found))
    page = Page(text)
    curves = [a["class"] or "" for tag, a in page.elements if tag == "polyline"]
    dashes = re.findall(r"\.curve\.c\d{stroke-dasharray:([^}]+)}", text)
    assert all("curve" in name for name in curves)
    assert len(set(dashes)) == COLOURS
    labels = [a["aria-label"] or "" for tag, a in page.elements if tag == "svg" and "role" in a]
    assert "best validation by candidates; rwr ends at 0.5; sft ends at 0.75" in labels
    assert "loss by step; rwr ends at 1" in labels
    assert all(a.get("scope") == "col" for tag, a in page.elements if tag == "th")
    assert all("role" in a or "aria-hidden" in a for tag, a in page.elements if tag == "svg")
    assert [tag for tag, _ in page.elements].count("main") == 1


def test_what_models_wrote_is_text_and_nothing_is_loaded() -> None:
    """A hostile workflow, message or name makes no element; no address is in any attribute."""
    page = Page(write_document(contents()))
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "img", "link", "iframe", "object", "base", "a", "form"}
    for _, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
        assert not any("//" in (value or "") for value in attributes.values())
    assert page.text.count("<script>alert(1)</script>") >= 5
    policy = next(a["content"] for t, a in page.elements if t == "meta" and "http-equiv" in a)
    assert "default-src 'none'" in (policy or "")


def test_an_empty_workspace_says_what_is_missing() -> None:
    """No empty sections, no division by nothing."""
    page = Page(write_document(Contents("w4s", "code", 0, missing=["Results: no table."])))
    assert "Results: no table." in page.text
    assert "Searches" not in page.text


def test_a_report_of_a_search_alone_claims_no_training() -> None:
    """Its benchmarks are neither seen nor unseen; the figures are there."""
    whole = contents()
    rows = [replace(one, seen=None) for one in whole.rows]
    page = Page(write_document(replace(whole, rows=rows)))
    assert "In short" in page.text
    assert "direct answer" in page.text
    assert not any(text in page.text for text in ("that training saw", "did not see", "(unseen)"))
    assert "Benchmarks that training saw" in Page(write_document(whole)).text


def test_a_benchmark_with_fewer_problems_has_its_own_number() -> None:
    """One number stands above all of them only where it is that of all."""
    whole = contents()
    assert "test accuracy [95 %], n = 4" in Page(write_document(whole)).text
    fewer = [replace(whole.rows[0], problems=3), whole.rows[1]]
    text = Page(write_document(replace(whole, rows=fewer))).text
    assert "[95 %], n =" not in text
    assert "gcd, n = 3" in text
    assert "lcm (unseen), n = 4" in text


def test_means_are_over_all_problems_of_seen_and_of_unseen_benchmarks() -> None:
    """With intervals from the scores; a method without all its scores is left out."""
    rows = [row("gcd", "a", 0.5, seen=True), row("lcm", "a", 1.0, seen=True)]
    scores = [TestScores("gcd", "a", (1.0, 0.0)), TestScores("lcm", "a", (1.0, 1.0))]
    (mean,) = group_means(rows, scores, seed=0)
    assert (mean.interval.estimate, mean.benchmarks, mean.gap) == (0.75, 2, 0.25)
    assert mean.calls_per_problem == 2.0
    assert group_means(rows, scores[:1], seed=0) == []


def test_the_gap_of_several_benchmarks_is_that_of_their_accuracies() -> None:
    """Weighted like the accuracy, and not told where one benchmark has no validation accuracy."""
    small = replace(row("gcd", "a", 0.5, seen=True), problems=2, validation=1.0)
    large = replace(row("lcm", "a", 1.0, seen=True), problems=6, validation=1.0)
    scores = [TestScores("gcd", "a", (1.0, 0.0)), TestScores("lcm", "a", (1.0,) * 6)]
    (mean,) = group_means([small, large], scores, seed=0)
    assert mean.gap == 1.0 - mean.interval.estimate == 0.125
    (mean,) = group_means([small, replace(large, validation=None)], scores, seed=0)
    assert mean.gap is None


def test_failures_are_counted_by_stage_benchmark_and_kind() -> None:
    """Attempts that did not run, commonest first; failed problems beside them."""
    found = broken_attempts([trajectory()], [search("gcd", 0, 0.5)])
    assert [(one.stage, one.kind, one.count) for one in found] == [
        ("search, rwr", "syntax", 2),
        ("collect", "runtime", 1),
    ]
    assert failed_problems([trajectory()]) == {"gcd": {"wall_time": 2}}


def test_costs_are_summed_by_stage_and_unknown_prices_stay_unknown() -> None:
    """One unpriced model leaves the sum without a price instead of too low."""
    costs = [
        GroupCost(Group("search", name, "m"), Usage(1, 2, 3), usd, 1.0)
        for name, usd in (("gcd", 0.5), ("lcm", None))
    ]
    stage, total = stage_costs(costs)
    assert (stage.usage.calls, stage.usd, total.seconds) == (2, None, 2.0)
    assert stage_costs(costs[:1])[1].usd == 0.5


def test_charts_survive_flat_single_and_large_values() -> None:
    """No division by a span of nothing; every number in the drawing is finite, whatever is not."""
    drawings = [
        line_chart([Line([(0, 1.0)], 0)], x_label="x", y_label="y"),
        line_chart([Line([(0, 2.0), (1, 2.0)], 9)], x_label="x", y_label="y"),
        line_chart([Line([(0, -1e6), (5000, 1e9)], 1)], x_label="x", y_label="y"),
        histogram([1.0] * 5, label="v"),
        histogram([], label="v"),
        # a training that diverged
        line_chart([Line([(0, 1.0), (1, math.nan), (2, math.inf)], 0)], x_label="x", y_label="y"),
        line_chart([Line([(0, math.nan)], 0)], x_label="x", y_label="y"),
        histogram([math.nan, 0.5, -math.inf], label="v"),
    ]
    for drawing in drawings:
        assert not re.search(r"nan|inf", drawing)
        Page(drawing)
