"""The seam of a policy: it samples replies to a state. It knows nothing of workflows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from w4s.types import Message


@dataclass(frozen=True, slots=True)
class PolicyReply:
    """One sampled reply. `truncated`: it hit the token limit before its end."""

    text: str
    tokens: int
    truncated: bool


class Policy(Protocol):
    """The small model that designs workflows."""

    @property
    def identity(self) -> str:
        """Names model and adapter by content, e.g. `smollm2-135m+3f2a9c`; part of cache keys."""
        ...

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return the length of the prompt that `messages` make, in tokens."""
        ...

    async def sample(
        self, messages: Sequence[Message], *, n: int, temperature: float, seed: int
    ) -> list[PolicyReply]:
        """Return `n` independent replies, the same for the same seed on the same machine."""
        ...
