"""One job in a locked process: receive it, run it, send one result, end.

Runs after `lockdown`; nothing here protects anything. The process is never used again, so
whatever the program patched ends with it.
"""

from __future__ import annotations

import gc
import io
import os
import random
import sys
import threading
from collections.abc import Callable
from typing import Any

from w4s.sandbox import audit, program
from w4s.sandbox.channel import Channel, MessageTooLongError
from w4s.sandbox.handle import Agent

_THREAD_STACK_BYTES = 2 * 1024**2  # 8 MiB of address space a thread would eat the memory limit
_RESERVE_BYTES = 2 * 1024**2


class Output(io.TextIOBase):
    """Keeps what the program prints; the first byte past the limit is reported to the parent."""

    def __init__(self, limit: int, full: Callable[[], None]) -> None:
        super().__init__()
        self._parts: list[str] = []
        self._left = limit
        self._full = full

    def writable(self) -> bool:
        """Say yes."""
        return True

    def write(self, text: str) -> int:
        """Keep `text` as far as there is room."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        size = len(text.encode("utf-8", "replace"))
        if size > self._left:
            self._parts.append(text[: self._left])
            self._left = 0
            self._full()
        else:
            self._parts.append(text)
            self._left -= size
        return len(text)

    def text(self) -> str:
        """Return everything kept."""
        return "".join(self._parts)


def serve(channel: Channel, *, readable: frozenset[str]) -> None:
    """Run the one job that the parent has sent, report, and leave the process as it is."""
    job = channel.receive()
    channel.message_bytes = job["message_bytes"]
    output = Output(job["output_bytes"], lambda: channel.note({"op": "full"}))
    sys.stdout = sys.stderr = output
    _seed(job["seed"])
    threading.stack_size(_THREAD_STACK_BYTES)
    gc.enable()
    audit.watch(lambda what: channel.note({"op": "refused", "what": what}), readable=readable)
    reserve: list[bytes] = [bytes(_RESERVE_BYTES)]  # to say so when memory has run out
    try:
        report = {"op": "done", "value": _run(job, channel)}
    except program.ProgramError as error:
        reserve.clear()
        report = {"op": "failed", "kind": error.kind, "text": error.text, "line": error.line}
    reserve.clear()
    _send(channel, report, output.text())


def _run(job: dict[str, Any], channel: Channel) -> Any:
    if job["kind"] == "workflow":
        return program.run_workflow(job["code"], Agent(channel.call), job["task"])
    return program.run_code(job["code"], job["entry_point"], job["calls"])


def _send(channel: Channel, report: dict[str, Any], output: str) -> None:
    try:
        channel.send(report | {"output": output})
    except MessageTooLongError as error:
        channel.send({"op": "failed", "kind": "output", "text": f"the result is {error}"})
    except (ValueError, TypeError, RecursionError) as error:
        text = f"the result is not JSON: {type(error).__name__}: {error}"
        channel.send({"op": "failed", "kind": "no_answer", "text": text[:500], "output": output})


def _seed(seed: int) -> None:
    random.seed(seed)
    if "numpy.random" in sys.modules:  # every fork has inherited one and the same state
        sys.modules["numpy.random"].seed(seed % 2**32)


def main(descriptor: int, lock: Callable[[], None], *, readable: frozenset[str]) -> None:
    """Finish locking this process, serve one job over `descriptor` and end. Never returns."""
    channel = Channel(descriptor)
    status = 1
    try:
        try:
            lock()
        except BaseException as error:  # noqa: BLE001  # whatever it is: no program may run here
            channel.send({"op": "unlocked", "text": f"{type(error).__name__}: {error}"})
            os._exit(1)
        channel.send({"op": "locked"})
        serve(channel, readable=readable)
        status = 0
    finally:
        os._exit(status)  # without finalizers, and whatever threads still run


def rehearse() -> None:
    """Run trivial programs in the process that will be forked, so that no worker is the first."""
    program.run_workflow("def workflow(agent, task):\n    return {'answer': 1}", None, "")
    program.run_code("def solution():\n    return [1.5]", "solution", [[]])
    sys.modules.pop(program.MODULE)
