"""The small model alone: the policy's own model in the executor's place, as a baseline.

Serves a model that is loaded into this program; one behind an endpoint is an executor already.
Its replies are not recorded: the same draw gives the same reply anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from w4s.llm.base import ChatReply, ChatRequest, Executor
from w4s.policy.base import PolicyReply
from w4s.seeds import derive_seed
from w4s.types import Message, Usage

SMALL_MODEL_ALONE = "small_model_alone"
WORKFLOW = "chain_of_thought"  # the workflow that it answers by


class SmallModel(Protocol):
    """A policy in this program, whose replies a request can keep short."""

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return the length of the prompt that `messages` make, in tokens."""
        ...

    async def sample(
        self,
        messages: Sequence[Message],
        *,
        n: int,
        temperature: float,
        seed: int,
        max_tokens: int | None = None,
    ) -> list[PolicyReply]:
        """Return `n` replies of at most `max_tokens`, where given, each."""
        ...


class SmallModelExecutor:
    """An executor over a small model.

    A reply ends at the request's `max_tokens`, and at the model's own limit at the latest. What
    is for a judge goes to `judges`: the small model does not judge itself.
    """

    def __init__(self, model: SmallModel, *, judges: Executor) -> None:
        self._model = model
        self._judges = judges

    async def chat(self, request: ChatRequest, *, draw: str) -> ChatReply:
        """Return the policy's replies to `request`; keys of JSON replies are a hint only."""
        if request.judge is not None:
            return await self._judges.chat(request, draw=draw)
        replies = await self._model.sample(
            request.messages,
            n=request.n,
            temperature=request.temperature,
            seed=derive_seed("small model", draw),
            max_tokens=request.max_tokens,
        )
        prompt = self._model.count_tokens(request.messages)
        return ChatReply(
            texts=tuple(reply.text for reply in replies),
            finish_reasons=tuple("length" if reply.truncated else "stop" for reply in replies),
            usage=Usage(request.n, prompt, sum(reply.tokens for reply in replies)),
        )
