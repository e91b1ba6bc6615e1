"""Candidates sampled over one reading of the prompt are those of plain sampling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    Lfm2Config,
    Lfm2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
)

from tests.training.tiny_models import ARCHITECTURES, VOCABULARY, tiny_model
from w4s.policy import local_decoders
from w4s.policy.local_attention import RowCache
from w4s.policy.local_decoders import decoder_of
from w4s.policy.local_decoding import (
    Abandoned,
    Continuation,
    DecodingLimits,
    Prompt,
    decode,
)
from w4s.policy.local_lean import LeanModel, Reading, is_lean
from w4s.policy.local_lookup import Lookup

PROMPT = tuple(range(3, 40))
NEVER = DecodingLimits(tokens=90, end_ids=frozenset(), finished=lambda ids: False)
SHORT = DecodingLimits(tokens=30, end_ids=frozenset(), finished=lambda ids: False)


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
    monkeypatch.setattr(local_decoders, "is_lean", lambda model: False)
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
    real = LeanModel.__call__

    def counted(self: LeanModel, reading: Reading, *caches: Any) -> torch.Tensor:
        steps.append(len(reading.tokens))
        return real(self, reading, *caches)

    def sample(likely: list[tuple[int, ...]]) -> list[list[Continuation]]:
        steps.clear()
        return decode(model, prompts, temperature=temperature, limits=limits, likely=Lookup(likely))

    monkeypatch.setattr(LeanModel, "__call__", counted)
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
    monkeypatch.setattr(type(decoder_of(model)), "reads_guesses", False)
    assert sample([]) == plain
    assert len(steps) == longest - 1


def test_a_row_ends_within_its_guesses() -> None:
    """An end token, or the limit, in the middle of right guesses: nothing after it is taken."""
    model = tiny_model("llama")
    (whole,) = decode(model, [Prompt(PROMPT, 1, 0)], temperature=0, limits=NEVER)[0]
    likely = Lookup([(*PROMPT, *whole.ids)])
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


def test_joined_weights_can_change_move_and_be_saved(tmp_path: Path) -> None:
    """Sampling follows weights changed in place, replaced or moved; a saved model is the same."""
    model = tiny_model("qwen2")
    layer = model.model.layers[0]

    def check() -> None:
        (row,) = decode(model, [Prompt(PROMPT, 1, 0)], temperature=0, limits=SHORT)[0]
        assert row.ids == greedy(model, PROMPT, SHORT.tokens)

    with torch.no_grad():
        check()
        layer.self_attn.v_proj.bias.add_(2.0)
        check()
        layer.mlp.gate_proj.weight = torch.nn.Parameter(-2 * layer.mlp.gate_proj.weight)
        check()
        model.to(torch.float64).to(torch.float32)  # type: ignore[arg-type]  # as in local_model
        layer.self_attn.k_proj.weight.mul_(-1)
        check()
    model.save_pretrained(tmp_path)
    saved = type(model).from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(saved[name], weight) for name, weight in model.state_dict().items())


def test_modules_that_are_no_plain_projections_are_left_alone() -> None:
    """A model whose linear layers were replaced (quantised, wrapped) is stepped as it is."""
    model = tiny_model("llama")
    assert is_lean(model)

    class Wrapped(torch.nn.Linear):
        pass

    model.model.layers[0].mlp.up_proj.__class__ = Wrapped
    assert not is_lean(model)

    class Scaled(LlamaForCausalLM):  # type: ignore[no-untyped-call]  # transformers' subclassing
        """Computes logits of its own under the model type llama."""

    model = tiny_model("llama")
    model.__class__ = Scaled
    assert not is_lean(model)
    moved = tiny_model("llama")
    moved.model.layers[0].forward = moved.model.layers[0].forward  # as put off by accelerate
    assert not is_lean(moved)


def llama(**config: Any) -> PreTrainedModel:
    """Return a random model with llama's layers in another shape."""
    tiny = tiny_model("llama")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(LlamaConfig(**(tiny.config.to_dict() | config)))
        for parameter in model.parameters():
            if parameter.dim() > 1 or parameter.shape[0] != tiny.config.hidden_size:
                torch.nn.init.normal_(parameter, std=0.2)
    return model


def rope(kind: str, **more: Any) -> dict[str, Any]:
    parameters = {"rope_type": kind, "rope_theta": 10000.0, "factor": 4.0, **more}
    return {"rope_parameters": parameters}


@pytest.mark.parametrize(
    "config",
    [
        {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
        {"head_dim": 16, "num_key_value_heads": 1, "hidden_act": "gelu"},
        rope("linear"),
        rope("yarn", original_max_position_embeddings=48),
        rope(
            "llama3",
            low_freq_factor=1.0,
            high_freq_factor=4.0,
            original_max_position_embeddings=48,
        ),
    ],
    ids=["biases", "heads", "linear", "yarn", "llama3"],
)
@torch.no_grad()
def test_shapes_and_rotations_of_llama_are_computed(config: dict[str, Any]) -> None:
    """Two prompts, past the rotation's first context, with wrong guesses."""
    model = llama(**config)
    assert is_lean(model)
    prompts = [Prompt(PROMPT, 2, 0), Prompt(PROMPT[:11], 1, 0)]
    likely = Lookup([tuple(range(VOCABULARY)) * 2])
    found = decode(model, prompts, temperature=0, limits=SHORT, likely=likely)
    due = [greedy(model, PROMPT, SHORT.tokens), greedy(model, PROMPT[:11], SHORT.tokens)]
    assert [[row.ids for row in rows] for rows in found] == [[due[0]] * 2, [due[1]]]


@pytest.mark.parametrize(
    "config",
    [
        {"max_position_embeddings": 48, **rope("dynamic")},
        rope(
            "longrope",
            short_factor=[1.0] * 4,
            long_factor=[3.0] * 4,
            original_max_position_embeddings=48,
        ),
    ],
    ids=["dynamic", "longrope"],
)
def test_rotations_that_depend_on_the_batch_are_left_to_transformers(
    config: dict[str, Any],
) -> None:
    """Their angles change with the longest text read, so neither guesses nor neighbours may."""
    model = llama(**config)
    assert not is_lean(model)
    due = model.generate(  # type: ignore[operator]
        torch.tensor([PROMPT]), do_sample=False, max_new_tokens=SHORT.tokens, eos_token_id=None
    )[0, len(PROMPT) :]
    (row,) = decode(
        model, [Prompt(PROMPT, 1, 0)], temperature=0, limits=SHORT, likely=Lookup([PROMPT * 2])
    )[0]
    assert row.ids == tuple(due.tolist())


@pytest.mark.parametrize(("dtype", "apart"), [(torch.float32, 1e-4), (torch.bfloat16, 0.2)])
@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
@torch.no_grad()
def test_steps_give_the_logits_of_reading_the_whole(
    name: str, dtype: torch.dtype, apart: float
) -> None:
    """Rows of two prompts read unlike numbers of guesses, keep some, and one row leaves."""
    model = tiny_model(name).to(dtype)  # type: ignore[arg-type]  # as in local_model
    decoder = decoder_of(model)
    texts = [list(PROMPT), list(PROMPT), list(PROMPT[:9])]
    decoder.read(torch.tensor([PROMPT]), 2)
    decoder.read(torch.tensor([PROMPT[:9]]), 1)
    decoder.start()
    decoder.settle([1, 1, 1])
    for step in range(12):
        if step == 6:
            decoder.keep([0, 2])
            del texts[1]
        reads = [[step + 5 + row, *range(1, (step + 3 * row) % 14)] for row in range(len(texts))]
        logits = decoder.step(reads)
        for text, read in zip(texts, reads, strict=True):
            due = model(torch.tensor([text + read])).logits[0, -len(read) :]
            assert float((logits[: len(read)] - due).abs().max()) < apart
            logits = logits[len(read) :]
        kept = [1 + (step + row) % len(read) for row, read in enumerate(reads)]
        texts = [text + read[:count] for text, read, count in zip(texts, reads, kept, strict=True)]
        decoder.settle(kept)


def test_wrong_guesses_take_no_room_and_pass_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows' cache is as long as the longest row; no position passes the last token's."""
    columns, positions = [], []
    real_open, real_call = RowCache.open, LeanModel.__call__

    def opened(self: RowCache, width: int) -> torch.Tensor:
        mask = real_open(self, width)
        columns.append(mask.shape[-1])
        return mask

    def called(self: LeanModel, reading: Reading, *caches: Any) -> torch.Tensor:
        positions.append(int(reading.positions.max()))
        return real_call(self, reading, *caches)

    monkeypatch.setattr(RowCache, "open", opened)
    monkeypatch.setattr(LeanModel, "__call__", called)
    monkeypatch.setattr(Lookup, "guess", lambda self, ids: [0] * 12)
    decode(tiny_model("llama"), [Prompt(PROMPT, 2, 0)], temperature=1.0, limits=NEVER)
    assert max(columns) == 128  # of 90 tokens, in steps of 64
    assert max(positions) == len(PROMPT) + NEVER.tokens - 2  # the last token is read by no step


def test_an_abandoned_batch_reads_no_further_prompt() -> None:
    """Whoever waits may leave while many prompts are read, which takes longer than any step."""
    asked = iter([False, True])
    limits = DecodingLimits(9, frozenset(), lambda ids: False, lambda: next(asked))
    model, read = tiny_model("llama"), []
    model.register_forward_pre_hook(lambda *_: read.append(1))
    with pytest.raises(Abandoned):
        decode(model, [Prompt(PROMPT, 2, 0)] * 5, temperature=1.0, limits=limits)
    assert len(read) == 1


@torch.no_grad()
def test_layers_that_hold_a_state_are_copied_too() -> None:
    """A model of convolution and attention layers (LFM2), two prompts in a batch."""
    tiny = tiny_model("llama").config.to_dict()
    shape = {key: tiny[key] for key in ("vocab_size", "hidden_size", "intermediate_size")}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Lfm2ForCausalLM(
            Lfm2Config(
                **shape,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                layer_types=["conv", "full_attention"],
            )
        )
    model.train(False)
    prompts = [Prompt(PROMPT, 2, 0), Prompt(PROMPT[:11], 1, 0)]
    found = decode(model, prompts, temperature=0, limits=SHORT)
    due = [greedy(model, PROMPT, SHORT.tokens), greedy(model, PROMPT[:11], SHORT.tokens)]
    assert [[row.ids for row in rows] for rows in found] == [[due[0]] * 2, [due[1]]]


@given(
    texts=st.lists(st.lists(st.integers(0, 5), max_size=40), max_size=4),
    ids=st.lists(st.integers(0, 5), min_size=1, max_size=20),
)
def test_guesses_are_what_followed_the_longest_known_span(
    texts: list[list[int]], ids: list[int]
) -> None:
    """Against a search by hand: the last place of the longest of the spans 8, 4, 2, 1."""
    lookup = Lookup(texts[2:], below=Lookup(texts[:2]))
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
