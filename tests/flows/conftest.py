"""One Prefect server for the commands of several tests: each would start one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from flows.server import free_port
from tests.flows import scripted

_STARTUP_SECONDS = 300


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("prefect"), free_port()
    url = f"http://127.0.0.1:{port}/api"
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.server", str(port), str(os.getpid())],
            stdout=log,
            stderr=log,
            env={**scripted.environment(), "PREFECT_HOME": str(folder)},
            cwd=folder,
            start_new_session=True,  # no business of tests that look at their own session
        )
    try:
        _wait(process, url)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def shared_server(_server: str) -> Iterator[None]:
    """Let `scripted.environment` name a server that stays, for the tests of one module."""
    scripted.server_url = _server
    yield
    scripted.server_url = None


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + _STARTUP_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "Prefect's server ended"
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError("Prefect's server did not answer")
