"""A policy behind an endpoint: what it keeps to itself."""

from __future__ import annotations

import pytest

from tests.endpoint import ScriptedEndpoint, Step
from w4s.errors import EndpointError
from w4s.policy.endpoint import EndpointPolicy
from w4s.types import Message

pytestmark = pytest.mark.anyio
KEY = "sk-planted-2718281828"
STATE = (Message("user", "Write a workflow."),)


async def test_neither_key_nor_password_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trajectories hold the identity and the terminal shows the error: both without secrets."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ScriptedEndpoint(lambda _, __: Step(fault="401")) as endpoint:
        endpoint.quoted = KEY
        address = endpoint.base_url.replace("//", "//me:pass-word@")
        policy = EndpointPolicy("m", base_url=address, action_tokens=20)
        with pytest.raises(EndpointError, match=r"scripted 401 \*\*\*") as caught:
            await policy.sample(STATE, n=1, temperature=1.0, seed=1)
    assert policy.identity == f"m@{endpoint.base_url}"
    assert "pass-word" not in str(caught.value)
