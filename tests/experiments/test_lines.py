"""From cells to lines: seeds averaged, benchmarks pooled, methods compared on the same problems."""

import csv
import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.experiments.cell_fakes import cell
from w4s.experiments.lines import Line, make_lines
from w4s.experiments.plan import EXPERIMENTS
from w4s.experiments.tables import curve_rows, lines_csv, markdown
from w4s.statistics import mcnemar_exact, paired_difference, wilson_interval

TABLE, TURNS = EXPERIMENTS["main-table"], EXPERIMENTS["turns"]


def only(lines: list[Line], method: str, benchmark: str = "sums", variant: str = "") -> Line:
    (found,) = (
        line
        for line in lines
        if (line.method, line.benchmark, line.variant) == (method, benchmark, variant)
    )
    return found


def test_a_method_is_compared_with_the_trained_policy_on_the_same_problems() -> None:
    """Paired bootstrap and McNemar of the reference against it; the reference with nobody."""
    ours, other = (1.0, 1.0, 1.0, 0.0, 1.0), (0.0, 1.0, 0.0, 0.0, 1.0)
    lines = make_lines([cell("direct", other), cell("rwr", ours, seed=0)], TABLE, seed=3)
    line = only(lines, "direct")
    assert line.versus == paired_difference(ours, other, seed=3)
    assert line.mcnemar == mcnemar_exact(ours, other).p_value
    assert only(lines, "rwr").versus is None
    interval = wilson_interval(2, 5)
    assert (line.accuracy, line.low, line.high) == (0.4, interval.low, interval.high)


def test_without_a_trained_policy_the_starting_one_is_the_reference() -> None:
    """Of those that are there the first in the order of the definition."""
    cells = [cell("warm_start", (1.0, 1.0), seed=0), cell("direct", (0.0, 1.0))]
    lines = make_lines(cells, TABLE, seed=0)
    assert only(lines, "warm_start").versus is None
    versus = only(lines, "direct").versus
    assert versus is not None
    assert versus.estimate == 0.5


def test_seeds_are_averaged_and_their_spread_is_told_apart() -> None:
    """The accuracy is the mean, the deviation that of the seeds, cost that of one search."""
    cells = [
        cell("rwr", (1.0, 1.0, 0.0, 0.0), seed=0, validation=0.5),
        cell("rwr", (1.0, 1.0, 1.0, 1.0), seed=1, validation=1.0),
    ]
    line = only(make_lines(cells, TABLE, seed=0), "rwr")
    assert (line.accuracy, line.seeds, line.problems) == (0.75, 2, 4)
    assert line.deviation == pytest.approx(0.5 / 2**0.5)
    assert (line.validation, line.gap) == (0.75, 0.0)
    assert (line.search_calls, line.search_tokens, line.search_usd) == (100, 1000, 3.0)
    assert (line.calls, line.tokens, line.usd) == (2, 10, 0.5)
    assert len(line.run_ids) == 2
    assert line.mcnemar is None


def test_benchmarks_are_pooled_over_all_their_problems() -> None:
    """All together, and the seen and unseen ones apart where both are several."""
    cells = [
        cell("rwr", (1.0, 0.0), benchmark="a", seed=0, validation=1.0),
        cell("rwr", (1.0, 1.0, 1.0, 1.0), benchmark="b", seen=False, seed=0, validation=0.5),
        cell("rwr", (0.0, 0.0), benchmark="c", seen=False, seed=0, validation=0.5),
    ]
    lines = make_lines(cells, TABLE, seed=0)
    pooled = only(lines, "rwr", "all benchmarks")
    assert (pooled.accuracy, pooled.problems, pooled.seen) == (5 / 8, 8, None)
    assert pooled.validation == pytest.approx((2 * 1 + 4 * 0.5 + 2 * 0.5) / 8)
    unseen = only(lines, "rwr", "all unseen ones")
    assert (unseen.accuracy, unseen.seen) == (4 / 6, False)
    assert not any(line.benchmark == "all seen ones" for line in lines)


def test_one_benchmark_is_no_pool() -> None:
    """It would repeat the line."""
    lines = make_lines([cell("rwr", (1.0,), seed=0)], TABLE, seed=0)
    assert [line.benchmark for line in lines] == ["sums"]


def test_a_difference_over_benchmarks_is_resampled_within_them() -> None:
    """Differences that are another one on each benchmark, and the same within, leave no doubt."""
    cells = [
        cell(method, (score,) * 4, benchmark=name)
        for method, name, score in (
            ("rwr", "a", 0.9),
            ("rwr", "b", 0.5),
            ("direct", "a", 0.1),
            ("direct", "b", 0.5),
        )
    ]
    line = only(make_lines(cells, TABLE, seed=0), "direct", "all benchmarks")
    assert line.versus is not None
    assert (line.versus.low, line.versus.high) == pytest.approx((0.4, 0.4))
    assert (line.low, line.high) == pytest.approx((0.3, 0.3))


def test_a_variant_is_compared_with_the_reference_variant() -> None:
    """The same method with the configured T, not another method."""
    cells = [
        cell("rwr", (1.0, 0.0), variant="T = 1", seed=0),
        cell("rwr", (1.0, 1.0), variant="T = 2", seed=0),
        cell("direct", (0.0, 0.0), variant="T = 1"),
    ]
    lines = make_lines(cells, TURNS, seed=0, reference_variant="T = 2")
    versus = only(lines, "rwr", variant="T = 1").versus
    assert versus is not None
    assert versus.estimate == 0.5
    assert only(lines, "rwr", variant="T = 2").versus is None
    assert only(lines, "direct", variant="T = 1").versus is None


@given(st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=4))
def test_an_interval_holds_its_accuracy(seeds: list[list[bool]]) -> None:
    """For any scores of any number of seeds."""
    cells = [cell("rwr", [float(x) for x in one], seed=i) for i, one in enumerate(seeds)]
    line = only(make_lines(cells, TABLE, seed=0), "rwr")
    assert line.low - 1e-9 <= line.accuracy <= line.high + 1e-9
    assert line.accuracy == pytest.approx(sum(map(sum, seeds)) / (6 * len(seeds)))


def test_the_markdown_shows_gap_interval_and_runs_and_no_empty_column() -> None:
    """What nobody has is left out; an unknown price is no zero."""
    cells = [
        replace(cell("direct", (0.0, 1.0)), usd=None),
        replace(cell("rwr", (1.0, 1.0), seed=0, validation=1.0), usd=None, search_usd=None),
    ]
    text = markdown(TABLE, make_lines(cells, TABLE, seed=0), [], "the rwr")
    header = next(line for line in text.splitlines() if line.startswith("| benchmark"))
    assert "gap" in header
    assert "variant" not in header
    assert "USD" not in header
    assert "| 1.00 | +0.00 |" in text
    assert "sums-dir" in text
    assert "Difference: the rwr minus this method" in text


def test_questions_without_an_answer_are_told() -> None:
    """A workflow that passes a limit scores nothing; the table says so, where it happened."""
    cells = [
        replace(cell("direct", (0.0, 1.0, 1.0, 1.0), benchmark="a"), failures=1),
        cell("direct", (0.0, 1.0), benchmark="b"),
        replace(cell("rwr", (1.0,) * 4, benchmark="a", seed=0), failures=2),
        replace(cell("rwr", (1.0,) * 4, benchmark="a", seed=1), failures=0),
    ]
    lines = make_lines(cells, TABLE, seed=0)
    assert [line.failed for line in lines] == [1 / 6, 1 / 4, 0, 2 / 8]
    assert "| 25.0% |" in markdown(TABLE, lines, [], "the rwr")
    assert "| failed |" not in markdown(TABLE, make_lines(cells[1:2], TABLE, seed=0), [], "it")


def test_the_csv_holds_every_figure_and_whole_run_ids() -> None:
    """One line for each line of the table."""
    cells = [cell("direct", (0.0, 1.0)), cell("rwr", (1.0, 1.0), seed=0, validation=0.9)]
    rows = list(csv.DictReader(io.StringIO(lines_csv(make_lines(cells, TABLE, seed=0)))))
    assert [row["method"] for row in rows] == ["direct", "rwr"]
    assert float(rows[1]["gap"]) == pytest.approx(-0.1)
    assert rows[1]["runs"] == cells[1].run_id
    assert float(rows[0]["difference"]) == 0.5


def test_curves_are_means_over_seeds_with_their_spread() -> None:
    """At every iteration, the example's accuracy first."""
    cells = [
        cell("rwr", (1.0,), seed=0, curve=(0.2, 0.4)),
        cell("rwr", (1.0,), seed=1, curve=(0.2, 0.8)),
        cell("direct", (1.0,)),
    ]
    first, second = curve_rows(cells)
    assert (first["iteration"], first["mean"], first["deviation"]) == (0, 0.2, 0)
    assert (second["mean"], second["low"], second["high"]) == (pytest.approx(0.6), 0.4, 0.8)
    assert second["seeds"] == 2


def test_a_curve_that_a_budget_ended_early_keeps_its_last_accuracy() -> None:
    """A search of fewer iterations than the others counts to their end with what it had found."""
    cells = [
        cell("rwr", (1.0,), seed=0, curve=(0.2, 0.4)),
        cell("rwr", (1.0,), seed=1, curve=(0.2, 0.8, 1.0)),
    ]
    last = curve_rows(cells)[-1]
    assert (last["iteration"], last["seeds"]) == (2, 2)
    assert (last["low"], last["mean"], last["high"]) == pytest.approx((0.4, 0.7, 1.0))


def test_a_method_without_a_benchmark_is_in_no_pool_of_it() -> None:
    """A workflow found on one benchmark is tested on the others: no line says "all" of those."""
    cells = [
        *(cell("own", (1.0, 0.0), benchmark=name) for name in ("a", "b", "c")),
        *(cell("from a", (1.0, 1.0), benchmark=name) for name in ("b", "c")),
    ]
    lines = make_lines(cells, EXPERIMENTS["transfer"], seed=0)
    pooled = [line.method for line in lines if line.benchmark == "all benchmarks"]
    assert pooled == ["own"]
    assert [line.benchmark for line in lines if line.method == "from a"] == ["b", "c"]


def test_curves_lie_over_the_candidates_that_they_took() -> None:
    """Two iterations of four candidates are as long as eight of one."""
    cells = [replace(cell("rwr", (1.0,), seed=0, curve=(0.2, 0.4, 0.4)), step=4)]
    assert [row["candidates"] for row in curve_rows(cells)] == [0, 4, 8]
    ended = replace(cell("rwr", (1.0,), seed=1, curve=(0.2,)), step=1)
    assert [row["candidates"] for row in curve_rows([ended, *cells])] == [0, 4, 8]
