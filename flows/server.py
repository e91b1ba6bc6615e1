"""Prefect's server for the time of one command, where no other is configured.

Prefect would start one itself, but one that outlives a killed parent and prints its tracebacks
among the program's own output. Keeps no server between commands: `PREFECT_API_URL` names one
that stays.
"""

from __future__ import annotations

import fcntl
import importlib
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flows.garbage import no_collection
from tasks.settings import child_environment
from w4s.errors import W4SError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

STARTUP_SECONDS = 300
DRAIN_SECONDS = 5.0


class ServerError(W4SError):
    """Prefect's server did not start."""


@contextmanager
def prefect_server(home: Path) -> Iterator[Callable[[], None]]:
    """Start a server with its files in `home`; yield a function that waits until it answers.

    Does nothing where `PREFECT_API_URL` is set. The caller imports what it needs meanwhile.
    """
    if os.environ.get("PREFECT_API_URL"):
        yield lambda: None
        return
    home.mkdir(parents=True, exist_ok=True)
    starting = (home / ".starting").open("w")
    fcntl.flock(starting, fcntl.LOCK_EX)  # two servers must not make the database at once
    port, log = free_port(), home / "server.log"
    url = f"http://127.0.0.1:{port}/api"

    def ready() -> None:
        wait_for_server(process, url, log)
        starting.close()

    with log.open("wb") as stream:
        command = [sys.executable, "-m", "flows.server", str(port), str(os.getpid())]
        process = subprocess.Popen(
            command,
            stdout=stream,
            stderr=stream,
            env=_environment(),
            start_new_session=True,  # Ctrl-C is for the run, which ends the server when it is done
        )
    os.environ["PREFECT_API_URL"] = url
    _refresh_prefect()
    try:
        yield ready
    finally:
        starting.close()
        _send_history()
        del os.environ["PREFECT_API_URL"]
        _stop(process)


def _environment() -> dict[str, str]:
    extra = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1"}
    root = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return child_environment({**extra, "PREFECT__SERVER_FINAL": "1", "PYTHONPATH": path})


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _refresh_prefect() -> None:
    if "prefect.context" in sys.modules:
        sys.modules["prefect.context"].refresh_global_settings_context()


def _send_history() -> None:
    """Let Prefect send what it has queued: without a server its threads would wait at exit."""
    if "prefect.events.worker" in sys.modules:
        sys.modules["prefect.events.worker"].EventsWorker.drain_all(timeout=DRAIN_SECONDS)


def wait_for_server(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Return when the server at `url` answers. Raises ServerError where it ends or is too slow."""
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)  # not listening yet
    raise ServerError(
        f"Prefect's server did not start within {STARTUP_SECONDS} seconds; its last words are in "
        f"{log}. Try again, or start one with `prefect server start` and set PREFECT_API_URL."
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _die_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)  # the parent was killed: nobody else would stop this server


def _wait_for_writers() -> None:
    """Let transactions wait for SQLite's one writer instead of failing.

    Those of Prefect read first and lock later: where another one wrote in between, they fail at
    once with 503, and the client waits for two seconds.
    """
    from prefect.server.database.configurations import AioSqliteConfiguration
    from prefect.server.database.dependencies import set_database_config
    from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL

    class LocksFirst(AioSqliteConfiguration):
        @asynccontextmanager
        async def begin_transaction(
            self, session: AsyncSession, with_for_update: bool = False
        ) -> AsyncGenerator[AsyncSessionTransaction, None]:
            del with_for_update
            async with super().begin_transaction(session, with_for_update=True) as transaction:
                yield transaction

    url = PREFECT_API_DATABASE_CONNECTION_URL.value()
    if url.startswith("sqlite"):
        set_database_config(LocksFirst(connection_url=url))


def _serve(port: int, parent: int) -> None:
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()
    with no_collection():
        import uvicorn

        _wait_for_writers()
        importlib.import_module("prefect.server.api.server")

    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        host="127.0.0.1",
        port=port,
        log_level="error",
        lifespan="on",
    )


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]))
