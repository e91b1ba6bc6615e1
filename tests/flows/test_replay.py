"""`w4s run --replay`: a finished run again from its record, in a folder with nothing else."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.flows.scripted import scripted_endpoint, w4s, write_project

SMALLEST = {
    "benchmarks": {"seen": ["chain_sum"], "unseen": ["gcd"], "private": 3, "public": 2, "test": 3},
    "collect": {"episodes": 1},
    "search": {"seeds": [0, 1]},
    "executor": {"base_url": None},  # the address comes from the environment
}


def outputs(folder: Path) -> dict[str, str]:
    """Return what a run found, without the seconds that it took."""
    root = folder / "outputs"
    names = ("trajectories/trajectories.jsonl", "results/metrics.json", "results/scores.json")
    found = {name: (root / name).read_text() for name in names}
    table = json.loads((root / "results/table.json").read_text())
    found["table"] = json.dumps([{**row, "seconds": 0} for row in table])
    return found


def test_a_question_is_replayed_without_an_endpoint(tmp_path: Path) -> None:
    """What is on record is answered; anything else is told apart from the nearest that is."""
    with scripted_endpoint() as endpoint:
        write_project(tmp_path, endpoint)
        asked = w4s(tmp_path, "solve", "--workflow", "direct", "What is 1 + 1?")
        assert asked.returncode == 0, asked.stderr
    again = w4s(tmp_path, "solve", "--replay", "--workflow", "direct", "What is 1 + 1?")
    assert (again.returncode, again.stdout) == (0, asked.stdout)
    # as after `dvc pull`, which brings a copy of the record
    (tmp_path / "outputs/record").rename(tmp_path / "outputs/replies")
    shorter = ("--set", "executor.max_tokens=77")
    refused = w4s(tmp_path, "solve", "--replay", "--workflow", "direct", "What is 2 + 1?", *shorter)
    assert refused.returncode == 2
    assert re.search(r"- max_tokens: \d+\n\+ max_tokens: 77\n", refused.stderr)
    assert "Traceback" not in refused.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("shared_server")
@pytest.mark.timeout(1500)
def test_a_run_is_replayed_from_its_record_alone(tmp_path: Path) -> None:
    """Same results with the endpoint gone and unconfigured.

    On the way a spent budget ends the run with one message; the same command with more goes on.
    The totals stand in the progress and in the table of costs.
    """
    first, second = tmp_path / "first", tmp_path / "second"
    with scripted_endpoint() as endpoint:
        write_project(first, endpoint)
        params = yaml.safe_load((first / "params.yaml").read_text())
        for section, values in SMALLEST.items():
            params[section].update(values)
        (first / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        stopped = w4s(first, "run", "--set", "budget.calls=25", OPENAI_BASE_URL=endpoint.base_url)
        assert stopped.returncode == 2
        assert stopped.stderr.count("w4s: error: The budget is spent") == 1
        assert "raise budget.calls to go on" in stopped.stderr
        assert "Traceback" not in stopped.stderr
        kept = json.loads((first / "outputs/costs.json").read_text())[-1]
        assert kept["calls"] == kept["recorded_calls"] <= 25
        done = w4s(first, "run", OPENAI_BASE_URL=endpoint.base_url)
        assert done.returncode == 0, done.stderr
        assert "tokens, unknown cost" in done.stderr
        assert "chain_sum" in done.stdout
        costs = json.loads((first / "outputs/costs.json").read_text())
        assert costs[-1]["recorded_calls"] == kept["calls"] + costs[-1]["calls"] > 25
        assert costs[-1]["usd"] is None
    second.mkdir()
    shutil.copy(first / "params.yaml", second)
    shutil.copytree(first / "outputs/record", second / "outputs/record")
    done = w4s(second, "run", "--replay")
    assert done.returncode == 0, done.stderr
    assert "100% replayed" in done.stderr
    assert outputs(second) == outputs(first)
    assert json.loads((second / "outputs/costs.json").read_text())[-1]["calls"] == 0

    nothing = w4s(second, "run", "--replay", "--set", "workspace=elsewhere")
    assert nothing.returncode == 2
    assert "there is no record to replay" in nothing.stderr
