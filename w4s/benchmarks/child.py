"""A child process that answers JSON lines, for judging that may hang, crash or eat the memory.

The child has no secrets in its environment, and is ended and started again where it hangs. What it
does is its module's business.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import selectors
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import IO, Any

ANSWER_SECONDS = 30.0  # of the clock
START_SECONDS = 120.0
MEMORY_BYTES = 2 * 1024**3
_KEPT_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "SYSTEMROOT")


def begin_child() -> Callable[[Mapping[str, Any]], None]:
    """Bound the memory of this process, the child, and return what sends a reply.

    What libraries print goes to stderr.
    """
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    replies, sys.stdout = sys.stdout, sys.stderr

    def send(reply: Mapping[str, Any]) -> None:
        replies.write(json.dumps(reply) + "\n")
        replies.flush()

    return send


class LineChild:
    """Runs `python -m MODULE` when first needed, and asks it one line at a time."""

    def __init__(self, module: str, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._module = module
        self._answer_seconds = answer_seconds
        self._lock = threading.Lock()
        self._child: subprocess.Popen[str] | None = None
        self._finalizer: weakref.finalize[..., Any] | None = None

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the child's reply, {"error": …} where it died or gave none in time. Blocks."""
        with self._lock:
            if self._child is not None and self._child.poll() is not None:
                self._end()  # it was killed while nobody asked; a new one answers
            seconds = self._answer_seconds if self._child is not None else START_SECONDS
            child = self._child or self._start()
            try:
                reply = _exchange(child, json.dumps(request), seconds=seconds)
            except (BrokenPipeError, EOFError):
                self._end()
                return {"error": "its process died (out of memory or time)"}
            except TimeoutError:
                self._end()
                return {"error": f"no verdict within {seconds:g} s"}
            loaded: dict[str, Any] = json.loads(reply)
            return loaded

    def close(self) -> None:
        """End the child, if any; it starts again when needed."""
        with self._lock:
            self._end()

    def _start(self) -> subprocess.Popen[str]:
        environment = {key: os.environ[key] for key in _KEPT_ENVIRONMENT if key in os.environ}
        child = subprocess.Popen(
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self._child = child
        self._finalizer = weakref.finalize(self, _kill, child)
        return child

    def _end(self) -> None:
        if self._child is not None:
            _kill(self._child)
        if self._finalizer is not None:
            self._finalizer.detach()
        self._child = self._finalizer = None


def _exchange(child: subprocess.Popen[str], line: str, *, seconds: float) -> str:
    given, got = _pipes(child)
    given.write(line + "\n")
    given.flush()
    with selectors.DefaultSelector() as selector:
        selector.register(got, selectors.EVENT_READ)
        if not selector.select(seconds):
            raise TimeoutError
    reply = got.readline()
    if not reply:
        raise EOFError
    return reply


def _pipes(child: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    if child.stdin is None or child.stdout is None:
        raise RuntimeError("the child was started without pipes")
    return child.stdin, child.stdout


def _kill(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):  # what it did not read any more
                pipe.close()
