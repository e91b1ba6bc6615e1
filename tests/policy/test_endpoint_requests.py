"""The endpoint policy asks once for all replies, and copes with servers that give one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

from w4s.config import PolicyParams
from w4s.errors import ConfigError, EndpointError
from w4s.policy.endpoint import EndpointPolicy
from w4s.policy.load import load_policy
from w4s.types import Message

STATE = (Message("system", "S"), Message("user", "U"))
Answer = Callable[[dict[str, Any]], httpx.Response]


def completion(texts: list[str], *, reason: str = "stop") -> httpx.Response:
    choices = [
        {"index": i, "finish_reason": reason, "message": {"role": "assistant", "content": text}}
        for i, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": 5, "completion_tokens": 10 * len(texts), "total_tokens": 0}
    body = {"id": "x", "object": "chat.completion", "created": 0, "model": "m"}
    return httpx.Response(200, json={**body, "choices": choices, "usage": usage})


def refusal(status: int) -> httpx.Response:
    return httpx.Response(status, json={"error": {"message": "n must be 1"}})


def sample(answer: Answer, *, n: int) -> tuple[list[Any], list[dict[str, Any]]]:
    """Sample from a server that answers as told; return the replies and the requests."""
    asked: list[dict[str, Any]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        return answer(asked[-1])

    async def run() -> list[Any]:
        transport = httpx.AsyncClient(transport=httpx.MockTransport(handle))
        client = AsyncOpenAI(
            base_url="http://policy.test/v1", api_key="k", http_client=transport, max_retries=0
        )
        policy = EndpointPolicy(
            "m", base_url="http://policy.test/v1", action_tokens=99, client=client
        )
        return await policy.sample(STATE, n=n, temperature=0.7, seed=4)

    return asyncio.run(run()), asked


@pytest.mark.parametrize("name", ["max_tokens", "temperature", "seed"])
def test_what_a_model_does_not_take_is_left_out(name: str) -> None:
    """Hosted models that think refuse some parameters: they are policies all the same."""

    def answer(body: dict[str, Any]) -> httpx.Response:
        if name in body:
            said = f"Unsupported parameter: '{name}' is not supported with this model."
            return httpx.Response(400, json={"error": {"message": said}})
        return completion(["a", "b"])

    replies, asked = sample(answer, n=2)
    assert [reply.text for reply in replies] == ["a", "b"]
    assert len(asked) == 2
    assert (asked[1].get("max_tokens"), asked[1].get("max_completion_tokens")) == (
        (None, 99) if name == "max_tokens" else (99, None)
    )


def test_a_prompt_that_is_too_long_is_no_refusal_of_a_parameter() -> None:
    """It names max_tokens too; without it a server might write without end from then on."""
    said = "'max_tokens' is too large: 99. This model's maximum context length is 100 tokens."
    asked: list[dict[str, Any]] = []

    def answer(body: dict[str, Any]) -> httpx.Response:
        asked.append(body)
        return httpx.Response(400, json={"error": {"message": said, "param": "max_tokens"}})

    with pytest.raises(EndpointError, match="context length"):
        sample(answer, n=1)
    assert [body["max_tokens"] for body in asked] == [99]


def test_thinking_aloud_is_no_part_of_a_reply() -> None:
    """Its drafts are no workflow, and its length would fill the next state."""
    replies, _ = sample(lambda body: completion(["<think>draft</think>\nfinal", "<think>cut"]), n=2)
    assert [reply.text.strip() for reply in replies] == ["final", ""]


def test_all_replies_come_from_one_request() -> None:
    """With n, temperature, seed and limit as asked for."""
    replies, asked = sample(lambda body: completion(["a", "b", "c"]), n=3)
    assert [reply.text for reply in replies] == ["a", "b", "c"]
    assert [reply.tokens for reply in replies] == [10, 10, 10]
    (body,) = asked
    assert (body["n"], body["temperature"], body["seed"], body["max_tokens"]) == (3, 0.7, 4, 99)


def test_server_that_ignores_n_is_asked_for_the_rest() -> None:
    """One at a time, with seeds of their own."""
    replies, asked = sample(lambda body: completion(["a"]), n=3)
    assert len(replies) == 3
    assert [body["n"] for body in asked] == [3, 1, 1]
    assert len({body["seed"] for body in asked}) == 3


def test_server_that_refuses_n_is_asked_one_by_one() -> None:
    """A refusal of the whole request costs that request only."""
    replies, asked = sample(
        lambda body: refusal(400) if body["n"] > 1 else completion(["a"], reason="length"), n=2
    )
    assert [reply.truncated for reply in replies] == [True, True]
    assert [body["n"] for body in asked] == [2, 1, 1]


@pytest.mark.parametrize("status", [400, 401, 404, 500])
def test_unusable_endpoint_is_one_clear_error(status: int) -> None:
    """It names the address and the settings."""
    with pytest.raises(EndpointError, match=r"policy\.test.*policy\.model"):
        sample(lambda body: refusal(status), n=1)


def test_adapter_cannot_be_applied_to_an_endpoint(tmp_path) -> None:
    """The message says how the server loads it."""
    params = PolicyParams(
        model="m",
        base_url="http://policy.test/v1",
        prompt="full",
        prompt_tokens=256,
        action_tokens=32,
    )
    with pytest.raises(ConfigError, match="--lora-modules"):
        load_policy(params, adapter=tmp_path)
    assert load_policy(params).identity == "m@http://policy.test/v1"
    assert load_policy(params).count_tokens(STATE) > 2
