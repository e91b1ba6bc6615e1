import csv
import io
from dataclasses import replace
from pathlib import Path

from w4s.report.curves import mean_curve, search_curve
from w4s.report.pictures import (
    Point,
    draw_accuracies,
    draw_histogram,
    draw_lines,
    draw_searches,
    draw_steps,
)
from w4s.report.rows import HEADINGS, ResultRow, cells, to_csv, to_markdown
from w4s.report.transfer import TransferRow, transfer_markdown
from w4s.search import Iteration, SearchResult
from w4s.types import Usage

ROW = ResultRow("gcd", False, "search (rwr)", 0.5, 0.25, 0.75, 8, 0.625, 9, 1234, 99, 54321, 7.4)
PNG = b"\x89PNG"


def test_a_row_shows_the_gap_between_validation_and_test() -> None:
    """Overfitting to the validation split is always in sight."""
    assert cells(ROW)[3:6] == ("0.50 [0.25, 0.75]", "0.62", "+0.12")


def test_markdown_has_a_line_for_each_row() -> None:
    """Headings, a rule, and the rows, all of the same width."""
    lines = to_markdown([ROW, replace(ROW, failures=3)]).splitlines()
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {len(HEADINGS) + 1}


def test_failed_questions_are_told_where_there_are_some() -> None:
    """A workflow that passes a limit scores nothing there, which is no wrong answer."""
    heading, _, first, second = to_markdown([ROW, replace(ROW, failures=3)]).splitlines()
    assert heading.endswith("| seconds | failed |")
    assert first.endswith("| 7 | 0 |")
    assert second.endswith("| 7 | 3 |")
    assert "failed" not in to_markdown([ROW])


def test_a_bar_in_a_name_ends_no_cell() -> None:
    """A task goes by its folder's name, which may hold one."""
    rows = to_markdown([replace(ROW, benchmark="red|blue", seen=None)])
    assert rows.splitlines()[2].startswith("| red\\|blue | search (rwr) |")
    row = TransferRow("w", "a|b", "red|blue", 0.5, 0.25, 0.75, 8, 0, 9, 1234, None, 7.4)
    _, _, heading, rule, line = transfer_markdown([row]).splitlines()[-5:]
    assert (heading, rule) == ("| executor | red\\|blue |", "| --- | --- |")
    assert line.startswith("| a\\|b | 0.50")


def test_a_table_of_a_search_alone_claims_no_training() -> None:
    """Nothing was trained on, so there is nothing to say about it."""
    row = replace(ROW, seen=None)
    heading, _, line = to_markdown([row]).splitlines()
    assert heading.startswith("| benchmark | method |")
    assert line.startswith("| gcd | search (rwr) |")


def test_csv_keeps_figures_in_full() -> None:
    """What a spreadsheet needs to compute with."""
    (row,) = csv.DictReader(io.StringIO(to_csv([ROW])))
    assert (row["tokens"], row["seconds"], row["validation"]) == ("1234", "7.4", "0.625")


def test_pictures_are_drawn_for_any_number_of_benchmarks(tmp_path: Path) -> None:
    """One, several in a row, and more than a row of panels."""
    iteration = Iteration(0, 0.5, 0.5, 1.0, (), "code")
    for count in (1, 3, 6):
        names = [f"b{i} c$\\frac{{1}}$" for i in range(count)]  # no formula
        rows = [ResultRow(n, True, "m", 0.5, 0.4, 0.6, 8, None, 1, 1, 0, 0, 1.0) for n in names]
        results = [
            SearchResult(n, "p", s, "c", 0.5, 0, 0.1, (iteration,), Usage())
            for n in names
            for s in (0, 1)
        ]
        draw_accuracies(tmp_path / "a.png", rows)
        draw_searches(tmp_path / "s.png", {"warm": results, "trained": results})
        assert (tmp_path / "a.png").read_bytes().startswith(PNG)
        assert (tmp_path / "s.png").read_bytes().startswith(PNG)


def test_curves_and_histograms_are_drawn(tmp_path: Path) -> None:
    """Also of a line without points."""
    draw_lines(tmp_path / "l.png", {"loss": [(0, 1.0), (1, 0.5)], "none": []}, label="loss")
    draw_histogram(tmp_path / "h.png", [0.0, 0.5, 1.0], label="reward")
    assert (tmp_path / "l.png").read_bytes().startswith(PNG)
    assert (tmp_path / "h.png").read_bytes().startswith(PNG)


def test_steps_are_drawn_with_their_intervals(tmp_path: Path) -> None:
    """Another interval is another picture, and a line may have one point."""
    for name, high in (("a", 0.6), ("b", 0.9)):
        lines = {"rwr": [Point(1, 0.5, 0.4, high), Point(2, 0.6, 0.4, 0.8)], "one": []}
        draw_steps(tmp_path / f"{name}.png", lines, across="T", up="accuracy")
    drawn = [(tmp_path / f"{name}.png").read_bytes() for name in ("a", "b")]
    assert all(one.startswith(PNG) for one in drawn)
    assert drawn[0] != drawn[1]


def result(*best: float, sampled: int = 1) -> SearchResult:
    """A search from 0.1 on, with `sampled` candidates in each iteration."""
    steps = tuple(
        Iteration(i, value, value, 1.0, (), "code", (value,) * sampled)
        for i, value in enumerate(best)
    )
    return SearchResult("b", "p", 0, "c", best[-1], 0, 0.1, steps, Usage())


def test_searches_compare_by_candidates_and_may_end_early(tmp_path: Path) -> None:
    """Two of four candidates take as long as eight; a search that spent its budget keeps its best.

    The mean of seeds is drawn to the end of the longest.
    """
    wide, narrow = search_curve(result(0.2, 0.4, sampled=4)), search_curve(result(0.2))
    assert wide.points == [(0, 0.1), (4, 0.2), (8, 0.4)]
    assert narrow.points == [(0, 0.1), (1, 0.2)]
    early, late = result(0.3), result(0.5, 0.7)
    mean = mean_curve([search_curve(early), search_curve(late)])
    assert [round(value, 3) for _, value in mean] == [0.1, 0.4, 0.5]
    draw_searches(tmp_path / "s.png", {"warm": [early, late], "adas": [result(0.3, sampled=0)]})
    assert (tmp_path / "s.png").read_bytes().startswith(PNG)


def test_more_methods_than_colours_are_drawn_apart(tmp_path: Path) -> None:
    """A line each with its name, where two bars would have one colour."""
    rows = [replace(ROW, method=f"method {i}") for i in range(15)]
    draw_accuracies(tmp_path / "few.png", rows[:7])
    draw_accuracies(tmp_path / "many.png", rows)
    heights = [_height(tmp_path / name) for name in ("few.png", "many.png")]
    assert heights == [int(4.2 * 120), int((0.9 + 0.2 * 15) * 120)]


def _height(path: Path) -> int:
    """The height of a PNG in pixels."""
    return int.from_bytes(path.read_bytes()[20:24], "big")
