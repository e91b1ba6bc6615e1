"""Sample many continuations of few prompts in one batch, each prompt's keys and values held once.

The cache of a prompt is computed once and never copied: while decoding, all rows of a prompt
attend to it in one matrix product, and to their own tokens in the batch's small cache. Rows
that end leave the batch. A step also reads guesses of what follows, copied from where a row's
last tokens stood before (prompt lookup decoding), and keeps those that the draws agree with.
Knows tokens only; texts, chats and models' files are elsewhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from w4s.policy.local_attention import RowCache, SharedPrompts
from w4s.policy.local_lean import LeanModel, Reading, is_lean
from w4s.policy.local_lookup import Lookup

_lean_models: WeakKeyDictionary[PreTrainedModel, LeanModel] = WeakKeyDictionary()


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
    likely: Sequence[Sequence[int]] = (),
) -> list[list[Continuation]]:
    """Sample `rows` continuations of each prompt; the same arguments give the same.

    Draws come from softmax(logits / temperature), by one uniform number a row and token;
    temperature 0 takes the most likely token. Guesses are copied from prompts, rows and the
    `likely` sequences; they change how many steps are taken, and what is sampled only as rounding
    does.
    """
    decoder: _Decoder
    decoder = _SharedPromptDecoder(model) if is_lean(model) else _CopiedPromptDecoder(model)
    logits = torch.cat(
        [decoder.read(torch.tensor([p.ids]), p.rows).expand(p.rows, -1) for p in prompts]
    )
    lookup = Lookup(likely) if decoder.reads_guesses else None
    rows = [row for prompt in prompts for row in _rows(prompt, limits, lookup)]
    alive = rows
    decoder.start()
    while True:
        if limits.abandoned():
            raise Abandoned
        decoder.settle(_draw(alive, logits, temperature))
        going = [place for place, row in enumerate(alive) if not row.done]
        if not going:
            break
        if len(going) < len(alive):
            decoder.keep(going)
            alive = [alive[place] for place in going]
        logits = decoder.step([row.inputs() for row in alive])
    groups = iter(rows)
    return [[next(groups).continuation() for _ in range(prompt.rows)] for prompt in prompts]


class _Row:
    """One continuation while it grows: its tokens, draws and current guesses."""

    def __init__(
        self, prompt: Prompt, draws: list[float], limits: DecodingLimits, lookup: Lookup | None
    ) -> None:
        self.done = False
        self.read = 1  # tokens of the last step: a prompt gives one row of logits
        self._ids = list(prompt.ids)
        self._start = len(self._ids)
        self._draws, self._limits, self._lookup = draws, limits, lookup
        self._guesses: list[int] = []
        self._ended = False

    @property
    def draw(self) -> float:
        """The uniform number of the next token."""
        return self._draws[len(self._ids) - self._start]

    def inputs(self) -> list[int]:
        """Return what the next step reads: the last token, and guesses of what follows."""
        self._guesses = self._lookup.guess(self._ids) if self._lookup else []
        self.read = 1 + len(self._guesses)
        return [self._ids[-1], *self._guesses]

    def take(self, token: int) -> bool:
        """Take a token; return whether it was guessed, so that the next one can be drawn too."""
        guessed = bool(self._guesses) and self._guesses.pop(0) == token
        self._ids.append(token)
        if self._lookup:
            self._lookup.note(self._ids, len(self._ids) - 1)
        text = self._ids[self._start :]
        self._ended = token in self._limits.end_ids or self._limits.finished(text)
        self.done = self._ended or len(text) == self._limits.tokens
        return guessed and not self.done

    def continuation(self) -> Continuation:
        return Continuation(tuple(self._ids[self._start :]), not self._ended)


def _rows(prompt: Prompt, limits: DecodingLimits, lookup: Lookup | None) -> list[_Row]:
    """Return a prompt's rows; a row's draws do not depend on other rows' ends."""
    generator = torch.Generator().manual_seed(prompt.seed)
    draws = torch.rand(prompt.rows, limits.tokens, generator=generator, dtype=torch.float64)
    if lookup:
        lookup.add(prompt.ids)
    return [_Row(prompt, numbers, limits, lookup) for numbers in draws.tolist()]


def _draw(rows: Sequence[_Row], logits: Tensor, temperature: float) -> list[int]:
    """Let the rows take tokens as far as they were guessed; return how many each took.

    logits [tokens read by all rows, vocab].
    """
    ends = list(accumulate(row.read for row in rows))
    first = [end - row.read for end, row in zip(ends, rows, strict=True)]
    taken = [0] * len(rows)
    going = list(range(len(rows)))
    while going:
        places = [first[index] + taken[index] for index in going]
        tokens = _pick(logits[places], [rows[index].draw for index in going], temperature)
        for index in going:
            taken[index] += 1
        going = [i for i, token in zip(going, tokens, strict=True) if rows[i].take(token)]
    return taken


def _pick(logits: Tensor, draws: Sequence[float], temperature: float) -> list[int]:
    """Return one token a row by inverting the cumulative distribution; logits [rows, vocab]."""
    if temperature <= 0:
        return [int(token) for token in logits.argmax(-1)]
    weights = torch.softmax(logits.float() / temperature, dim=-1)
    sums = weights.cumsum(-1, dtype=torch.float64)
    numbers = torch.tensor(draws, dtype=torch.float64, device=sums.device)
    picked = torch.searchsorted(sums, numbers.unsqueeze(1) * sums[:, -1:], right=True).squeeze(1)
    return [int(token) for token in picked.clamp(max=logits.shape[-1] - 1)]


class _Decoder(ABC):
    """Reads prompts one by one, then steps all their rows together."""

    reads_guesses = False

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.positions = torch.empty(0, dtype=torch.long, device=model.device)

    def read(self, ids: Tensor, rows: int) -> Tensor:
        """Read one prompt, ids [1, length], for `rows` rows; return its last logits [1, vocab]."""
        cache = DynamicCache()
        out = self.model(ids.to(self.model.device), past_key_values=cache, logits_to_keep=1)
        # the first token that a row takes was read by nobody: settle() counts it
        start = torch.full((rows,), ids.shape[1] - 1, device=self.model.device)
        self.positions = torch.cat((self.positions, start))
        self.hold(cache, rows)
        last: Tensor = out.logits[:, -1]
        return last

    def step(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        """Read each row's tokens; return the logits after each, [tokens of all rows, vocab]."""
        ids = [token for row in tokens for token in row]
        lengths = torch.tensor([len(row) for row in tokens], device=self.model.device)
        width = max(len(row) for row in tokens)
        places = [index * width + at for index, row in enumerate(tokens) for at in range(len(row))]
        return self.forward(
            Reading(
                tokens=torch.tensor(ids, device=self.model.device),
                positions=self.positions.repeat_interleave(lengths)
                + torch.tensor(
                    [at for row in tokens for at in range(len(row))], device=self.model.device
                ),
                places=torch.tensor(places, device=self.model.device),
                rows=len(tokens),
                width=width,
            )
        )

    def settle(self, kept: list[int]) -> None:
        """Of each row's tokens of the last step, keep the first kept[row]."""
        self.positions = self.positions + torch.tensor(kept, device=self.model.device)

    def keep(self, rows: list[int]) -> None:
        """Let only these rows of the batch go on."""
        index = torch.tensor(rows, device=self.model.device)
        self.positions = self.positions[index]
        self.select(index)

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
    def select(self, rows: Tensor) -> None:
        """Let only these rows of the caches go on."""


class _CopiedPromptDecoder(_Decoder):
    """For any architecture: each prompt's cache is computed once, copied for its rows.

    Prompts are stepped one after the other, since their caches differ in length, by one token.
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

    def forward(self, reading: Reading) -> Tensor:
        given = torch.stack((reading.tokens, reading.positions)).unsqueeze(-1)
        logits = []
        parts = torch.split(given, self._rows, dim=1)
        for cache, part in zip(self._caches, parts, strict=True):
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
    """For plain layers: each prompt's cache is held once, the rows' own tokens apart."""

    reads_guesses = True

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__(model)
        if model not in _lean_models:
            _lean_models[model] = LeanModel(model)
        self._lean = _lean_models[model]
        self._shared = SharedPrompts()
        self._own: RowCache | None = None
        self._width = 0

    def hold(self, cache: DynamicCache, rows: int) -> None:
        self._shared.add(cache, rows)

    def start(self) -> None:
        self._own = RowCache(self._shared)

    def forward(self, reading: Reading) -> Tensor:
        self._width = reading.width
        return self._lean(reading, self._shared, self._cache)

    def settle(self, kept: list[int]) -> None:
        super().settle(kept)
        if self._width:  # the first tokens come from the prompts' own logits
            self._cache.settle(torch.tensor(kept, device=self.model.device), self._width)

    def select(self, rows: Tensor) -> None:
        self._shared.keep(rows)
        self._cache.keep(rows)

    @property
    def _cache(self) -> RowCache:
        if self._own is None:
            raise RuntimeError("start() comes before the first step")
        return self._own
