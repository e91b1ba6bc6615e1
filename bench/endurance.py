"""Run sandboxed evaluations through an endpoint's troubles, and compare with a quiet run.

python -m bench.endurance                 one call in ten fails; a minute's outage; the endpoint
                                          down for good; a spent budget; a planted key
python -m bench.endurance --problems 200 --outage 5

Runs that are killed and resumed: python -m pytest -m slow tests/llm/test_resume.py
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.executor import Echo
from tests.endpoint import ScriptedEndpoint, Step, mixed_faults
from w4s.agent import CallLimits
from w4s.config import BudgetParams, ExecutorParams
from w4s.errors import BudgetError, EndpointError
from w4s.evaluation import Workbench, run_problems
from w4s.llm.budget import Budget
from w4s.llm.endpoint import Address, RemoteEndpoint
from w4s.llm.engine import Engine
from w4s.llm.record import Record
from w4s.sandbox.base import Limits
from w4s.sandbox.host import ProcessSandbox

_IN_FLIGHT = 50
_LATENCY_SECONDS = 0.05
_CALLS = 3
_KEY = "sk-planted-2718281828459045"
_QUIET = Step(_LATENCY_SECONDS)
_WORKFLOW = f"""
def workflow(agent, task):
    answers = []
    for step in range({_CALLS}):
        messages = [{{"role": "user", "content": f"{{task}} {{step}} {{answers}}"}}]
        answers += agent.call_llm(messages, temperature=0.7)
    return {{"answer": answers}}
"""


class _Trial:
    """One folder, one endpoint, one sandbox; each run has a record of its own."""

    def __init__(self, folder: Path, endpoint: ScriptedEndpoint, sandbox: ProcessSandbox) -> None:
        self.folder, self.endpoint, self.sandbox = folder, endpoint, sandbox

    async def run(
        self, name: str, problems: int, *, outage_seconds: float = 600, calls: int | None = None
    ) -> list[str | None]:
        """Return the answers of a run that begins, or goes on, with the record `name`."""
        limits = BudgetParams(calls=calls)
        async with self._workbench(name, outage_seconds, Budget(limits)) as workbench:
            results = await run_problems(
                _WORKFLOW,
                Echo().problems(problems, seed=0),
                benchmark=Echo(),
                workbench=workbench,
                draw="bench/echo/endurance",
            )
        return [result.answer for result in results]

    @property
    def replies(self) -> int:
        """How many replies the endpoint has given in full."""
        return sum(self.endpoint.counters.answered.values())

    async def answered(self, replies: int) -> None:
        """Wait until the endpoint has given so many more."""
        enough = self.replies + replies
        while self.replies < enough:
            await asyncio.sleep(0.001)

    def recorded(self, name: str) -> int:
        """Return how many replies the record `name` holds."""
        with sqlite3.connect(self.folder / f"{name}.sqlite") as connection:
            return int(connection.execute("SELECT count(*) FROM replies").fetchone()[0])

    @asynccontextmanager
    async def _workbench(
        self, name: str, outage_seconds: float, budget: Budget
    ) -> AsyncIterator[Workbench]:
        params = ExecutorParams(
            model="bench",
            max_tokens=100,
            concurrency=_IN_FLIGHT,
            request_timeout=5,
            connect_timeout=2,
            retries=6,
            outage_seconds=outage_seconds,
        )
        endpoint = RemoteEndpoint(Address(self.endpoint.base_url, _KEY))
        with Record(self.folder / f"{name}.sqlite") as record:
            async with Engine(params, endpoint, record=record, budget=budget) as engine:
                yield Workbench(
                    executor=engine,
                    sandbox=self.sandbox,
                    limits=Limits(),
                    call_limits=CallLimits(calls=16, tokens=10**6, reply_tokens=100),
                    code_limits=Limits(),
                )


async def _faults(trial: _Trial, expected: list[str | None]) -> str:
    trial.endpoint.script = mixed_faults(0.1, seed=1, latency_seconds=_LATENCY_SECONDS)
    before = trial.endpoint.counters.calls
    found = await trial.run("faults", len(expected))
    asked = trial.endpoint.counters.calls - before
    trial.endpoint.script = lambda _, __: _QUIET
    _check(found == expected, "faults changed an answer")
    return f"same answers; {asked} requests for {_CALLS * len(expected)} calls"


async def _outage(trial: _Trial, expected: list[str | None], seconds: float) -> str:
    run = asyncio.create_task(trial.run("outage", len(expected)))
    await trial.answered(_CALLS * len(expected) // 3)
    trial.endpoint.go_down()
    await asyncio.sleep(seconds)
    _check(not run.done(), "the run did not wait for the endpoint")
    trial.endpoint.come_back()
    _check(await run == expected, "an outage changed an answer")
    return f"same answers after {seconds:g} seconds without an endpoint"


async def _down_for_good(trial: _Trial, expected: list[str | None]) -> str:
    run = asyncio.create_task(trial.run("down", len(expected), outage_seconds=3))
    await trial.answered(_CALLS * len(expected) // 3)
    trial.endpoint.go_down()
    try:
        await run
    except EndpointError as error:
        told = str(error)
    else:
        raise SystemExit("FAILED: the run did not end")
    kept = trial.recorded("down")
    trial.endpoint.come_back()
    before = trial.replies
    _check(await trial.run("down", len(expected)) == expected, "going on changed an answer")
    asked = trial.replies - before
    missing = _CALLS * len(expected) - kept
    _check(asked == missing, f"{asked} calls answered where {missing} were missing")
    return f"ended ({told[:60]}…) with {kept} replies kept; went on with {asked} calls"


async def _budget(trial: _Trial, expected: list[str | None]) -> str:
    limit = _CALLS * len(expected) // 2
    try:
        await trial.run("budget", len(expected), calls=limit)
    except BudgetError:
        kept = trial.recorded("budget")
    else:
        raise SystemExit("FAILED: the budget did not end the run")
    _check(limit - _IN_FLIGHT <= kept <= limit, f"{kept} calls for a budget of {limit}")
    _check(await trial.run("budget", len(expected)) == expected, "going on changed an answer")
    return f"{kept} calls for a budget of {limit}; same answers with a larger one"


def _key_is_nowhere(folder: Path) -> str:
    files = [path for path in folder.rglob("*") if path.is_file()]
    holding = [path.name for path in files if _KEY.encode() in path.read_bytes()]
    children = [
        entry.name
        for entry in Path("/proc").glob("[0-9]*")
        if int(entry.name) != os.getpid() and _holds_key(entry / "environ")
    ]
    _check(not holding and not children, f"the key is in {holding} {children}")
    return f"in none of {len(files)} files (records, log), in no other process's environment"


def _holds_key(environment: Path) -> bool:
    try:
        return _KEY.encode() in environment.read_bytes()
    except OSError:  # it has ended
        return False


def _check(holds: bool, otherwise: str) -> None:  # as assert, but always there
    if not holds:
        raise SystemExit(f"FAILED: {otherwise}")


async def _all(problems: int, outage_seconds: float) -> None:
    os.environ["OPENAI_API_KEY"] = _KEY
    with tempfile.TemporaryDirectory() as name, ScriptedEndpoint(keep_bodies=False) as endpoint:
        folder = Path(name)
        logging.basicConfig(filename=folder / "log.txt", level=logging.DEBUG)
        endpoint.script = lambda _, __: _QUIET
        endpoint.quoted = _KEY
        async with ProcessSandbox(workers=3 * _IN_FLIGHT) as sandbox:
            trial = _Trial(folder, endpoint, sandbox)
            expected = await trial.run("quiet", problems)
            _say("quiet", f"{len(set(expected))} different answers of {problems} problems")
            _say("faults", await _faults(trial, expected))
            _say("outage", await _outage(trial, expected, outage_seconds))
            _say("down", await _down_for_good(trial, expected))
            _say("budget", await _budget(trial, expected))
            _say("key", _key_is_nowhere(folder))


def _say(what: str, text: str) -> None:
    sys.stdout.write(f"{what:7} {text}\n")
    sys.stdout.flush()


def main() -> None:
    """Run all trials."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--problems", type=int, default=1000)
    parser.add_argument("--outage", type=float, default=60.0, help="seconds")
    options = parser.parse_args()
    asyncio.run(_all(options.problems, options.outage))


if __name__ == "__main__":
    main()
