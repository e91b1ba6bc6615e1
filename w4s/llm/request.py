"""What makes two requests the same: the canonical form, its key, and the address of a draw."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from w4s.llm.base import ChatRequest
from w4s.types import Message


@dataclass(frozen=True, slots=True)
class ResolvedRequest:
    """A request with everything that the engine's configuration adds, and where it is recorded.

    `key` covers all of the request that decides the distribution of replies, so not the seed;
    with `endpoint`, the endpoint's name, it says who is asked what. `draw` is empty at
    temperature 0, where identical requests share one reply.
    """

    messages: tuple[Message, ...]
    model: str
    temperature: float
    n: int
    max_tokens: int
    json_keys: tuple[str, ...] | None
    reasoning_effort: str | None
    seed: int | None
    draw: str
    stage: str
    benchmark: str
    endpoint: str
    canonical: str
    key: str

    @property
    def prompt_tokens(self) -> int:
        """Estimate the tokens of the prompt: three characters a token, to be on the safe side."""
        return sum(len(message.content) for message in self.messages) // 3 + 8


def resolve(
    request: ChatRequest,
    *,
    draw: str,
    model: str,
    max_tokens: int,
    endpoint: str = "",
    reasoning_effort: str | None = None,
) -> ResolvedRequest:
    """Fill in what `request` leaves to the configuration and name it.

    At temperature 0 one reply is asked for, whatever `n` says: the others would be the same.
    """
    deterministic = request.temperature == 0
    messages = tuple(Message(m.role, sendable(m.content)) for m in request.messages)
    fields = {
        "model": request.model or model,
        "messages": [[message.role, message.content] for message in messages],
        "temperature": float(request.temperature),
        "max_tokens": request.max_tokens or max_tokens,
        "json_keys": None if request.json_keys is None else list(request.json_keys),
        "n": 1 if deterministic else request.n,
        "reasoning_effort": reasoning_effort,
    }
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    stage, benchmark = _stage_and_benchmark(draw)
    return ResolvedRequest(
        messages=messages,
        model=request.model or model,
        temperature=float(request.temperature),
        n=1 if deterministic else request.n,
        max_tokens=request.max_tokens or max_tokens,
        json_keys=request.json_keys,
        reasoning_effort=reasoning_effort,
        seed=request.seed,
        draw="" if deterministic else draw,
        stage=stage,
        benchmark=benchmark,
        endpoint=endpoint,
        canonical=canonical,
        key=hashlib.sha256(canonical.encode()).hexdigest(),
    )


def sendable(text: str) -> str:
    """Return `text` with lone surrogates, which no endpoint and no file takes, replaced."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _stage_and_benchmark(draw: str) -> tuple[str, str]:
    """Read both from an address like `collect/chain_sum/s0/w1/t0/c3/p7/0`."""
    stage, _, rest = draw.partition("/")
    return stage, rest.partition("/")[0]
