"""Time isolated runs against a cold interpreter and against plain exec, and look for growth.

python -m bench.sandbox                 median and 99th percentile, one and eight at once
python -m bench.sandbox --growth 10000  memory, descriptors and processes over many runs
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w4s.sandbox.base import HandlerError, Limits
from w4s.sandbox.host import ProcessSandbox

_TRIVIAL = "def workflow(agent, task):\n    return {'answer': task}\n"
_NUMPY = (
    "import numpy\ndef workflow(agent, task):\n    return {'answer': int(numpy.arange(10).sum())}\n"
)
_CALL = "\nworkflow(None, 'x')\n"
_LIMITS = Limits()


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one execution, and executions a second."""

    median: float
    p99: float
    rate: float


async def _no_calls(name: str, _arguments: Mapping[str, Any]) -> Any:
    raise HandlerError(f"nothing here answers {name}")


async def _measure(one: Callable[[], Awaitable[None]], *, runs: int, at_once: int) -> Timing:
    times: list[float] = []
    left = iter(range(runs))

    async def lane() -> None:
        for _ in left:
            started = time.perf_counter()
            await one()
            times.append(1e3 * (time.perf_counter() - started))

    started = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(at_once)))
    rate = runs / (time.perf_counter() - started)
    times.sort()
    return Timing(statistics.median(times), times[int(0.99 * (len(times) - 1))], rate)


def _isolated(sandbox: ProcessSandbox, code: str) -> Callable[[], Awaitable[None]]:
    async def one() -> None:
        result = await sandbox.run_workflow(
            code, task="x", handler=_no_calls, limits=_LIMITS, seed=0
        )
        if result.failure is not None:
            raise RuntimeError(result.failure.message)

    return one


def _cold(code: str) -> Callable[[], Awaitable[None]]:
    async def one() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-c", code + _CALL, stdout=subprocess.DEVNULL
        )
        if await process.wait():
            raise RuntimeError("the cold interpreter failed")

    return one


def _plain(code: str) -> Callable[[], Awaitable[None]]:
    async def one() -> None:
        exec(compile(code + _CALL, "<plain>", "exec"), {})  # noqa: S102  # what is compared with

    return one


async def compare(runs: int) -> None:
    """Print one line for each program, number at once and way to run it."""
    async with ProcessSandbox(workers=8) as sandbox:
        print(
            f"layers: {sandbox.stack.name}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        )
        print(
            f"{'program':9}{'at once':>8}  {'way':12}"
            f"{'median ms':>10}{'p99 ms':>9}{'a second':>10}{'ratio':>7}"
        )
        for name, code in (("trivial", _TRIVIAL), ("numpy", _NUMPY)):
            for at_once in (1, 8):
                await _compare_one(sandbox, name, code, runs=runs, at_once=at_once)


async def _compare_one(
    sandbox: ProcessSandbox, name: str, code: str, *, runs: int, at_once: int
) -> None:
    ways = {"isolated": _isolated(sandbox, code), "python -I": _cold(code), "exec": _plain(code)}
    await ways["isolated"]()  # the zygote of numpy starts with its first program
    reference = None
    for way, one in ways.items():
        count = runs if way != "python -I" else max(at_once, runs // 5)
        timing = await _measure(one, runs=count, at_once=at_once)
        reference = reference or timing.median
        ratio = timing.median / reference
        print(
            f"{name:9}{at_once:8}  {way:12}{timing.median:10.2f}{timing.p99:9.2f}"
            f"{timing.rate:10.0f}{ratio:7.2f}"
        )


async def grow(runs: int) -> None:
    """Print what the program and its zygotes hold before, during and after `runs` executions."""
    async with ProcessSandbox(workers=8) as sandbox:
        one = _isolated(sandbox, _TRIVIAL)
        await _measure(one, runs=200, at_once=8)
        print(f"{'runs':>7}{'MiB here':>10}{'MiB below':>11}{'descriptors':>13}{'processes':>11}")
        for done in range(0, runs + 1, max(1, runs // 5)):
            if done:
                await _measure(one, runs=max(1, runs // 5), at_once=8)
            below = _below(os.getpid())
            descriptors = len(list(Path("/proc/self/fd").iterdir()))
            print(
                f"{done:7}{_resident(os.getpid()):10.1f}{sum(map(_resident, below)):11.1f}"
                f"{descriptors:13}{len(below):11}"
            )


def _below(parent: int) -> list[int]:
    above = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:  # it has ended
            continue
        above[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found = {parent}
    while more := {pid for pid, ppid in above.items() if ppid in found} - found:
        found |= more
    return sorted(found - {parent})


def _resident(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=400, help="executions of each kind")
    parser.add_argument(
        "--growth", type=int, default=0, help="instead: look for growth over so many"
    )
    options = parser.parse_args()
    asyncio.run(grow(options.growth) if options.growth else compare(options.runs))


if __name__ == "__main__":
    main()
