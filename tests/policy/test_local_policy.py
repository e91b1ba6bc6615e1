"""The local policy: texts in, texts out."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.training.tiny_models import tiny_policy
from w4s.config import PolicyParams
from w4s.errors import ConfigError, WeightsError
from w4s.policy.load import load_policy
from w4s.policy.local import CODE_ENDS, LocalPolicy, StateRequest
from w4s.types import Message

STATE = (Message("system", "You design."), Message("user", "Design."))
CODE = "First, think.\n```python\nimport re\n\ndef workflow(agent, task):\n    return {}\n```"


@pytest.fixture(scope="module")
def params(tmp_path_factory: pytest.TempPathFactory) -> PolicyParams:
    return tiny_policy(tmp_path_factory.mktemp("tiny"))


def test_replies_are_reproducible_and_within_the_limit(params: PolicyParams) -> None:
    """Same seed, same texts; none is longer than action_tokens."""
    policy = load_policy(params)
    first = asyncio.run(policy.sample(STATE, n=3, temperature=1.0, seed=5))
    assert first == asyncio.run(policy.sample(STATE, n=3, temperature=1.0, seed=5))
    assert len(first) == 3
    assert all(reply.tokens <= params.action_tokens for reply in first)
    assert all(reply.truncated == (reply.tokens == 32) for reply in first)


def test_a_caller_may_ask_for_shorter_replies_but_not_for_longer(params: PolicyParams) -> None:
    """As an executor's `max_tokens`; the policy's own limit holds all the same."""
    policy = LocalPolicy(params.model, action_tokens=12, device="cpu", stop=None)
    for most in (5, 40):
        (reply,) = asyncio.run(policy.sample(STATE, n=1, temperature=1.0, seed=5, max_tokens=most))
        assert reply.tokens <= min(most, 12)


def test_states_sampled_together_come_back_in_order(params: PolicyParams) -> None:
    """As many replies for each as were asked for, at temperature 0 those of each state alone."""
    policy = LocalPolicy(params.model, action_tokens=12, device="cpu")
    other = (Message("system", "Other."), Message("user", "Longer than the first one."))

    async def both() -> None:
        found = await policy.sample_many(
            [StateRequest(STATE, 2, 0), StateRequest(other, 1, 0)], temperature=0
        )
        alone = [
            await policy.sample(state, n=n, temperature=0, seed=0)
            for state, n in ((STATE, 2), (other, 1))
        ]
        assert found == alone

    asyncio.run(both())


def test_a_cancelled_batch_is_given_up_at_the_next_token(params: PolicyParams) -> None:
    """The thread that samples ends with the call: the next call does not wait for its rest."""
    policy = LocalPolicy(params.model, action_tokens=400, device="cpu", stop=None)
    seen: list[int] = []
    policy._finished = lambda ids: bool(seen.append(len(ids)))  # type: ignore[method-assign]

    async def cancelled() -> int:
        task = asyncio.create_task(policy.sample(STATE, n=1, temperature=1.0, seed=0))
        while not seen:
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with policy._lock:  # the batch has ended
            return len(seen)

    assert asyncio.run(cancelled()) < 300


def test_prompt_is_counted_in_tokens(params: PolicyParams) -> None:
    """With the byte tokeniser: the template's text, its four markers one token each."""
    policy = load_policy(params)
    text = "system\nYou design.\nuser\nDesign.\nassistant\n" + "\n" * 0
    assert policy.count_tokens(STATE) == len(text) + 5


def test_state_without_room_for_a_reply_is_refused(params: PolicyParams) -> None:
    """The message says by how much, and what to lower."""
    policy = load_policy(params)
    long = (Message("system", "x" * 600), Message("user", "y"))
    with pytest.raises(ConfigError, match=r"context of 512 by \d+.*policy\.prompt_tokens"):
        asyncio.run(policy.sample(long, n=1, temperature=1.0, seed=0))


def test_missing_model_and_adapter_are_refused(params: PolicyParams, tmp_path: Path) -> None:
    """One message each that names the path."""
    with pytest.raises(WeightsError, match="cannot be loaded"):
        load_policy(params.model_copy(update={"model": str(tmp_path / "none")}))
    with pytest.raises(WeightsError, match="no adapter"):
        load_policy(params, adapter=tmp_path / "none")


def test_unknown_device_is_refused(params: PolicyParams) -> None:
    """The message names the parameter."""
    with pytest.raises(WeightsError, match=r"policy\.device"):
        load_policy(params.model_copy(update={"device": "warp"}))


def test_code_ends_with_the_block_that_defines_a_function() -> None:
    """A block without one, or one that is still open, does not end a reply."""
    assert CODE_ENDS.search(CODE)
    assert not CODE_ENDS.search(CODE.removesuffix("```"))
    assert not CODE_ENDS.search("```python\nx = 1\n```")
    assert CODE_ENDS.search("```python\nx = 1\n```\n" + CODE)
