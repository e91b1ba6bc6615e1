"""One job in a locked process: receive it, run it, send one result, end.

Runs after `lockdown`; nothing here protects anything. The process is never used again, so
whatever the program patched ends with it.
"""

from __future__ import annotations

import gc
import io
import os
import random
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

from w4s.sandbox import audit, program, wire
from w4s.sandbox.channel import Channel, MessageTooLongError
from w4s.sandbox.handle import Agent

_THREAD_STACK_BYTES = 2 * 1024**2  # 8 MiB of address space a thread would eat the memory limit
_RESERVE_BYTES = 2 * 1024**2
_LOCKED = wire.encode({"op": "locked"})
_REHEARSALS = 12  # more than Python waits for before it adapts code to what it meets
_LIMITS = {"seed": 0, "output_bytes": 4096, "message_bytes": 4096}
_WORKFLOW = {
    "kind": "workflow",
    "code": "def workflow(agent, task):\n"
    "    messages = [{'role': 'user', 'content': task}]\n"
    "    print(task)\n"
    "    return {'answer': agent.call_llm(messages, temperature=0.5)[0]}\n",
    "task": "1 + 1?",
}
_CODE = {
    "kind": "code",
    "code": "def solution():\n    return [1.5]\n",
    "entry_point": "solution",
    "calls": [[]],
}


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


def serve(channel: Channel, reserve: list[bytes]) -> None:
    """Wait for the one job, run it, report, and leave the process as it is.

    `reserve` is given up to say so when memory has run out.
    """
    job = channel.receive()
    channel.message_bytes = job["message_bytes"]
    output = Output(job["output_bytes"], lambda: channel.note({"op": "full"}))
    sys.stdout = sys.stderr = output
    _seed(job["seed"])
    gc.enable()
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


def main(
    descriptor: int, lock: Callable[[], None], *, watch: Callable[[audit.Report], None]
) -> None:
    """Lock this process, serve one job over `descriptor` and end. Never returns."""
    channel = Channel(descriptor)
    status = 1
    try:
        try:
            lock()
        except BaseException as error:  # noqa: BLE001  # whatever it is: no program may run here
            channel.send({"op": "unlocked", "text": f"{type(error).__name__}: {error}"})
            os._exit(1)
        os.write(descriptor, _LOCKED)
        threading.stack_size(_THREAD_STACK_BYTES)
        watch(lambda what: channel.note({"op": "refused", "what": what}))
        serve(channel, [bytes(_RESERVE_BYTES)])
        status = 0
    finally:
        os._exit(status)  # without finalizers, and whatever threads still run


def rehearse() -> None:
    """Run trivial programs in the process that will be forked, so that no worker is the first.

    What Python finds out about code while it runs is found out here: each worker would have to
    copy the pages that it is written to.
    """
    streams = sys.stdout, sys.stderr
    for _ in range(_REHEARSALS):
        for job in (_WORKFLOW, _CODE):
            ours, theirs = socket.socketpair()
            with ours, theirs:
                for message in (_LIMITS | job, {"id": 1, "value": ["1"]}):
                    ours.sendall(wire.encode(message))
                serve(Channel(theirs.fileno()), [])
    sys.stdout, sys.stderr = streams
    gc.disable()
    sys.modules.pop(program.MODULE)
