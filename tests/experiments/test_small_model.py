"""The small model alone: a policy in the executor's place."""

import asyncio
from collections.abc import Sequence

from w4s.llm.base import ChatRequest
from w4s.policy.base import PolicyReply
from w4s.small_model import SmallModelExecutor
from w4s.types import Message, Usage


class Echo:
    """Replies with seed, temperature and index."""

    identity = "echo"

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content.split()) for message in messages)

    async def sample(
        self, messages: Sequence[Message], *, n: int, temperature: float, seed: int
    ) -> list[PolicyReply]:
        return [PolicyReply(f"{seed} {temperature} {i}", 3, i == 1) for i in range(n)]


def ask(draw: str, n: int = 2) -> tuple[str, ...]:
    request = ChatRequest((Message("user", "What is six times seven?"),), 0.5, n)
    reply = asyncio.run(SmallModelExecutor(Echo()).chat(request, draw=draw))
    assert reply.usage == Usage(n, 5, 3 * n)
    assert reply.finish_reasons == ("stop", "length")[:n]
    return reply.texts


def test_the_same_draw_is_the_same_reply_and_another_draw_is_another() -> None:
    """As an executor's: results do not depend on order or time."""
    assert ask("test/sums/s0/0") == ask("test/sums/s0/0")
    assert ask("test/sums/s0/0") != ask("test/sums/s0/1")
    assert all(" 0.5 " in text for text in ask("x"))
