"""A policy in this process: a transformers model with an optional LoRA adapter.

Samples replies; neither trains nor knows workflows.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from w4s.errors import ConfigError
from w4s.heap import return_freed_memory
from w4s.policy.base import PolicyReply
from w4s.policy.local_chat import end_of_turn_id, prompt_ids
from w4s.policy.local_decoding import Continuation, DecodingLimits, Prompt, decode
from w4s.policy.local_lookup import Lookup
from w4s.policy.local_model import (
    load_model,
    load_tokenizer,
    model_identity,
    resolve_device,
    resolve_dtype,
)
from w4s.types import Message

# a closed Python block that defines a function: whatever follows is no part of an action
CODE_ENDS = re.compile(r"^```python\n(?:(?!```).*\n)*?def .*\n(?:.*\n)*?```", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class StateRequest:
    """One state to answer: `n` replies, drawn with `seed`."""

    messages: Sequence[Message]
    n: int
    seed: int


class LocalPolicy:
    """A policy whose weights are in this process's memory.

    `action_tokens` is the most tokens of a reply; a reply also ends where `stop` first matches
    its text. Bfloat16 samples faster only where the processor computes in it. So does the more of
    a reply stands in the `likely` texts; they decide nothing but speed (and rounding).
    """

    def __init__(
        self,
        model: str,
        *,
        action_tokens: int,
        adapter: Path | None = None,
        device: str = "auto",
        dtype: str = "float32",
        stop: re.Pattern[str] | None = CODE_ENDS,
        likely: Sequence[str] = (),
    ) -> None:
        place = resolve_device(device)
        number = resolve_dtype(dtype, place)
        suffix = "" if number == torch.float32 else "@bfloat16"
        self._identity = model_identity(model, adapter=adapter) + suffix
        self._tokenizer = load_tokenizer(model)
        self._model = load_model(model, dtype=number, device=place, adapter=adapter)
        self._action_tokens = action_tokens
        self._stop = stop
        self._likely = Lookup(
            [self._tokenizer.encode(text, add_special_tokens=False) for text in likely]
        )
        self._lock = threading.Lock()

    @property
    def identity(self) -> str:
        """Names model and adapter by content."""
        return self._identity

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return the length of the prompt that `messages` make, in tokens."""
        return len(prompt_ids(self._tokenizer, messages))

    async def sample(
        self,
        messages: Sequence[Message],
        *,
        n: int,
        temperature: float,
        seed: int,
        max_tokens: int | None = None,
    ) -> list[PolicyReply]:
        """Return `n` replies, sampled in one batch over one reading of the prompt.

        None has more tokens than `max_tokens`, where given. Raises ConfigError where the prompt
        leaves no room for a reply in the model's context.
        """
        (replies,) = await self.sample_many(
            [StateRequest(messages, n, seed)], temperature=temperature, max_tokens=max_tokens
        )
        return replies

    async def sample_many(
        self,
        requests: Sequence[StateRequest],
        *,
        temperature: float,
        max_tokens: int | None = None,
    ) -> list[list[PolicyReply]]:
        """Answer several states in one batch, in their order.

        Rounding depends on the batch: the same requests together give the same replies, a
        request alone may give others.
        """
        stop = threading.Event()
        most = min(self._action_tokens, max_tokens or self._action_tokens)
        limits = DecodingLimits(most, self._end_ids(), self._finished, stop.is_set)
        try:
            return await asyncio.to_thread(self._sample, requests, temperature, limits)
        finally:  # cancelled: the thread must not compute a minute for nobody
            stop.set()

    def _sample(
        self,
        requests: Sequence[StateRequest],
        temperature: float,
        limits: DecodingLimits,
    ) -> list[list[PolicyReply]]:
        prompts = [
            Prompt(self._checked(prompt_ids(self._tokenizer, r.messages)), r.n, r.seed)
            for r in requests
        ]
        with self._lock:  # one batch at a time: two would only share the processor
            groups = decode(
                self._model, prompts, temperature=temperature, limits=limits, likely=self._likely
            )
        return_freed_memory()
        return [[self._reply(row) for row in group] for group in groups]

    def _checked(self, ids: list[int]) -> list[int]:
        context = int(self._model.config.max_position_embeddings)
        if len(ids) + self._action_tokens > context:
            excess = len(ids) + self._action_tokens - context
            raise ConfigError(
                f"The state has {len(ids)} tokens; with policy.action_tokens={self._action_tokens} "
                f"it passes the model's context of {context} by {excess}. Lower "
                "policy.prompt_tokens or policy.action_tokens."
            )
        return ids

    def _end_ids(self) -> frozenset[int]:
        configured = getattr(self._model.generation_config, "eos_token_id", None)
        listed = configured if isinstance(configured, list) else [configured]
        known = [end_of_turn_id(self._tokenizer), self._tokenizer.eos_token_id, *listed]
        return frozenset(int(token) for token in known if token is not None)

    def _finished(self, ids: list[int]) -> bool:
        if self._stop is None or "`" not in self._text(ids[-1:]):
            return False
        return self._stop.search(self._text(ids)) is not None

    def _text(self, ids: Sequence[int]) -> str:
        text = self._tokenizer.decode(
            list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return str(text)

    def _reply(self, row: Continuation) -> PolicyReply:
        return PolicyReply(self._text(row.ids), len(row.ids), row.truncated)
