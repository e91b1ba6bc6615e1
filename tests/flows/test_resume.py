"""`w4s run` against a scripted endpoint for executor and policy: killed, resumed, interrupted."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.endpoint import ScriptedEndpoint, Step

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[2]
REPLY = """I will {how}.
```python
def workflow(agent, task: str) -> dict:
    replies = agent.call_llm(
        messages=[{{"role": "user", "content": task + " {how}"}}],
        temperature=0.5,
        num_of_response=1,
    )
    return {{"answer": agent.extract_answer_str(replies[0])}}
```"""
PROFILE = """
benchmarks: {seen: [chain_sum, products], unseen: [gcd], private: 4, public: 2, test: 4}
examples: [direct, chain_of_thought]
collect: {episodes: 2, candidates: 2}
search: {iterations: 2}
evaluate: {first_candidates: 2}
executor: {model: scripted, outage_seconds: 5}
policy: {model: scripted}
"""


def answer(body: Mapping[str, Any], index: int) -> str:
    """Write a workflow for a state; answer sums where a prompt says how to, wrongly elsewhere."""
    text = body["messages"][-1]["content"]
    if "You design" in body["messages"][0]["content"]:
        good = (int(body.get("seed") or 0) + index) % 2
        return REPLY.format(how="add step by step" if good else "guess")
    found = re.search(r"(\d+(?: [+*-] \d+)+)", text)
    if found is None or "step by step" not in text:
        return "The answer is 0."
    parts = found.group(1).split()
    total = int(parts[0])
    for operator, number in zip(parts[1::2], parts[2::2], strict=True):
        signed = {"+": total + int(number), "-": total - int(number), "*": total * int(number)}
        total = signed[operator]
    return f"The answer is {total}."


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ScriptedEndpoint]:
    with ScriptedEndpoint(lambda _, __: Step(latency_seconds=0.02), answer=answer) as running:
        yield running


def folder(tmp_path: Path) -> Path:
    """Return a project folder with the profile above."""
    shutil.copy(PROJECT / "params.yaml", tmp_path)
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "scripted.yaml").write_text(PROFILE)
    return tmp_path


def start(root: Path, endpoint: ScriptedEndpoint) -> subprocess.Popen[str]:
    """Start `w4s run` in `root`; progress and messages come out of stderr."""
    url = endpoint.base_url
    settings = ["--set", f"executor.base_url={url}", "--set", f"policy.base_url={url}"]
    removed = {"PREFECT_API_URL", "PREFECT_HOME", "MLFLOW_TRACKING_URI"}
    environment = {k: v for k, v in os.environ.items() if k not in removed}
    return subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "run", "--profile", "scripted", *settings],
        cwd=root,
        env={**environment, "PYTHONPATH": str(PROJECT), "OPENAI_API_KEY": "none"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(process: subprocess.Popen[str], text: str) -> list[str]:
    """Read progress up to the first line with `text`."""
    lines = []
    assert process.stderr is not None
    for line in process.stderr:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError("".join(lines))


def outputs(root: Path) -> dict[str, str]:
    """Return what a run found, without the seconds that it took."""
    found = {}
    for name in ("trajectories/trajectories.jsonl", "results/metrics.json"):
        found[name] = (root / "outputs" / name).read_text()
    table = json.loads((root / "outputs/results/table.json").read_text())
    found["table"] = json.dumps([{**row, "seconds": 0} for row in table])
    searches = json.loads((root / "outputs/searches/searches.json").read_text())
    found["searches"] = json.dumps([{**s, "seconds": 0} for s in searches["searches"]])
    return found


def test_a_killed_run_goes_on_and_ends_with_the_same_results(
    tmp_path: Path, endpoint: ScriptedEndpoint
) -> None:
    """SIGKILL during collection and during search: finished tasks are found, results are equal.

    A run that nobody disturbed, in another folder, is the yardstick; a third start finds
    everything finished and asks the endpoint nothing.
    """
    (tmp_path / "calm").mkdir()
    (tmp_path / "killed").mkdir()
    calm, killed = folder(tmp_path / "calm"), folder(tmp_path / "killed")
    out, err = start(calm, endpoint).communicate(timeout=300)
    assert "search, policy of the endpoint" in out, err
    assert "outputs" in out
    for moment in ("best accuracy", "->"):
        process = start(killed, endpoint)
        wait_for(process, moment)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    process = start(killed, endpoint)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert err.count("(found finished)") >= 4 + 6 + 1  # episodes, examples, a search
    assert outputs(killed) == outputs(calm)
    asked = endpoint.counters.calls
    process = start(killed, endpoint)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert endpoint.counters.calls == asked
    assert outputs(killed) == outputs(calm)


def test_an_interrupted_run_says_how_to_go_on(tmp_path: Path, endpoint: ScriptedEndpoint) -> None:
    """Ctrl-C: exit code 130, one message, no traceback, no process left behind."""
    root = folder(tmp_path)
    process = start(root, endpoint)
    wait_for(process, "collect")
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on from there" in err
    assert "Traceback" not in err
