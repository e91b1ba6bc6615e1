"""Runs that are killed and started again, with a real process and a real record."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.endpoint import ScriptedEndpoint, Step

PROJECT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("resumable_run.py")
CALLS_BETWEEN_KILLS = 30


def start(endpoint: ScriptedEndpoint, record: Path, calls: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(PROGRAM), endpoint.base_url, str(record), str(calls)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def finish(process: subprocess.Popen[str]) -> str:
    """Return what a run prints at its end."""
    return process.communicate(timeout=120)[0].strip()


def recorded_prompts(record: Path) -> set[str]:
    """Return the prompts whose replies are all in the record."""
    if not record.exists():
        return set()
    connection = sqlite3.connect(record)
    try:
        rows = connection.execute(
            "SELECT q.request, count(*) FROM replies JOIN requests q USING (key) GROUP BY key"
        ).fetchall()
    except sqlite3.OperationalError:  # killed before the tables were made
        return set()
    finally:
        connection.close()
    requests = [(json.loads(text), count) for text, count in rows]
    return {r["messages"][0][1] for r, count in requests if count == r["n"]}


def kill_and_resume(tmp_path: Path, *, kills: int, seed: int) -> None:
    rng = random.Random(seed)
    calls = CALLS_BETWEEN_KILLS * (kills + 1)
    path = tmp_path / "killed.sqlite"
    with ScriptedEndpoint(lambda _, __: Step(0.02)) as endpoint:
        expected = finish(start(endpoint, tmp_path / "whole.sqlite", calls))
        killed = 0
        while killed < kills:
            before = recorded_prompts(path)
            endpoint.counters.bodies.clear()
            target = rng.randint(0, 30)
            process = start(endpoint, path, calls)
            while len(endpoint.counters.bodies) < target and process.poll() is None:
                time.sleep(0.001)
            time.sleep(rng.random() * 0.03)
            process.kill()
            process.communicate(timeout=60)
            killed += 1
            asked = {body["messages"][0]["content"] for body in endpoint.counters.bodies}
            assert not asked & before, "a recorded reply was asked for again"
        endpoint.counters.bodies.clear()
        before = recorded_prompts(path)
        found = finish(start(endpoint, path, calls))
        asked = {body["messages"][0]["content"] for body in endpoint.counters.bodies}
    assert expected
    assert found == expected
    assert len(asked) == calls - len(before)


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """After kills at random points the result is the same, and nothing is paid twice."""
    kill_and_resume(tmp_path, kills=4, seed=1)


@pytest.mark.slow
def test_fifty_kills_change_nothing(tmp_path: Path) -> None:
    """The same, fifty times over."""
    kill_and_resume(tmp_path, kills=50, seed=2)
