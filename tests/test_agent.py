"""The parent's side of a workflow's handle."""

from __future__ import annotations

import asyncio

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
