import csv
import io
from pathlib import Path

from w4s.report.pictures import draw_accuracies, draw_histogram, draw_lines, draw_searches
from w4s.report.rows import HEADINGS, ResultRow, cells, to_csv, to_markdown
from w4s.search import Iteration, SearchResult
from w4s.types import Usage

ROW = ResultRow("gcd", False, "search (rwr)", 0.5, 0.25, 0.75, 8, 0.625, 9, 1234, 99, 54321, 7.4)
PNG = b"\x89PNG"


def test_a_row_shows_the_gap_between_validation_and_test() -> None:
    """Overfitting to the validation split is always in sight."""
    assert cells(ROW)[3:6] == ("0.50 [0.25, 0.75]", "0.62", "+0.12")


def test_markdown_has_a_line_for_each_row() -> None:
    """Headings, a rule, and the rows, all of the same width."""
    lines = to_markdown([ROW, ROW]).splitlines()
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {len(HEADINGS) + 1}


def test_csv_keeps_figures_in_full() -> None:
    """What a spreadsheet needs to compute with."""
    (row,) = csv.DictReader(io.StringIO(to_csv([ROW])))
    assert (row["tokens"], row["seconds"], row["validation"]) == ("1234", "7.4", "0.625")


def test_pictures_are_drawn_for_any_number_of_benchmarks(tmp_path: Path) -> None:
    """One, several in a row, and more than a row of panels."""
    iteration = Iteration(0, 0.5, 0.5, 1.0, (), "code")
    for count in (1, 3, 6):
        names = [f"b{i}" for i in range(count)]
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
    """Also of no points at all."""
    draw_lines(tmp_path / "l.png", {"loss": [(0, 1.0), (1, 0.5)], "none": []}, label="loss")
    draw_histogram(tmp_path / "h.png", [0.0, 0.5, 1.0], label="reward")
    assert (tmp_path / "l.png").read_bytes().startswith(PNG)
    assert (tmp_path / "h.png").read_bytes().startswith(PNG)
