"""The embedded executor: a llama.cpp server on loopback, in a process of its own.

Starts and ends that process; asks it nothing but whether it is ready.
"""

from __future__ import annotations

import atexit
import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from w4s.config import EmbeddedParams
from w4s.errors import EndpointError
from w4s.llm.weights import embedded_weights

ALIAS = "SmolLM2-135M-Instruct"
_HOST = "127.0.0.1"
_PROGRAM = Path(__file__).with_name("embedded_main.py")
_PROMPT_CACHE_MIB = 256
_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "SYSTEMROOT")


class EmbeddedServer:
    """An OpenAI-compatible server with SmolLM2-135M-Instruct. Use it as a context manager.

    `base_url` is its address once started. The process gets no variable of the program's
    environment but a few harmless ones, and ends with the program however that ends.
    """

    def __init__(
        self,
        params: EmbeddedParams,
        *,
        weights: Path | None = None,
        ready_seconds: float = 120.0,
    ) -> None:
        self._params = params
        self._weights = weights
        self._ready_seconds = ready_seconds
        self._process: subprocess.Popen[str] | None = None
        self._log: IO[str] | None = None
        self.base_url = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> str:
        """Start the server, wait until it answers, and return its `base_url`.

        Raises WeightsError, or EndpointError where the port is in use or the server ends early.
        """
        if self._process is not None:
            return self.base_url
        weights = self._weights or embedded_weights()
        if self._params.port:
            _check_port(self._params.port)
        atexit.register(self.close)
        try:
            self._spawn(weights)
            deadline = time.monotonic() + self._ready_seconds
            address = self._address(deadline)
            self._wait_until_healthy(address, deadline)
        except BaseException:
            self.close()
            raise
        self.base_url = f"{address}/v1"
        return self.base_url

    def close(self) -> None:
        """End the server's process. Does nothing the second time."""
        atexit.unregister(self.close)
        process, self._process = self._process, None
        if process is not None:
            process.kill()  # it holds nothing that an orderly end would save
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
        if self._log is not None:
            self._log.close()
            self._log = None

    def trouble(self) -> str | None:
        """Say why the server cannot answer any more, or None where it runs."""
        if self._process is None or self._process.poll() is None:
            return None
        return f"the embedded server ended with {self._process.returncode}: {self._log_tail()}"

    def _spawn(self, weights: Path) -> None:
        settings = {
            "weights": str(weights),
            "alias": ALIAS,
            "port": self._params.port,
            "slots": self._params.slots,
            "context": self._params.context,
            "threads": self._params.threads,
            "prompt_cache_mib": _PROMPT_CACHE_MIB,
        }
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  # lives with the process
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_PROGRAM), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=_environment(),
            start_new_session=True,  # Ctrl-C reaches the program, which ends the server in turn
        )

    def _address(self, deadline: float) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise self._not_ready()
        line = self._process.stdout.readline().strip()
        if not line:
            self._process.wait(timeout=10)
            raise EndpointError(f"The embedded server did not start. {self._log_tail()}")
        return line if line.startswith("http") else f"http://{line}"

    def _wait_until_healthy(self, address: str, deadline: float) -> None:
        # a configured proxy does not reach this machine's loopback
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while time.monotonic() < deadline:
            if self._process is None:  # by another thread, where the program is interrupted
                raise EndpointError("The embedded server was closed while it started.")
            try:
                with direct.open(f"{address}/health", timeout=5) as reply:
                    if reply.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                trouble = self.trouble()
                if trouble is not None:
                    raise EndpointError(f"The embedded server did not start: {trouble}") from None
            time.sleep(0.05)
        raise self._not_ready()

    def _not_ready(self) -> EndpointError:
        return EndpointError(
            f"The embedded server was not ready after {self._ready_seconds:g} s. "
            f"{self._log_tail()} Free some memory or processor time and start again."
        )

    def _log_tail(self) -> str:
        if self._log is None:
            return "It left no log."
        self._log.seek(0)
        text = self._log.read().strip()
        return f"Its log ends: {text[-600:]}" if text else "It left no log."


def _environment() -> dict[str, str]:
    """Return the few variables that the server gets: no key of the program's is among them."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    # Waiting threads spin for microseconds, then sleep. Sleeping at once costs a fifth of the speed
    # on idle cores (120 against 149 tokens/s with 8 slots), spinning on most of it on busy ones.
    return {**kept, "GOMP_SPINCOUNT": "2000"}


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise EndpointError(
                f"embedded.port: {port} on {_HOST} cannot be used: {error.strerror}. "
                "Set another port, or 0 for a free one."
            ) from error
