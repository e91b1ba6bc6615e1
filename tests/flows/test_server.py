import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from flows.server import prefect_server

PROJECT = Path(__file__).resolve().parents[2]
KILLED = """
import os, sys, time
from pathlib import Path
from flows.server import prefect_server
with prefect_server(Path(sys.argv[1])) as ready:
    ready()
    print(os.environ["PREFECT_API_URL"], flush=True)
    time.sleep(120)
"""


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


@pytest.mark.slow
def test_the_server_ends_with_its_parent_even_when_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL on the command leaves no server behind."""
    environment = {k: v for k, v in os.environ.items() if k != "PREFECT_API_URL"}
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        assert _answers(url)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while _answers(url):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_configured_server_is_used_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With PREFECT_API_URL nothing is started."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    with prefect_server(tmp_path / "home") as ready:
        ready()
    assert os.environ["PREFECT_API_URL"] == "http://127.0.0.1:1/api"
    assert not (tmp_path / "home").exists()
