"""Limits of params.yaml reach the requests of a real workbench: rates, concurrency, budget."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.endpoint import ScriptedEndpoint, Step
from w4s.config import Params, load_params
from w4s.errors import BudgetError
from w4s.llm import engine as engine_module
from w4s.llm.caller import Timing
from w4s.runtime import open_workbench, solve
from w4s.workflow import Workflow

PARAMS = Path(__file__).resolve().parents[1] / "params.yaml"
ASKS = Workflow(
    "asks",
    "def workflow(agent, task):\n"
    '    messages = [{"role": "user", "content": task}]\n'
    '    return {"answer": agent.call_llm(messages, 0.7, 1)[0]}\n',
)


def parameters(endpoint: ScriptedEndpoint, *settings: str) -> Params:
    given = (f"executor.base_url={endpoint.base_url}", "executor.model=m", "sandbox.workers=4")
    return load_params(PARAMS, settings=(*given, *settings))


async def solve_many(params: Params, folder: Path, count: int) -> list[Any]:
    async with open_workbench(params, workspace=folder) as workbench:
        questions = [f"question {number}?" for number in range(count)]
        return await asyncio.gather(
            *[solve(ASKS, question, workbench=workbench) for question in questions],
            return_exceptions=True,
        )


class ManualClock:
    """A clock that a sleep moves on: minutes pass in no time."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "limit", ["executor.requests_per_minute=3", "executor.tokens_per_minute=720"]
)
@pytest.mark.parametrize(("requests", "minutes"), [(3, 0), (6, 1), (7, 2)])
def test_requests_and_tokens_a_minute_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, requests: int, minutes: int
) -> None:
    """With room for three requests a minute, the fourth waits for the next one."""
    clock = ManualClock()
    monkeypatch.setattr(
        engine_module, "Timing", lambda _clock, _sleep, rng: Timing(clock, clock.sleep, rng)
    )
    with ScriptedEndpoint() as endpoint:
        params = parameters(endpoint, limit, "executor.max_tokens=200")
        replies = asyncio.run(solve_many(params, tmp_path, requests))
    assert all(isinstance(reply, str) for reply in replies)
    assert minutes * 60 <= clock.now + 0.01 < minutes * 60 + 30


def test_the_configured_concurrency_and_retry_after_are_kept(tmp_path: Path) -> None:
    """Never more in flight than configured; nothing is sent while the endpoint asks to wait."""
    times: list[float] = []

    def script(call: int, _: Mapping[str, Any]) -> Step:
        times.append(time.monotonic())
        return Step(0.0, "429_retry_after", 0.6) if call == 0 else Step(0.2)

    with ScriptedEndpoint(script) as endpoint:
        params = parameters(endpoint, "executor.concurrency=2")
        replies = asyncio.run(solve_many(params, tmp_path, 8))
        assert endpoint.counters.peak_in_flight <= 2
        assert endpoint.counters.calls == 9
    assert all(isinstance(reply, str) for reply in replies)
    later = [moment - times[0] for moment in times[2:]]  # the second one was in flight already
    assert min(later) >= 0.6


def test_a_run_stops_at_its_budget_and_goes_on_with_a_larger_one(tmp_path: Path) -> None:
    """What was answered before counts, and is not asked for again."""
    with ScriptedEndpoint(lambda _, __: Step(0.05)) as endpoint:
        found = asyncio.run(solve_many(parameters(endpoint, "budget.calls=5"), tmp_path, 8))
        assert endpoint.counters.calls == 5
        assert sum(isinstance(one, BudgetError) for one in found) == 3
        again = asyncio.run(solve_many(parameters(endpoint, "budget.calls=8"), tmp_path, 8))
        assert endpoint.counters.calls == 8
    assert all(isinstance(one, str) for one in again)
    assert [a for a, b in zip(again, found, strict=True) if isinstance(b, str)] == [
        one for one in found if isinstance(one, str)
    ]


def test_a_replayed_workbench_asks_nobody(tmp_path: Path) -> None:
    """With the endpoint gone; the answers are the same."""
    with ScriptedEndpoint() as endpoint:
        params = parameters(endpoint)
        asked = asyncio.run(solve_many(params, tmp_path, 3))
    settings = ("executor.model=m", "executor.replay=true", "sandbox.workers=4")
    replayed = load_params(PARAMS, settings=settings)
    assert asyncio.run(solve_many(replayed, tmp_path, 3)) == asked
