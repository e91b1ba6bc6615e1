"""Time evaluations against an endpoint that answers after 200 ms, and compare with the ideal.

python -m bench.executor                  128 problems at 50 in flight, engine alone and sandboxed
python -m bench.executor --problems 10000 --in-flight 256
python -m bench.executor --workflow five  five calls and one execute_code a problem

The ideal keeps all requests in flight to the end, for free: ceil(problems x calls / in flight)
rounds of the latency, but no fewer than a problem has calls, which come one after the other.
The endpoint runs in a process of its own on the same machine. Memory is this process's at the
end of a run, processor its own time without endpoint and programs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.endpoint import ScriptedEndpoint
from w4s.agent import CallLimits
from w4s.concurrency import gather
from w4s.config import ExecutorParams
from w4s.evaluation import Workbench, run_problems
from w4s.llm.base import ChatRequest
from w4s.llm.endpoint import Address, RemoteEndpoint
from w4s.llm.engine import Engine
from w4s.llm.record import Record
from w4s.sandbox.base import Limits
from w4s.sandbox.host import ProcessSandbox
from w4s.types import Message, Problem, Score

_LATENCY_SECONDS = 0.2
_PROGRAMS = 3  # for each request in flight: others begin, end, or wait for their turn to ask

_ONE = """
def workflow(agent, task):
    messages = [{"role": "user", "content": task}]
    return {"answer": agent.call_llm(messages, 0.7, 1, "solver", [], "Solve it.")[0]}
"""
_FIVE = """
def workflow(agent, task):
    answer = agent.execute_code("def solution():\\n    return 6 * 7")
    for step in range(5):
        messages = [{"role": "user", "content": f"{task} {step} {answer}"}]
        answer = agent.call_llm(messages, temperature=0.7, num_of_response=1)[0]
    return {"answer": answer}
"""
_WORKFLOWS = {"one": (_ONE, 1), "five": (_FIVE, 5)}


@dataclass(frozen=True)
class Result:
    """Seconds of one run, of this process's processor, of the ideal; its memory in MiB."""

    seconds: float
    processor_seconds: float
    ideal: float
    memory_mib: float


class Echo:
    """A benchmark that takes any answer."""

    name = "echo"
    description = "Answer."
    version = "1"

    def problems(self, count: int, *, seed: int) -> list[Problem]:
        """Return so many questions."""
        return [Problem(f"p{seed}-{i}", self.name, f"Question {i}?", "") for i in range(count)]

    async def score(self, problem: Problem, answer: str) -> Score:  # noqa: ARG002  # any will do
        """Return 1."""
        return Score(1.0, answer, "any")


@contextmanager
def _endpoint() -> Iterator[str]:
    program = Path(sys.modules[ScriptedEndpoint.__module__].__file__ or "")
    settings = json.dumps({"latency_seconds": _LATENCY_SECONDS})
    with subprocess.Popen(
        [sys.executable, str(program), settings],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate()


@asynccontextmanager
async def _engine(base_url: str, in_flight: int) -> AsyncIterator[Engine]:
    params = ExecutorParams(
        model="bench",
        max_tokens=100,
        concurrency=in_flight,
        request_timeout=60,
        connect_timeout=10,
        retries=3,
        outage_seconds=10,
    )
    with tempfile.TemporaryDirectory() as folder, Record(Path(folder) / "bench.sqlite") as record:
        endpoint = RemoteEndpoint(Address(base_url))
        async with Engine(params, endpoint, record=record) as engine:
            yield engine


async def _alone(engine: Engine, problems: list[Problem], calls: int, draw: str) -> None:
    async def solve(problem: Problem) -> None:
        for step in range(calls):
            request = ChatRequest((Message("user", problem.question),), 0.7)
            await engine.chat(request, draw=f"{draw}/{problem.id}/{step}")

    await gather(map(solve, problems))


async def _sandboxed(
    engine: Engine, sandbox: ProcessSandbox, problems: list[Problem], code: str, draw: str
) -> None:
    workbench = Workbench(
        executor=engine,
        sandbox=sandbox,
        limits=Limits(),
        call_limits=CallLimits(calls=16, tokens=10**6, reply_tokens=100),
        code_limits=Limits(),
    )
    results = await run_problems(code, problems, benchmark=Echo(), workbench=workbench, draw=draw)
    failures = [result.failure for result in results if result.failure is not None]
    if failures:
        raise RuntimeError(f"{len(failures)} of {len(results)} failed: {failures[0]}")


async def _timed(work: Awaitable[None], ideal: float) -> Result:
    begun, processor = time.perf_counter(), time.process_time()
    await work
    seconds, processor = time.perf_counter() - begun, time.process_time() - processor
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Result(seconds, processor, ideal, pages * os.sysconf("SC_PAGE_SIZE") / 2**20)


async def _compare(
    base_url: str, *, count: int, in_flight: int, name: str, ways: str, repeats: int
) -> None:
    code, calls = _WORKFLOWS[name]
    problems = Echo().problems(count, seed=0)
    ideal = max(calls, math.ceil(count * calls / in_flight)) * _LATENCY_SECONDS
    workers = math.ceil(in_flight * _PROGRAMS)
    async with ProcessSandbox(workers=workers) as sandbox:
        for repeat in range(repeats):
            for way in ways.split(","):
                draw = f"bench/echo/{way}{repeat}"
                async with _engine(base_url, in_flight) as engine:
                    if way == "alone":
                        work = _alone(engine, problems, calls, draw)
                    else:
                        work = _sandboxed(engine, sandbox, problems, code, draw)
                    _say(way, await _timed(work, ideal))


def _say(what: str, result: Result) -> None:
    print(
        f"{what:9}  {result.seconds:7.2f} s  ideal {result.ideal:6.2f} s  "
        f"ratio {result.seconds / result.ideal:.2f}  "
        f"processor {result.processor_seconds:.2f} s  memory {result.memory_mib:.0f} MiB",
        flush=True,
    )


def main() -> None:
    """Run the comparison that the options name."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--problems", type=int, default=128)
    parser.add_argument("--in-flight", type=int, default=50)
    parser.add_argument("--workflow", choices=sorted(_WORKFLOWS), default="one")
    ways = ("alone,sandboxed", "alone", "sandboxed")
    parser.add_argument("--ways", choices=ways, default=ways[0], help="engine alone, or all of it")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with _endpoint() as base_url:
        asyncio.run(
            _compare(
                base_url,
                count=options.problems,
                in_flight=options.in_flight,
                name=options.workflow,
                ways=options.ways,
                repeats=options.repeats,
            )
        )


if __name__ == "__main__":
    main()
