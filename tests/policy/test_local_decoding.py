"""Candidates sampled over one reading of the prompt are those of plain sampling."""

from __future__ import annotations

import pytest
import torch
from transformers import PreTrainedModel

from tests.training.tiny_models import ARCHITECTURES, VOCABULARY, tiny_model
from w4s.policy import local_decoding
from w4s.policy.local_decoding import Continuation, DecodingLimits, Prompt, decode

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
    monkeypatch.setattr(local_decoding, "shares_prompts", lambda model: False)
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
