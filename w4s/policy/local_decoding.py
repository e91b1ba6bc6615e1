"""Sample many continuations of few prompts in one batch, each prompt's keys and values held once.

The cache of a prompt is computed once and never copied: while decoding, all rows of a prompt
attend to it in one matrix product, and to their own tokens in the batch's small cache. Rows
that end leave the batch. Knows tokens only; texts, chats and models' files are elsewhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from w4s.policy.local_attention import ATTENTION, RowCache, SharedPrompts


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt: its tokens, how many rows continue it, and the seed of their draws."""

    ids: Sequence[int]
    rows: int
    seed: int


@dataclass(frozen=True, slots=True)
class Continuation:
    """The tokens of one row, its end token included. `truncated`: it hit the limit."""

    ids: tuple[int, ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class DecodingLimits:
    """When a row ends: at one of `end_ids`, when `finished(ids)` says so, or after `tokens`.

    The whole batch is given up, with Abandoned, once `abandoned()` is true.
    """

    tokens: int
    end_ids: frozenset[int]
    finished: Callable[[list[int]], bool]
    abandoned: Callable[[], bool] = lambda: False


class Abandoned(Exception):
    """Nobody waits for the batch any more."""


@torch.inference_mode()
def decode(
    model: PreTrainedModel,
    prompts: Sequence[Prompt],
    *,
    temperature: float,
    limits: DecodingLimits,
) -> list[list[Continuation]]:
    """Sample `rows` continuations of each prompt; the same seeds in the same batch give the same.

    Draws come from softmax(logits / temperature), by one uniform number a row and step;
    temperature 0 takes the most likely token.
    """
    decoder: _Decoder
    decoder = _SharedPromptDecoder(model) if shares_prompts(model) else _CopiedPromptDecoder(model)
    logits = torch.cat(
        [decoder.read(torch.tensor([p.ids]), p.rows).expand(p.rows, -1) for p in prompts]
    )
    draws = torch.cat([_uniforms(prompt, limits.tokens) for prompt in prompts])
    texts: list[list[int]] = [[] for _ in range(len(draws))]
    ended = [False] * len(draws)
    alive = list(range(len(draws)))
    decoder.start()
    for step in range(limits.tokens):
        if limits.abandoned():
            raise Abandoned
        tokens = _pick(logits, draws[alive, step], temperature)
        for row, token in zip(alive, tokens.tolist(), strict=True):
            texts[row].append(token)
            ended[row] = token in limits.end_ids or limits.finished(texts[row])
        kept = [place for place, row in enumerate(alive) if not ended[row]]
        if not kept or step + 1 == limits.tokens:
            break
        if len(kept) < len(alive):
            decoder.keep(kept)
            alive, tokens = [alive[place] for place in kept], tokens[kept]
        logits = decoder.step(tokens)
    rows = [Continuation(tuple(t), not e) for t, e in zip(texts, ended, strict=True)]
    return _by_prompt(rows, prompts)


def shares_prompts(model: PreTrainedModel) -> bool:
    """Return whether the model's attention is plain enough to hold a prompt once for all rows."""
    config = model.config
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    return config.model_type in {"llama", "qwen2", "qwen3"} and kinds == {"full_attention"}


def _by_prompt(rows: list[Continuation], prompts: Sequence[Prompt]) -> list[list[Continuation]]:
    groups = []
    for prompt in prompts:
        groups.append(rows[: prompt.rows])
        rows = rows[prompt.rows :]
    return groups


def _uniforms(prompt: Prompt, steps: int) -> Tensor:
    """Return [rows, steps] numbers in [0, 1): a row's draws do not depend on other rows' ends."""
    generator = torch.Generator().manual_seed(prompt.seed)
    return torch.rand(prompt.rows, steps, generator=generator, dtype=torch.float64)


def _pick(logits: Tensor, draws: Tensor, temperature: float) -> Tensor:
    """Return one token a row by inverting the cumulative distribution; logits [rows, vocab]."""
    if temperature <= 0:
        return logits.argmax(-1)
    weights = torch.softmax(logits.float() / temperature, dim=-1)
    sums = weights.cumsum(-1, dtype=torch.float64)
    targets = draws.to(sums.device).unsqueeze(1) * sums[:, -1:]
    picked = torch.searchsorted(sums, targets, right=True).squeeze(1)
    return picked.clamp(max=logits.shape[-1] - 1)


class _Decoder(ABC):
    """Reads prompts one by one, then steps all their rows together."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.positions = torch.empty(0, dtype=torch.long, device=model.device)

    def read(self, ids: Tensor, rows: int) -> Tensor:
        """Read one prompt, ids [1, length], for `rows` rows; return its last logits [1, vocab]."""
        cache = DynamicCache()
        out = self.model(ids.to(self.model.device), past_key_values=cache, logits_to_keep=1)
        start = torch.full((rows,), ids.shape[1], device=self.model.device)
        self.positions = torch.cat((self.positions, start))
        self.hold(cache, rows)
        last: Tensor = out.logits[:, -1]
        return last

    @abstractmethod
    def hold(self, cache: DynamicCache, rows: int) -> None:
        """Take a prompt's cache, which `rows` rows continue."""

    @abstractmethod
    def start(self) -> None:
        """Get ready to step: all prompts are read."""

    @abstractmethod
    def forward(self, tokens: Tensor) -> Tensor:
        """Return the next logits [rows, vocab] after each row's token [rows]."""

    @abstractmethod
    def select(self, rows: Tensor) -> None:
        """Let only these rows of the caches go on."""

    def step(self, tokens: Tensor) -> Tensor:
        """Give each row its token [rows]; return the next logits [rows, vocab]."""
        logits = self.forward(tokens)
        self.positions = self.positions + 1
        return logits

    def keep(self, rows: list[int]) -> None:
        """Let only these rows of the batch go on."""
        index = torch.tensor(rows, device=self.model.device)
        self.positions = self.positions[index]
        self.select(index)


class _CopiedPromptDecoder(_Decoder):
    """For any architecture: each prompt's cache is computed once, copied for its rows.

    Prompts are stepped one after the other, since their caches differ in length.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__(model)
        self._caches: list[DynamicCache] = []
        self._rows: list[int] = []

    def hold(self, cache: DynamicCache, rows: int) -> None:
        cache.batch_repeat_interleave(rows)
        self._caches.append(cache)
        self._rows.append(rows)

    def start(self) -> None:
        """Nothing is due: the copies are ready."""

    def forward(self, tokens: Tensor) -> Tensor:
        given = torch.stack((tokens, self.positions)).unsqueeze(2)
        logits = []
        for cache, part in zip(self._caches, _split(given, self._rows), strict=True):
            if part.shape[1]:
                out = self.model(part[0], past_key_values=cache, position_ids=part[1])
                logits.append(out.logits[:, -1])
        return torch.cat(logits)

    def select(self, rows: Tensor) -> None:
        first, kept = 0, []
        for cache, count in zip(self._caches, self._rows, strict=True):
            own = rows[(rows >= first) & (rows < first + count)] - first
            if len(own):
                cache.batch_select_indices(own)
            kept.append(len(own))
            first += count
        self._rows = kept


class _SharedPromptDecoder(_Decoder):
    """For plain attention: each prompt's cache is held once, the rows' own tokens apart."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__(model)
        model.set_attn_implementation(ATTENTION)
        self._shared = SharedPrompts()
        self._own = RowCache()

    def hold(self, cache: DynamicCache, rows: int) -> None:
        self._shared.add(cache, rows)

    def start(self) -> None:
        self._own.open(self._shared)

    def forward(self, tokens: Tensor) -> Tensor:
        out = self.model(
            tokens.unsqueeze(1),
            past_key_values=self._own,
            position_ids=self.positions.unsqueeze(1),
            shared_prompts=self._shared,
        )
        self._own.length += 1
        logits: Tensor = out.logits[:, -1]
        return logits

    def select(self, rows: Tensor) -> None:
        self._shared.keep(rows)
        self._own.keep(rows)


def _split(rows: Tensor, counts: list[int]) -> tuple[Tensor, ...]:
    parts: tuple[Tensor, ...] = torch.split(rows, counts, dim=1)
    return parts
