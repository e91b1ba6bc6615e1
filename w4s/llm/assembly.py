"""Between an endpoint's choices, recorded texts, and the reply that somebody waits for."""

from __future__ import annotations

from collections.abc import Sequence

from w4s.llm.base import ChatReply, ChatRequest
from w4s.llm.completion import Choice, Completion
from w4s.llm.record import RecordedReply
from w4s.llm.replies import find_json_object
from w4s.llm.request import ResolvedRequest
from w4s.types import Usage


def usable(choice: Choice, wanted: ResolvedRequest) -> bool:
    """Whether a JSON reply holds an object; a refusal would only be refused again."""
    if wanted.json_keys is None or choice.refused:
        return True
    return find_json_object(choice.text, wanted.json_keys) is not None


def recorded_replies(
    numbers: Sequence[int], texts: Sequence[Choice], cost: Completion, seconds: float
) -> list[RecordedReply]:
    """Return `texts` as they are recorded: tokens in shares, what cannot be shared on the first."""
    share, rest = divmod(cost.completion_tokens, len(texts))
    return [
        RecordedReply(
            choice=number,
            text=choice.text,
            finish_reason=choice.finish_reason,
            prompt_tokens=0 if index else cost.prompt_tokens,
            completion_tokens=share if index else share + rest,
            seconds=seconds / len(texts),
        )
        for index, (number, choice) in enumerate(zip(numbers, texts, strict=False))
    ]


def chat_reply(request: ChatRequest, held: Sequence[RecordedReply], *, replayed: int) -> ChatReply:
    """Put recorded texts together. At temperature 0 one text stands for all `n`."""
    copies = request.n if request.temperature == 0 else 1
    chosen = held[:1] if request.temperature == 0 else held[: request.n]
    return ChatReply(
        texts=tuple(reply.text for reply in chosen) * copies,
        finish_reasons=tuple(reply.finish_reason for reply in chosen) * copies,
        usage=Usage(
            calls=len(chosen),
            prompt_tokens=sum(reply.prompt_tokens for reply in chosen),
            completion_tokens=sum(reply.completion_tokens for reply in chosen),
            cached=replayed,
        ),
    )
