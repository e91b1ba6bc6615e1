"""The small model alone: the policy's own model in the executor's place, as a baseline.

Serves a model that is loaded into this program; one behind an endpoint is an executor already.
Its replies are not recorded: the same draw gives the same reply anyway.
"""

from __future__ import annotations

from w4s.llm.base import ChatReply, ChatRequest
from w4s.policy.base import Policy
from w4s.seeds import derive_seed
from w4s.types import Usage

SMALL_MODEL_ALONE = "small_model_alone"
WORKFLOW = "chain_of_thought"  # the workflow that it answers by


class SmallModelExecutor:
    """An executor over a policy. Replies end at the policy's own token limit at the latest."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    async def chat(self, request: ChatRequest, *, draw: str) -> ChatReply:
        """Return the policy's replies to `request`; keys of JSON replies are a hint only."""
        replies = await self._policy.sample(
            request.messages,
            n=request.n,
            temperature=request.temperature,
            seed=derive_seed("small model", draw),
        )
        prompt = self._policy.count_tokens(request.messages)
        return ChatReply(
            texts=tuple(reply.text for reply in replies),
            finish_reasons=tuple("length" if reply.truncated else "stop" for reply in replies),
            usage=Usage(request.n, prompt, sum(reply.tokens for reply in replies)),
        )
