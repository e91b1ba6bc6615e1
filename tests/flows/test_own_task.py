"""A stranger's CSV, from `w4s init` to an exported workflow that answers, as the README says."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.endpoint import ScriptedEndpoint
from tests.flows.scripted import REPLY, w4s, write_project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    pytest.mark.usefixtures("shared_server"),
]


def answer(body: Mapping[str, Any], index: int) -> str:
    """Write one good workflow; add up the numbers where a prompt says how to, else answer 0."""
    text = body["messages"][-1]["content"]
    if "You design" in body["messages"][0]["content"]:
        return REPLY.format(how="add step by step")
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    return f"Together: **{sum(numbers):,}**." if "step by step" in text else "The answer is 0."


def test_a_csv_of_a_spreadsheet_becomes_a_workflow_that_runs_elsewhere(tmp_path: Path) -> None:
    """A byte order mark, Windows line ends, line breaks in fields, thousands separators, no hash.

    First with bad rows, which are refused with their lines before a call is made.
    """
    with ScriptedEndpoint(answer=answer) as endpoint:
        folder = write_project(tmp_path / "project", endpoint)
        assert w4s(folder, "init", "my tasks/pens").returncode == 0
        data, task = folder / "my tasks/pens/data.csv", "my tasks/pens/task.yaml"
        head = "\ufeffquestion,answer\r\n"
        rows = [
            f'"Ann has {i} pens.\r\nBen has {137 * i} pens. How many together?","{138 * i:,}"\r\n'
            for i in range(1, 31)
        ]
        data.write_bytes((head + rows[0] + '"Two, and three?",five\r\n' + rows[1]).encode())
        named = ("--profile", "pens")
        for command in (("check", task), ("search", "--task", task)):
            refused = w4s(folder, *command, *named)
            assert refused.returncode == 2
            said = refused.stdout + refused.stderr
            assert "1 of 3 rows are bad" in said
            assert "data.csv:4: column 'answer' is no number: 'five'" in said
        assert endpoint.counters.calls == 0
        data.write_bytes((head + "".join(rows)).encode())
        assert w4s(folder, "check", task, *named).returncode == 0
        done = w4s(folder, "search", "--task", task, *named)
        assert done.returncode == 0, done.stderr
        assert "pens, search, policy of the endpoint: test accuracy 1.00" in done.stderr
        assert "task.yaml" not in done.stdout + done.stderr
        results = folder / "runs" / "pens" / "results"
        table = json.loads((results / "table.json").read_text())
        assert {row["benchmark"] for row in table} == {"pens"}
        costs = json.loads((results.parent / "costs.json").read_text())
        assert {row["benchmark"] for row in costs[:-1]} == {"pens"}
        workflow = "runs/pens/results/workflows/pens.py"
        exported = w4s(folder, "export", "--workflow", workflow, "--out", "home")
        assert exported.returncode == 0, exported.stderr
        card = (folder / "home" / "README.md").read_text()
        assert "| executor | scripted |" in card
        assert "| test accuracy | 1.000" in card
        answered = subprocess.run(
            [sys.executable, "answer.py", "Ann has 5 pens and Ben 1200. How many together?"],
            cwd=folder / "home",
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
    assert answered.stdout == "1205\n", answered.stderr
