"""The parent's side of a workflow's handle."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes import FakeExecutor, FakeSandbox
from w4s.agent import CallLimits, WorkflowHandle
from w4s.sandbox.base import Limits


def test_text_replies_in_json_format_are_json_text() -> None:
    """A workflow that asks `call_llm` for JSON can parse what it gets."""
    handle = WorkflowHandle(
        executor=FakeExecutor(answer=lambda *_: 'Sure: {"a": "it\'s é"}'),
        sandbox=FakeSandbox(),
        draw="solve/s0",
        limits=CallLimits(calls=8, tokens=1000, reply_tokens=50),
        code_limits=Limits(),
    )
    messages = [{"role": "user", "content": "q"}]
    call = handle("call_llm", {"messages": messages, "response_format": "json"})
    assert asyncio.run(call) == ['{"a": "it\'s é"}']


@pytest.mark.parametrize(
    ("timeout", "allowed"), [(None, 5.0), (2.0, 2.0), (60.0, 5.0), (0, 5.0), (-1, 5.0)]
)
def test_a_workflow_may_shorten_the_time_of_its_code(timeout: float | None, allowed: float) -> None:
    """The `timeout` of `execute_code` counts, and never lengthens what is allowed."""
    sandbox = FakeSandbox()
    handle = WorkflowHandle(
        executor=FakeExecutor(answer=lambda *_: ""),
        sandbox=sandbox,
        draw="solve/s0",
        limits=CallLimits(calls=8, tokens=1000, reply_tokens=50),
        code_limits=Limits(wall_seconds=5.0),
    )
    code = "def solution(): return 42"
    assert asyncio.run(handle("execute_code", {"code": code, "timeout": timeout})) == 42
    assert [limits.wall_seconds for limits in sandbox.code_limits] == [allowed]
