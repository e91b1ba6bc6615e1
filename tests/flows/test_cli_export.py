"""`w4s export` and `w4s serve` as a person meets them."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from flows.cli_tools import tell_other_executor
from tests.endpoint import ScriptedEndpoint, Step
from w4s.config import load_params
from w4s.export.notes import executor_notes
from w4s.workflow import builtin_workflow, save_workflow

PROJECT = Path(__file__).resolve().parents[2]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "flows.cli", *arguments]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text((PROJECT / "params.yaml").read_text())
    return tmp_path


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PROJECT), "HOME": str(folder), **more}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_export_writes_a_folder_and_says_how_to_use_it(folder: Path) -> None:
    """A built-in workflow by its name; the second time is refused."""
    arguments = ("export", "--workflow", "direct", "--out", "home")
    done = run(folder, *arguments)
    assert done.returncode == 0, done.stderr
    assert "cd home && pip install -r requirements.txt" in done.stdout
    assert (folder / "home/runtime/agent.py").is_file()
    again = run(folder, *arguments)
    assert again.returncode == 2
    assert "home: is there already" in again.stderr


def test_an_unknown_workflow_is_refused_with_the_known_names(folder: Path) -> None:
    """Neither a file nor a built-in name."""
    done = run(folder, "export", "--workflow", "directly", "--out", "home")
    assert done.returncode == 2
    assert "directly: no such workflow file. Built in: chain_of_thought" in done.stderr


def test_a_port_in_use_is_refused(folder: Path) -> None:
    """Before executor and sandbox are opened."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = run(folder, "serve", "--workflow", "direct", "--port", str(port))
    assert done.returncode == 2
    assert f"port {port} on 127.0.0.1 cannot be used" in done.stderr


def test_another_executor_than_the_searchs_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its answers are others; the same one, and a file that names none, need no word."""
    executor = load_params(PROJECT / "params.yaml").executor
    found, bare = tmp_path / "found.py", tmp_path / "bare.py"
    save_workflow(found, builtin_workflow("direct"), notes=executor_notes(executor))
    save_workflow(bare, builtin_workflow("direct"), notes={})
    tell_other_executor(found, executor)
    tell_other_executor(bare, executor.model_copy(update={"model": "big"}))
    assert capsys.readouterr().err == ""
    tell_other_executor(found, executor.model_copy(update={"max_tokens": 7}))
    assert "tokens a reply; embedded, 7 tokens, is asked now" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_serve_answers_over_http_and_ends_with_ctrl_c(folder: Path, stop: signal.Signals) -> None:
    """The real sandbox, the real engine, a scripted executor behind it.

    A service manager's signal ends it as well as Ctrl-C, and requests in flight get a reply.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def ask(question: str) -> tuple[int, str]:
        body = {"messages": [{"role": "user", "content": question}]}
        address = f"http://127.0.0.1:{port}/v1/chat/completions"
        try:
            with urllib.request.urlopen(address, json.dumps(body).encode(), timeout=60) as reply:
                return reply.status, json.load(reply)["choices"][0]["message"]["content"]
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)["error"]["code"]

    def script(_: int, body: Mapping[str, Any]) -> Step:
        return Step(latency_seconds=60.0 if "slowly" in body["messages"][-1]["content"] else 0.0)

    with ScriptedEndpoint(script, answer=lambda body, index: "It is 42.") as endpoint:
        arguments = ("serve", "--workflow", "direct", "--port", str(port))
        serving = subprocess.Popen(
            command(*arguments, "--set", "executor.model=big"),
            cwd=folder,
            env=environment(folder, OPENAI_BASE_URL=endpoint.base_url, OPENAI_API_KEY="k"),
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert serving.stderr is not None
            first = serving.stderr.readline()
            assert re.search(rf"model 'direct' at http://127\.0\.0\.1:{port}/v1", first)
            assert ask("6 * 7?") == (200, "42")
            with ThreadPoolExecutor() as pool:
                late = pool.submit(ask, "6 * 7, slowly?")
                while endpoint.counters.in_flight == 0:
                    time.sleep(0.01)
                serving.send_signal(stop)
                assert late.result(60) == (503, "server_stopping")
            _, rest = serving.communicate(timeout=60)
            assert rest.endswith("w4s serve: stopped\n")
            assert (serving.returncode, "Traceback" in rest) == (0, False)
        finally:
            serving.kill()
            serving.wait()
