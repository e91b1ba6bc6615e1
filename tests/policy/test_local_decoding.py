"""Candidates sampled over one reading of the prompt are those of plain sampling."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedModel

from tests.training.tiny_models import ARCHITECTURES, VOCABULARY, tiny_model
from w4s.policy import local_decoding
from w4s.policy.local_decoding import Continuation, DecodingLimits, Prompt, decode
from w4s.policy.local_lean import LeanModel, Reading, is_lean
from w4s.policy.local_lookup import Lookup

PROMPT = tuple(range(3, 40))
NEVER = DecodingLimits(tokens=90, end_ids=frozenset(), finished=lambda ids: False)


def greedy(model: PreTrainedModel, prompt: tuple[int, ...], count: int) -> tuple[int, ...]:
    """Take the most likely token `count` times, reading the whole sequence anew each time."""
    ids = list(prompt)
    for _ in range(count):
        ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return tuple(ids[len(prompt) :])


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
@torch.no_grad()
def test_shared_prompt_gives_what_full_reading_gives(name: str) -> None:
    """Greedy tokens of several prompts in one batch, past the cache's first doubling."""
    model = tiny_model(name)
    due = [greedy(model, PROMPT, 90), greedy(model, PROMPT[:11], 90)]
    found = decode(
        model, [Prompt(PROMPT, 2, 0), Prompt(PROMPT[:11], 1, 0)], temperature=0, limits=NEVER
    )
    assert [[row.ids for row in rows] for rows in found] == [[due[0]] * 2, [due[1]]]


def ragged(ids: list[int]) -> bool:
    return ids[-1] % 5 == 0


def test_copied_prompts_give_the_same_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way for other architectures draws the same tokens, with rows that end early."""
    limits = DecodingLimits(tokens=30, end_ids=frozenset({7, 8}), finished=ragged)
    prompts = [Prompt(PROMPT, 5, 1), Prompt(PROMPT[:9], 3, 2)]
    shared = decode(tiny_model("qwen2"), prompts, temperature=1.0, limits=limits)
    monkeypatch.setattr(local_decoding, "is_lean", lambda model: False)
    copied = decode(tiny_model("qwen2"), prompts, temperature=1.0, limits=limits)
    assert copied == shared
    assert len({len(row.ids) for rows in shared for row in rows}) > 2


def test_rows_end_at_the_end_token_or_are_marked_truncated() -> None:
    """The end token is kept; a row without one hit the limit."""
    limits = DecodingLimits(tokens=20, end_ids=frozenset(range(0, VOCABULARY, 4)), finished=ragged)
    (rows,) = decode(tiny_model("llama"), [Prompt(PROMPT, 16, 3)], temperature=1.0, limits=limits)
    for row in rows:
        ended = row.ids[-1] % 4 == 0 or row.ids[-1] % 5 == 0
        assert row.truncated is not ended
        assert all(token % 4 and token % 5 for token in row.ids[:-1])


def test_seed_decides_the_samples() -> None:
    """The same seed gives the same rows, another seed others; rows differ from one another."""

    def sample(seed: int) -> list[Continuation]:
        prompt = Prompt(PROMPT, 4, seed)
        return decode(tiny_model("llama"), [prompt], temperature=1.0, limits=NEVER)[0]

    assert sample(1) == sample(1)
    assert sample(1) != sample(2)
    assert len(set(sample(1))) == 4


def test_draws_follow_the_model_s_probabilities() -> None:
    """First tokens of 4,000 rows against the softmax, at a temperature other than one."""
    model = tiny_model("llama")
    limits = DecodingLimits(tokens=1, end_ids=frozenset(), finished=lambda ids: False)
    (rows,) = decode(model, [Prompt(PROMPT, 4000, 5)], temperature=2.0, limits=limits)
    with torch.no_grad():
        due = torch.softmax(model(torch.tensor([PROMPT])).logits[0, -1] / 2.0, -1)
    counts = torch.bincount(torch.tensor([row.ids[0] for row in rows]), minlength=VOCABULARY)
    assert float((counts / 4000 - due).abs().sum()) < 0.2


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0])
def test_guesses_change_the_steps_and_not_the_samples(
    name: str, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right guesses, wrong ones and none give the same rows; right ones take far fewer steps."""
    model = tiny_model(name)
    prompts = [Prompt(PROMPT, 3, 1), Prompt(PROMPT[:9], 2, 2)]
    limits = DecodingLimits(tokens=80, end_ids=frozenset({7}), finished=ragged)
    if temperature == 0:
        limits = NEVER
    steps: list[int] = []
    real = local_decoding.LeanModel.__call__

    def counted(self: LeanModel, reading: Reading, *caches: Any) -> torch.Tensor:
        steps.append(len(reading.tokens))
        return real(self, reading, *caches)

    def sample(likely: list[tuple[int, ...]]) -> list[list[Continuation]]:
        steps.clear()
        return decode(model, prompts, temperature=temperature, limits=limits, likely=likely)

    monkeypatch.setattr(local_decoding.LeanModel, "__call__", counted)
    plain = sample([])
    longest = max(len(row.ids) for rows in plain for row in rows)
    right = [
        (*prompt.ids[-1:], *row.ids)
        for prompt, rows in zip(prompts, plain, strict=True)
        for row in rows
    ]
    assert sample(right) == plain
    assert len(steps) < longest
    assert sample([tuple(range(VOCABULARY)) * 3]) == plain
    monkeypatch.setattr(local_decoding._SharedPromptDecoder, "reads_guesses", False)
    assert sample([]) == plain
    assert len(steps) == longest - 1


def test_a_row_ends_within_its_guesses() -> None:
    """An end token, or the limit, in the middle of right guesses: nothing after it is taken."""
    model = tiny_model("llama")
    (whole,) = decode(model, [Prompt(PROMPT, 1, 0)], temperature=0, limits=NEVER)[0]
    likely = [(*PROMPT, *whole.ids)]
    for tokens in (1, 2, 5, 11, 30):
        limits = DecodingLimits(tokens=tokens, end_ids=frozenset(), finished=lambda ids: False)
        (row,) = decode(model, [Prompt(PROMPT, 1, 0)], temperature=0, limits=limits, likely=likely)[
            0
        ]
        assert row == Continuation(whole.ids[:tokens], truncated=True)
        end = frozenset({whole.ids[tokens]})
        limits = DecodingLimits(tokens=90, end_ids=end, finished=lambda ids: False)
        (row,) = decode(model, [Prompt(PROMPT, 1, 0)], temperature=0, limits=limits, likely=likely)[
            0
        ]
        assert row.ids == whole.ids[: whole.ids.index(whole.ids[tokens]) + 1]
        assert not row.truncated


def test_joined_weights_are_held_once_and_stay_the_model_s() -> None:
    """After sampling, the model's projections are views of the joint ones and compute the same."""
    model, untouched = tiny_model("qwen2"), tiny_model("qwen2")
    decode(model, [Prompt(PROMPT, 1, 0)], temperature=0, limits=NEVER)
    attention = model.model.layers[0].self_attn
    storage = attention.q_proj.weight.untyped_storage().data_ptr()
    assert attention.k_proj.weight.untyped_storage().data_ptr() == storage
    with torch.no_grad():
        ids = torch.tensor([PROMPT])
        assert torch.allclose(model(ids).logits, untouched(ids).logits)


def test_modules_that_are_no_plain_projections_are_left_alone() -> None:
    """A model whose linear layers were replaced (quantised, wrapped) is stepped as it is."""
    model = tiny_model("llama")
    assert is_lean(model)

    class Wrapped(torch.nn.Linear):
        pass

    model.model.layers[0].mlp.up_proj.__class__ = Wrapped
    assert not is_lean(model)


@given(
    texts=st.lists(st.lists(st.integers(0, 5), max_size=40), max_size=4),
    ids=st.lists(st.integers(0, 5), min_size=1, max_size=20),
)
def test_guesses_are_what_followed_the_longest_known_span(
    texts: list[list[int]], ids: list[int]
) -> None:
    """Against a search by hand: the last place of the longest of the spans 8, 4, 2, 1."""
    lookup = Lookup(texts)
    due: list[int] = []
    for span, most in ((8, 12), (4, 6), (2, 3), (1, 1)):
        found = [
            text[at : at + most]
            for text in texts
            for at in range(span, len(text))
            if text[at - span : at] == ids[-span:]
        ]
        if found:
            due = found[-1]
            break
    assert lookup.guess(ids) == due
