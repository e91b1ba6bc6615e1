"""A policy behind an endpoint: what it asks for, and what it keeps to itself."""

from __future__ import annotations

import pytest

from tests.endpoint import Abilities, ScriptedEndpoint, Step
from w4s.errors import EndpointError
from w4s.policy.endpoint import EndpointPolicy
from w4s.types import Message

pytestmark = pytest.mark.anyio
KEY = "sk-planted-2718281828"
STATE = (Message("user", "Write a workflow."),)


async def test_a_server_of_single_replies_is_asked_several_times() -> None:
    """Where `n` is refused, every reply is a request with a seed of its own."""
    with ScriptedEndpoint(abilities=Abilities(n="refused")) as endpoint:
        policy = EndpointPolicy("m", base_url=endpoint.base_url, action_tokens=20)
        replies = await policy.sample(STATE, n=3, temperature=1.0, seed=1)
    assert len({reply.text for reply in replies}) == 3


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
