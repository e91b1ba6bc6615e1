"""A policy whose replies are recorded: asked once, replayed ever after.

For policies behind an endpoint, which are paid for and need not answer alike twice. The record is
a file of its own beside the executor's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from w4s.errors import ReplayError
from w4s.llm.base import ChatRequest
from w4s.llm.record import Record, RecordedReply
from w4s.llm.replay import missing_message
from w4s.llm.request import resolve
from w4s.policy.base import Policy, PolicyReply
from w4s.types import Message

RECORD_FILE = Path("record") / "policy.sqlite"


class RecordedPolicy:
    """Answers from `record`, and asks `policy` for what is missing there.

    With `replay` nothing is asked. `action_tokens` is what `policy` may write in one reply. It
    does not close the record.
    """

    def __init__(
        self, policy: Policy, record: Record, *, action_tokens: int, replay: bool = False
    ) -> None:
        self._policy = policy
        self._record = record
        self._action_tokens = action_tokens
        self._replay = replay

    @property
    def identity(self) -> str:
        """Names the policy that is asked."""
        return self._policy.identity

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return the policy's count."""
        return self._policy.count_tokens(messages)

    async def sample(
        self, messages: Sequence[Message], *, n: int, temperature: float, seed: int
    ) -> list[PolicyReply]:
        """Return `n` replies. The same messages, temperature and seed are the same draw.

        Raises ReplayError where nothing may be asked and the replies are not recorded, and what
        the policy raises.
        """
        request = resolve(
            ChatRequest(tuple(messages), temperature, n=n, seed=seed),
            draw=f"policy//{seed}",
            model=self.identity,
            max_tokens=self._action_tokens,
        )
        held = self._record.read(request)
        if len(held) < request.n:
            if self._replay:
                raise ReplayError(missing_message(request, self._record))
            replies = await self._policy.sample(
                messages, n=request.n, temperature=temperature, seed=seed
            )
            written = [_recorded(choice, reply) for choice, reply in enumerate(replies)]
            held = await self._record.write(request, written)
        copies = n if request.n < n else 1  # at temperature 0 one reply stands for all
        return [_reply(one) for one in held[: request.n]] * copies


def _recorded(choice: int, reply: PolicyReply) -> RecordedReply:
    return RecordedReply(
        choice=choice,
        text=reply.text,
        finish_reason="length" if reply.truncated else "stop",
        prompt_tokens=0,
        completion_tokens=reply.tokens,
        seconds=0.0,
    )


def _reply(recorded: RecordedReply) -> PolicyReply:
    truncated = recorded.finish_reason == "length"
    return PolicyReply(recorded.text, recorded.completion_tokens, truncated)
