"""Sample many continuations of few prompts in one batch, each prompt read once.

Rows that end leave the batch. With plain layers a prompt's cache is never copied, and a step also
reads guesses of what follows, copied from where a row's last tokens stood before (prompt lookup
decoding), of which it keeps those that the draws agree with. Knows tokens only; texts, chats and
models' files are elsewhere, as are the forward passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor
from transformers import PreTrainedModel

from w4s.policy.local_decoders import Decoder, decoder_of
from w4s.policy.local_lookup import Lookup


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
    likely: Lookup | None = None,
) -> list[list[Continuation]]:
    """Sample `rows` continuations of each prompt; the same arguments give the same.

    Draws come from softmax(logits / temperature), by one uniform number a row and token;
    temperature 0 takes the most likely token. Guesses are copied from prompts, rows and `likely`
    texts; they change how many steps are taken, and what is sampled only as rounding does.
    """
    decoder = decoder_of(model)
    logits = _read(decoder, prompts, limits)
    lookup = Lookup(below=likely) if decoder.reads_guesses else None
    rows = [row for prompt in prompts for row in _rows(prompt, limits, lookup)]
    alive = rows
    decoder.start()
    while True:
        _check_wanted(limits)
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


def _read(decoder: Decoder, prompts: Sequence[Prompt], limits: DecodingLimits) -> Tensor:
    """Read the prompts; return the first logits of all rows, [rows, vocab]."""
    logits = []
    for prompt in prompts:
        _check_wanted(limits)
        last = decoder.read(torch.tensor([prompt.ids]), prompt.rows)
        logits.append(last.expand(prompt.rows, -1))
    return torch.cat(logits)


def _check_wanted(limits: DecodingLimits) -> None:
    if limits.abandoned():
        raise Abandoned


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
        guesses = self._lookup.guess(self._ids) if self._lookup else []
        left = self._limits.tokens - (len(self._ids) - self._start)
        self._guesses = guesses[: left - 1]  # the step's last logits give a token too
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
        return _numbers(logits.argmax(-1))
    weights = torch.softmax(logits.float() / temperature, dim=-1)
    sums = weights.cumsum(-1, dtype=torch.float64)
    numbers = torch.tensor(draws, dtype=torch.float64, device=sums.device)
    picked = torch.searchsorted(sums, numbers.unsqueeze(1) * sums[:, -1:], right=True).squeeze(1)
    return _numbers(picked.clamp(max=logits.shape[-1] - 1))


def _numbers(tokens: Tensor) -> list[int]:
    numbers: list[int] = tokens.tolist()  # one wait for the device, not one a token
    return numbers
