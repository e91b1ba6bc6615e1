"""The small model alone: a policy in the executor's place."""

import asyncio
from collections.abc import Sequence

from tests.fakes import FakeExecutor
from w4s.llm.base import ChatRequest, JudgeService
from w4s.policy.base import PolicyReply
from w4s.small_model import SmallModelExecutor
from w4s.types import Message, Usage


class Echo:
    """Replies with seed, temperature and index."""

    identity = "echo"

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content.split()) for message in messages)

    async def sample(
        self,
        messages: Sequence[Message],
        *,
        n: int,
        temperature: float,
        seed: int,
        max_tokens: int | None = None,
    ) -> list[PolicyReply]:
        if max_tokens is not None:
            return [PolicyReply("cut", min(3, max_tokens), max_tokens < 3)] * n
        return [PolicyReply(f"{seed} {temperature} {i}", 3, i == 1) for i in range(n)]


def ask(draw: str, n: int = 2) -> tuple[str, ...]:
    request = ChatRequest((Message("user", "What is six times seven?"),), 0.5, n)
    reply = asyncio.run(SmallModelExecutor(Echo(), judges=FakeExecutor()).chat(request, draw=draw))
    assert reply.usage == Usage(n, 5, 3 * n)
    assert reply.finish_reasons == ("stop", "length")[:n]
    return reply.texts


def test_the_same_draw_is_the_same_reply_and_another_draw_is_another() -> None:
    """As an executor's: results do not depend on order or time."""
    assert ask("test/sums/s0/0") == ask("test/sums/s0/0")
    assert ask("test/sums/s0/0") != ask("test/sums/s0/1")
    assert all(" 0.5 " in text for text in ask("x"))


def test_a_reply_is_no_longer_than_the_request_allows() -> None:
    """The baseline writes what an executor may write, and says where it was cut."""
    request = ChatRequest((Message("user", "Six?"),), 0.5, 1, max_tokens=2)
    reply = asyncio.run(SmallModelExecutor(Echo(), judges=FakeExecutor()).chat(request, draw="x"))
    assert reply.usage.completion_tokens == 2
    assert reply.finish_reasons == ("length",)


def test_the_small_model_does_not_judge_its_own_answers() -> None:
    """What is for a judge reaches who judges all methods."""
    judges = FakeExecutor(answer=lambda request, draw: "right")
    request = ChatRequest((Message("user", "Six?"),), 0.0, judge=JudgeService("own"))
    reply = asyncio.run(SmallModelExecutor(Echo(), judges=judges).chat(request, draw="judge/own"))
    assert reply.texts == ("right",)
