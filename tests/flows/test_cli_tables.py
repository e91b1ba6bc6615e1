"""Tables on terminals of several widths."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from rich.console import Console

from flows.cli_costs import show_costs
from flows.cli_display import show_results
from flows.cli_experiment import show_experiment
from flows.cli_tables import Sheet, show_sheet
from tasks.workspace import Workspace
from tests.experiments.cell_fakes import cell
from w4s.experiments.lines import make_lines
from w4s.experiments.plan import get_experiment
from w4s.experiments.tables import lines_csv
from w4s.report.costs import CostRow
from w4s.report.rows import ResultRow

SHEET = Sheet(
    "Title",
    texts=("benchmark", "method"),
    figures=("accuracy [95 %]", "gap", "tokens", "all\nUSD"),
    rows=[
        (
            "sums",
            "search, policy of the endpoint",
            "0.21 [0.08, 0.48]",
            "+0.10",
            "12,345",
            "0.1234",
        ),
        ("", "direct", "0.31 [0.18, 0.58]", "", "1,234,567", "0.0012"),
    ],
    keep=2,
    whole="table.md",
    sections=(1,),
)


def shown(sheet: Sheet, width: int) -> str:
    text = io.StringIO()
    show_sheet(Console(file=text, width=width), sheet)
    return text.getvalue()


def test_names_with_brackets_are_shown_as_they_are() -> None:
    """Tasks and models are called as people like; "[bold]" is a name and no order."""
    row = ("sums [v2]", "model[/]", "0.21 [0.08, 0.48]", "+0.10", "1", "2")
    text = shown(replace(SHEET, rows=[row], sections=(), figures=("[a]", "gap", "c", "d")), 120)
    for name in ("sums [v2]", "model[/]", "[a]", "0.21 [0.08, 0.48]"):
        assert name in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_figures_are_whole_or_left_out(width: int) -> None:
    """Never an interval without its end; texts are folded and lose nothing."""
    text = shown(SHEET, width)
    assert "…" not in text
    assert "0.21 [0.08, 0.48]" in text
    assert "+0.10" in text
    assert max(map(len, text.splitlines())) <= width
    words = set(text.split())
    assert {"search,", "policy", "of", "the", "endpoint"} <= words


def test_what_is_left_out_is_named_with_its_file() -> None:
    """And where there is room nothing is."""
    assert "Too wide for this terminal: tokens, all USD: table.md" in shown(SHEET, 60)
    assert "Too wide" not in shown(SHEET, 120)
    assert "1,234,567" in shown(SHEET, 120)


def test_the_final_table_shows_the_gap(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Between validation and test accuracy, beside both."""
    workspace = Workspace(tmp_path)
    workspace.results.mkdir(parents=True)
    row = ResultRow("gcd", False, "search", 0.5, 0.25, 0.75, 8, 0.625, 9, 1234, 99, 54321, 7.4)
    (workspace.results / "table.json").write_text(json.dumps([asdict(row)]), encoding="utf-8")
    show_results("all", workspace)
    line = next(one for one in capsys.readouterr().out.splitlines() if "gcd" in one)
    assert " ".join(line.split()) == "gcd (unseen) search 0.50 [0.25, 0.75] 0.62 +0.12 9 1,234 7"


def test_costs_of_this_run_fit_a_narrow_terminal() -> None:
    """What earlier runs asked for is in the file."""
    row = CostRow("search", "decimal_chain_sum", "gpt-4o-mini", 1258, 10, 14450, 0.005, 9, 9, 9.0)
    text = io.StringIO()
    show_costs(Console(file=text, width=80), [row])
    assert "14,450" in text.getvalue()
    assert "0.0050" in text.getvalue()


def test_an_experiment_is_shown_as_a_table_and_not_as_markdown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With spread, gap and difference; a method without a difference is the reference."""
    experiment = get_experiment("turns")
    cells = [
        cell("rwr", scores, variant=f"T = {turns}", seed=seed, validation=0.75)
        for turns, scores in ((1, (0.0, 1.0)), (2, (1.0, 1.0)))
        for seed in (0, 1)
    ]
    lines = make_lines(cells, experiment, seed=0, reference_variant="T = 2")
    (tmp_path / "turns").mkdir()
    (tmp_path / "turns" / "table.csv").write_text(lines_csv(lines), encoding="utf-8")
    show_experiment(tmp_path / "turns")
    out = capsys.readouterr().out
    assert experiment.question in out
    assert "|" not in out
    one, two = (line.split() for line in out.splitlines() if "T = " in line)
    assert " ".join(one[:9]).startswith("sums T = 1")
    assert "0.50 ± 0.00 [" in " ".join(one)
    assert "+0.25 +0.50 [" in " ".join(one)
    assert "-0.25" in two
    assert f"Files: {tmp_path / 'turns'}" in out
    assert "No answer" not in out
    failing = [replace(lines[0], failed=0.25), *lines[1:]]
    (tmp_path / "turns" / "table.csv").write_text(lines_csv(failing), encoding="utf-8")
    show_experiment(tmp_path / "turns")
    assert "No answer, counted as wrong: up to 25% (the rwr)" in capsys.readouterr().out
