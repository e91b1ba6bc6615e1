"""Runs every attack in one sandbox and tells how each ended and what they left behind.

Also a program of its own: `python attack_runner.py`, so that it can be run as another user.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.sandbox.attacks import ATTACKS, Attack
from w4s.sandbox.base import Limits
from w4s.sandbox.host import ProcessSandbox

SECRET = "sk-secret-of-the-parent"
_TRIVIAL = "def workflow(agent, task):\n    return {'answer': task}"
_SHARED_MEMORY = Path("/dev/shm")


async def handler(name: str, arguments: Mapping[str, Any]) -> Any:
    """Answer calls; slowly where the message says so."""
    if arguments.get("messages", [{}])[0].get("content") == "slow":
        await asyncio.sleep(1_000)
    return ["reply"]


async def run_attacks(folder: Path) -> dict[str, Any]:
    """Return {"ends": …, "stack": …, "left": …} after all attacks, eight at once."""
    os.environ["OPENAI_API_KEY"] = SECRET
    victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    before = set(_left_over())
    try:
        with _targets(folder) as target:
            async with ProcessSandbox(workers=8) as sandbox:
                await _settle(sandbox)
                usual = await _busy(sandbox)
                ends = await asyncio.gather(*(_one(sandbox, a, target) for a in ATTACKS))
                alive = await _settle(sandbox)
                stack, children = sandbox.stack.name, await _busy(sandbox) - usual
            left = {
                "alive": alive,
                "victim": victim.poll(),
                "children": children,
                "files": sorted(set(_left_over()) - before),
                "folder": sorted(path.name for path in folder.iterdir()),
                "answers": (folder / "answers.json").read_text(encoding="utf-8"),
            }
    finally:
        victim.kill()
        victim.wait()
    return {"ends": dict(ends), "stack": stack, "left": left}


async def _one(
    sandbox: ProcessSandbox, attack: Attack, target: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    limits = Limits(
        **{"wall_seconds": 60.0, "cpu_seconds": 2.0, "memory_bytes": 1 << 28} | attack.limits
    )
    result = await sandbox.run_workflow(
        attack.code, task=json.dumps(target), handler=handler, limits=limits, seed=0
    )
    failure = result.failure
    return attack.name, {
        "kind": failure.kind.value if failure else None,
        "text": failure.message if failure else repr(result.value)[:500],
        "violations": result.violations,
        "secret": SECRET in repr(result),
    }


async def _settle(sandbox: ProcessSandbox) -> list[Any]:
    """Run a program in either zygote, so that all that is going to run always runs now."""
    values = []
    for code in (_TRIVIAL, "import numpy\n" + _TRIVIAL):
        result = await sandbox.run_workflow(
            code, task="alive", handler=handler, limits=Limits(), seed=0
        )
        values.append(result.value)
    return values


@contextlib.contextmanager
def _targets(folder: Path) -> Any:
    answers = folder / "answers.json"
    answers.write_text('{"answer": 42}', encoding="utf-8")
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        unix.bind(str(folder / "socket"))
        unix.listen()
        yield {
            "parent": os.getpid(),
            "project": str(Path(__file__).resolve()),
            "answers": str(answers),
            "folder": str(folder),
            "home": "/home",
            "port": tcp.getsockname()[1],
            "unix": str(folder / "socket"),
        }


def _left_over() -> list[str]:
    names = [str(path) for path in Path(tempfile.gettempdir()).glob("w4s*")]
    return names + [str(path) for path in _SHARED_MEMORY.glob("*w4s*")]


async def _busy(sandbox: ProcessSandbox) -> int:
    """Count all processes but those that wait for a program, once they are made or gone."""
    await asyncio.sleep(1.0)
    return _descendants() - sum(link.waiting for link in sandbox._links.values())


def _descendants() -> int:
    """Count all processes below this one, zombies and spares included."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return sum(1 for pid in parents if pid != os.getpid() and _below(pid, parents))


def _below(pid: int, parents: Mapping[int, int]) -> bool:
    while pid in parents and pid != os.getpid():
        pid = parents[pid]
    return pid == os.getpid()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        sys.stdout.write(json.dumps(asyncio.run(run_attacks(Path(name)))) + "\n")
