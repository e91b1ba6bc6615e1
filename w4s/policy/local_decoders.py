"""Read prompts and step the rows that continue them: what decoding asks of a model.

Two ways: with each prompt's cache held once for all of its rows, for plain layers, and with a copy
for each row, for any architecture. Draws nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from w4s.policy.local_attention import RowCache, SharedPrompts
from w4s.policy.local_lean import LeanModel, Reading, is_lean


def decoder_of(model: PreTrainedModel) -> Decoder:
    """Return the fastest decoder that computes what `model` computes."""
    return _SharedPromptDecoder(model) if is_lean(model) else _CopiedPromptDecoder(model)


class Decoder(ABC):
    """Reads prompts one by one, then steps all their rows together."""

    reads_guesses = False

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.positions: list[int] = []  # of each row's last token, which no step has read

    def read(self, ids: Tensor, rows: int) -> Tensor:
        """Read one prompt, ids [1, length], for `rows` rows; return its last logits [1, vocab]."""
        cache = DynamicCache(config=self.model.config)
        out = self.model(ids.to(self.model.device), past_key_values=cache, logits_to_keep=1)
        # as if the prompt's last token were that: settle() counts the first one that a row takes
        self.positions += [ids.shape[1] - 1] * rows
        self.hold(cache, rows)
        last: Tensor = out.logits[:, -1]
        return last

    def step(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        """Read each row's tokens; return the logits after each, [tokens of all rows, vocab]."""
        width = max(len(row) for row in tokens)
        read = [
            (token, self.positions[index] + at, index * width + at)
            for index, row in enumerate(tokens)
            for at, token in enumerate(row)
        ]
        ids, positions, places = torch.tensor(read, device=self.model.device).unbind(1)
        return self.forward(
            Reading(tokens=ids, positions=positions, places=places, rows=len(tokens), width=width)
        )

    def settle(self, kept: list[int]) -> None:
        """Of each row's tokens of the last step, keep the first kept[row]."""
        self.positions = [old + new for old, new in zip(self.positions, kept, strict=True)]

    def keep(self, rows: list[int]) -> None:
        """Let only these rows of the batch go on."""
        self.positions = [self.positions[row] for row in rows]
        self.select(rows)

    @abstractmethod
    def hold(self, cache: DynamicCache, rows: int) -> None:
        """Take a prompt's cache, which `rows` rows continue."""

    @abstractmethod
    def start(self) -> None:
        """Get ready to step: all prompts are read."""

    @abstractmethod
    def forward(self, reading: Reading) -> Tensor:
        """Return the next logits [tokens, vocab] after each of the tokens."""

    @abstractmethod
    def select(self, rows: list[int]) -> None:
        """Let only these rows of the caches go on."""


class _CopiedPromptDecoder(Decoder):
    """For any architecture: each prompt's cache is computed once, copied for its rows.

    Prompts are stepped one after the other, since their caches differ in length, by one token.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__(model)
        self._caches: list[DynamicCache] = []
        self._rows: list[int] = []

    def hold(self, cache: DynamicCache, rows: int) -> None:
        _select(cache, [0] * rows)
        self._caches.append(cache)
        self._rows.append(rows)

    def start(self) -> None:
        """Nothing is due: the copies are ready."""

    def forward(self, reading: Reading) -> Tensor:
        given = torch.stack((reading.tokens, reading.positions)).unsqueeze(-1)
        logits = []
        parts = torch.split(given, self._rows, dim=1)
        for cache, part in zip(self._caches, parts, strict=True):
            if part.shape[1]:
                out = self.model(part[0], past_key_values=cache, position_ids=part[1])
                logits.append(out.logits[:, -1])
        return torch.cat(logits)

    def select(self, rows: list[int]) -> None:
        first, kept = 0, []
        for cache, count in zip(self._caches, self._rows, strict=True):
            own = [row - first for row in rows if first <= row < first + count]
            if own:
                _select(cache, own)
            kept.append(len(own))
            first += count
        self._rows = kept


def _select(cache: DynamicCache, rows: list[int]) -> None:
    # of the ways to choose rows, the one that recurrent and convolution layers have too
    cache.reorder_cache(torch.tensor(rows))  # type: ignore[arg-type]  # a LongTensor is no type


class _SharedPromptDecoder(Decoder):
    """For plain layers: each prompt's cache is held once, the rows' own tokens apart."""

    reads_guesses = True

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__(model)
        self._lean = LeanModel(model)
        self._shared = SharedPrompts()
        self._own: RowCache | None = None
        self._stepped = False

    def hold(self, cache: DynamicCache, rows: int) -> None:
        self._shared.add(cache, rows)

    def start(self) -> None:
        self._own = RowCache(self._shared)

    def forward(self, reading: Reading) -> Tensor:
        self._stepped = True
        return self._lean(reading, self._shared, self._cache)

    def settle(self, kept: list[int]) -> None:
        super().settle(kept)
        if self._stepped:  # the first tokens come from the prompts' own logits
            self._cache.settle(kept)

    def select(self, rows: list[int]) -> None:
        self._shared.keep(rows)
        self._cache.keep(rows)

    @property
    def _cache(self) -> RowCache:
        if self._own is None:
            raise RuntimeError("start() comes before the first step")
        return self._own
