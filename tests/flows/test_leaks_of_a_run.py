"""Who ever saw which problem: every request of real commands, on the wire and on record.

`tests/test_leaks.py` asks the same of the library alone, with more failures on the way.
"""

import csv
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.endpoint import ScriptedEndpoint
from tests.flows.scripted import REPLY, w4s, write_project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    pytest.mark.usefixtures("shared_server"),
]

TASKS = ("riddles", "puzzles")
SCORER = """\
def check(question, reference, answer):
    from w4s.types import Score
    return Score(float(len(question) % 2), answer, "due was " + reference)
"""
COMPLAINS = """Complain.
```python
def workflow(agent, task):
    reply = agent.call_llm([{"role": "user", "content": task + " please"}], 0.5, 1)[0]
    if len(task) % 2:
        raise ValueError("cannot solve " + task + " nor " + reply)
    return {"answer": task + reply}
```"""


def answer(body: Mapping[str, Any], index: int) -> str:
    """Write workflows, some of which quote their question in errors; know no answer."""
    if not _is_state(body):
        return "no idea"
    odd = (int(body.get("seed") or 0) + index) % 2
    return COMPLAINS if odd else REPLY.format(how=f"ask in way {len(str(body)) % 7}")


def _is_state(body: Mapping[str, Any]) -> bool:
    return "You design" in body["messages"][0]["content"]


class Recorded(NamedTuple):
    """A request on record: at temperature 0 it has no draw, but the stage that asked first."""

    request: str
    draw: str
    stage: str


@dataclass(frozen=True)
class Run:
    """What was said: bodies on the wire, requests on record; and the splits."""

    bodies: list[dict[str, Any]]
    recorded: list[Recorded]
    splits: dict[str, list[dict[str, str]]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with ScriptedEndpoint(answer=answer) as endpoint:
        folder = write_project(tmp_path_factory.mktemp("leaks") / "project", endpoint)
        _write_tasks(folder)
        for command in (("run",), ("experiment", "main-table")):
            done = w4s(folder, *command)
            assert done.returncode == 0, done.stderr
        outputs = folder / "outputs"
        recorded = [row for path in outputs.rglob("*.sqlite") for row in _requests(path)]
        yield Run(list(endpoint.counters.bodies), recorded, _splits(outputs / "splits"))


def _write_tasks(folder: Path) -> None:
    for name in TASKS:
        own = folder / name
        own.mkdir()
        with (own / "data.csv").open("w", newline="") as stream:
            rows = csv.writer(stream)
            rows.writerow(["question", "answer"])
            # of different lengths: half of them are answered rightly
            words = [f"{name}{i:02d}{'x' * (i % 4)}end" for i in range(12)]
            rows.writerows((f"Say questionword{w}.", f"answerword{w}") for w in words)
        (own / "score.py").write_text(SCORER)
        task = {"data": "data.csv", "description": "Solve the riddle.", "scorer": "score:check"}
        (own / "task.yaml").write_text(yaml.safe_dump(task))
    path = folder / "params.yaml"
    params = yaml.safe_load(path.read_text())
    seen, unseen = (f"{name}/task.yaml" for name in TASKS)
    params["benchmarks"].update(seen=[seen], unseen=[unseen], test=6)
    params["search"]["rivals"] = ["random", "adas", "aflow"]
    params["policy"]["prompt_tokens"] = 8000
    path.write_text(yaml.safe_dump(params))


def _requests(path: Path) -> list[Recorded]:
    with closing(sqlite3.connect(path)) as record:
        tables = {name for (name,) in record.execute("SELECT name FROM sqlite_master")}
        if "requests" not in tables:
            return []
        rows = record.execute(
            "SELECT DISTINCT request, draw, stage FROM replies JOIN requests USING (key)"
        )
        return [Recorded(*row) for row in rows]


def _splits(folder: Path) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {"private": [], "public": [], "test": []}
    for name, problems in found.items():
        for path in folder.rglob(f"{name}.jsonl"):
            problems += map(json.loads, path.read_text().splitlines())
    return found


def said(body: Mapping[str, Any]) -> str:
    return json.dumps(body["messages"])


def word(problem: Mapping[str, str]) -> str:
    return problem["question"].removeprefix("Say ").removesuffix(".")


def test_the_run_is_what_the_tests_think_it_is(run: Run) -> None:
    """Both tasks, all splits, every kind of draw, states and questions on the wire."""
    assert {name: len(problems) for name, problems in run.splits.items()} == {
        "private": 8,
        "public": 4,
        "test": 12,
    }
    stages = {one.stage for one in run.recorded}
    assert stages >= {"candidates", "collect", "example", "search", "test"}, stages
    for name in ("+random/", "+adas/", "+aflow/"):
        assert any(name in one.draw for one in run.recorded), name
    assert sum(map(_is_state, run.bodies)) > 30
    assert len(run.bodies) > 200


def test_no_state_of_a_policy_holds_a_private_or_a_test_text(run: Run) -> None:
    """Of collection, all searches, first candidates and experiments; public texts are shown."""
    shown = "\n".join(said(body) for body in run.bodies if _is_state(body))
    for problem in (*run.splits["private"], *run.splits["test"]):
        assert word(problem) not in shown
        assert problem["answer"] not in shown
    assert any(word(problem) in shown for problem in run.splits["public"])
    assert any(problem["answer"] in shown for problem in run.splits["public"])


def test_no_answer_is_ever_sent_to_an_executor(run: Run) -> None:
    """Neither in a search nor in the final tests, of no split."""
    sent = "\n".join(said(body) for body in run.bodies if not _is_state(body))
    for problems in run.splits.values():
        for problem in problems:
            assert word(problem) in sent
            assert problem["answer"] not in sent


def test_held_out_questions_are_sent_by_the_final_test_alone(run: Run) -> None:
    """And private ones to be solved themselves: no other problem's call holds them."""
    for problem in run.splits["test"]:
        holding = [one for one in run.recorded if word(problem) in one.request]
        assert {one.stage for one in holding} == {"test"}
    for problem in run.splits["private"]:
        holding = [one for one in run.recorded if word(problem) in one.request]
        assert holding
        assert "test" not in {one.stage for one in holding}
        assert all(problem["id"] in one.draw.split("/") for one in holding if one.draw)
