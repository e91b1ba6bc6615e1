"""The seam between workflows and the model that they call: request, reply, executor.

Knows nothing of HTTP, records or budgets: those are `engine`, `record` and `budget`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from w4s.types import Message, Usage


@dataclass(frozen=True, slots=True)
class JudgeService:
    """Who judges the answers of a task, where that is not the executor, and how often at most.

    Without a model it is the executor's own, without an address the executor's. `calls` bounds
    what a workspace asks it in all.
    """

    task: str
    model: str | None = None
    base_url: str | None = None
    calls: int | None = None


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What to ask for: `n` draws of a reply to `messages`.

    With `json_keys` the replies are JSON objects with exactly those keys (as text; the caller
    parses). `seed` is a hint to the endpoint. `judge` sends it to a judge instead.
    """

    messages: tuple[Message, ...]
    temperature: float
    n: int = 1
    max_tokens: int | None = None
    json_keys: tuple[str, ...] | None = None
    seed: int | None = None
    model: str | None = None  # None: the engine's configured model
    judge: JudgeService | None = None


@dataclass(frozen=True, slots=True)
class ChatReply:
    """`n` texts, in order, and what they cost. A refused or empty reply is an empty text.

    `finish_reasons` are the endpoint's ("stop", "length", "content_filter"…), one for each text.
    """

    texts: tuple[str, ...]
    finish_reasons: tuple[str, ...]
    usage: Usage


class Executor(Protocol):
    """A model that answers. Implemented by `w4s.llm.engine.Engine` and by the tests' fakes."""

    async def chat(self, request: ChatRequest, *, draw: str) -> ChatReply:
        """Return the reply to `request`.

        `draw` names the draw: at temperature > 0 another draw is another sample, the same draw
        is the same recorded reply for ever; at temperature 0 it is ignored.

        Raises EndpointError (fatal), BudgetError, ReplayError; ReplyError-like troubles of one
        call that outlast the retries raise `CallFailed`.
        """
        ...


class CallFailed(Exception):
    """One call got no usable reply after its retries; the run goes on (FailureKind.EXECUTOR)."""
