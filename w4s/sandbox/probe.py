"""Attack a sandbox before it is trusted: what must fail is tried, what must work as well.

A layer that is present but does not hold (an old kernel, a container's rules) shows here.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from w4s.errors import SandboxError
from w4s.sandbox.base import Handler, Limits, SandboxResult

_LIMITS = Limits(wall_seconds=30.0, cpu_seconds=10.0)

_ATTACK = r"""
import ctypes, json, mmap, os, resource, socket

def workflow(agent, task):
    target = json.loads(task)
    libc = ctypes.CDLL(None, use_errno=True)
    open_doors = []

    def create(folder, name):
        return os.open(folder + "/" + name, os.O_CREAT | os.O_WRONLY)

    def refused(name, attempt):
        try:
            attempt()
        except BaseException:
            return
        open_doors.append(name)

    def call(number, *arguments):
        if libc.syscall(ctypes.c_long(number), *[ctypes.c_long(word) for word in arguments]) < 0:
            raise OSError(ctypes.get_errno(), "refused")

    def fork():
        if os.fork() == 0:
            os._exit(0)

    def no_root():
        os.setresuid(0, 0, 0)
        if os.getuid():
            raise PermissionError

    refused("reading a file", lambda: open(target["canary"]).read())
    refused("writing a file", lambda: create(target["folder"], "w"))
    refused("writing to /tmp", lambda: create("/tmp", target["name"]))
    refused("writing to /dev/shm", lambda: create("/dev/shm", target["name"]))
    refused("deleting a file", lambda: os.unlink(target["canary"]))
    refused("the parent's environment", lambda: open(f"/proc/{target['parent']}/environ").read())
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK):
        refused(f"a socket of family {family}", lambda: socket.socket(family))
    refused("fork", fork)
    refused("exec", lambda: os.execv("/bin/true", ["true"]))
    refused("a signal", lambda: os.kill(target["parent"], 0))
    refused("memfd", lambda: os.memfd_create("probe"))
    refused("ptrace", lambda: call(target["ptrace"], 16, target["parent"], 0, 0))
    refused("io_uring", lambda: call(425, 1, 0))
    refused("higher limits", lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)))
    refused("64 GiB of memory", lambda: mmap.mmap(-1, 64 << 30))
    refused("root", no_root)
    return {"answer": open_doors}
"""

_ORDINARY = r"""
import asyncio, concurrent.futures, hashlib, threading

def workflow(agent, task):
    async def one():
        await asyncio.sleep(0)
        return 1
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        total = sum(pool.map(int, "1234"))
    return {"answer": total + asyncio.run(one())}
"""

_PTRACE = {"x86_64": 101, "aarch64": 117}


class Runner(Protocol):
    """What can run a workflow."""

    async def run_workflow(
        self, code: str, *, task: str, handler: Handler, limits: Limits, seed: int
    ) -> SandboxResult:
        """Run it."""
        ...


async def attack(runner: Runner) -> None:
    """Raise SandboxError where the probe gets through, or where ordinary code does not run."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        canary = Path(folder, "canary")
        canary.write_text("secret", encoding="utf-8")
        canary.chmod(0o644)
        target = {
            "canary": str(canary),
            "folder": folder,
            "parent": os.getpid(),
            "name": f"w4s-probe-{os.getpid()}",
            "ptrace": _PTRACE.get(os.uname().machine, 0),
        }
        try:
            doors = await _run(runner, _ATTACK, target)
        finally:
            for place in ("/tmp", "/dev/shm"):
                Path(place, str(target["name"])).unlink(missing_ok=True)
    if doors:
        raise SandboxError(f"the probe was not refused: {', '.join(map(str, doors))}")
    if await _run(runner, _ORDINARY, {}) != 11:
        raise SandboxError("ordinary code gives a wrong answer")


async def _run(runner: Runner, code: str, target: Mapping[str, Any]) -> Any:
    import json

    result = await runner.run_workflow(
        code, task=json.dumps(target), handler=_no_calls, limits=_LIMITS, seed=0
    )
    if result.failure is not None:
        raise SandboxError(f"the probe did not finish: {result.failure.message}")
    return result.value["answer"]


async def _no_calls(name: str, _: Mapping[str, Any]) -> Any:
    raise SandboxError(f"the probe made the call {name}")
