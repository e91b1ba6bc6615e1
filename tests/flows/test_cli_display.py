"""What a command prints after its work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from flows.cli_display import show_results
from tasks.results import compare_policies
from tasks.workspace import Workspace
from w4s.first_candidates import FirstCandidates

TWO = {"warm_start": (0.0, 0.5), "rwr": (1.0, 0.5)}


def compared(
    root: Path, benchmarks: int, accuracies: Mapping[str, tuple[float, ...]] = TWO
) -> Workspace:
    """Write the results of policies on some benchmarks."""
    workspace = Workspace(root)
    workspace.results.mkdir(parents=True)
    candidates = {
        policy: [FirstCandidates(f"task_{i}", policy, own, 0) for i in range(benchmarks)]
        for policy, own in accuracies.items()
    }
    comparison = compare_policies(candidates, seed=0)
    (workspace.results / "table.json").write_text("[]", encoding="utf-8")
    (workspace.results / "first_candidates.json").write_text(json.dumps(comparison), "utf-8")
    return workspace


def test_the_policies_first_candidates_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Mean, gain with interval and test of the trained policy, and the means by benchmark."""
    show_results("all", compared(tmp_path, 2))
    shown = capsys.readouterr().out
    (start,) = (line for line in shown.splitlines() if "warm_start" in line and "0.25" in line)
    (trained,) = (line for line in shown.splitlines() if "rwr" in line)
    assert "0.25 [0.00, 0.50]" in start
    assert "0.75 [0.50, 1.00]" in trained
    assert "+0.50 [+0.00, +1.00]" in trained
    assert trained.count("0.75") == 3
    assert "task_1" in shown


def test_one_policy_is_compared_with_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No empty columns of a difference and its p."""
    show_results("own_task", compared(tmp_path, 1, {"warm_start": (0.0, 0.5)}))
    shown = capsys.readouterr().out
    assert "0.25 [0.00, 0.50]" in shown
    assert "minus" not in shown


def test_a_small_p_is_not_shown_as_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The bootstrap's p is never 0."""
    show_results("all", compared(tmp_path, 1, {"a": (0.0,) * 40, "b": (1.0,) * 40}))
    shown = capsys.readouterr().out
    assert "<0.001" in shown
    assert "0.000" not in shown


def test_many_benchmarks_make_no_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table keeps its width; the file has the figures by benchmark."""
    show_results("evaluate", compared(tmp_path, 9))
    shown = capsys.readouterr().out
    assert "rwr" in shown
    assert "task_1" not in shown
