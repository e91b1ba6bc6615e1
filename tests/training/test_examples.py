"""Samples become exactly the tokens that sampling used, with loss on the action alone."""

from __future__ import annotations

import logging

import pytest

from tests.training.tiny_models import byte_tokenizer
from tests.training.trajectory_fakes import broken, candidate, windows
from w4s.errors import TrainingError, WeightsError
from w4s.training.examples import write_examples
from w4s.training.packing import tree_batch
from w4s.training.samples import Sample, pair_samples, trajectory_samples
from w4s.types import Message, Trajectory, Turn

STATE = (Message("system", "S"), Message("user", "hi"))


def pieces(*parts: str | int) -> tuple[int, ...]:
    """Tokens written out by hand: numbers are tokens, strings are bytes."""
    letters = byte_tokenizer().get_vocab()
    tokens: list[int] = []
    for part in parts:
        if isinstance(part, int):
            tokens.append(part)
        else:
            tokens.extend(letters[{"\n": "Ċ", " ": "Ġ"}.get(letter, letter)] for letter in part)
    return tuple(tokens)


START, END = 0, 1
PROMPT = pieces(START, "system\nS", END, "\n", START, "user\nhi", END, "\n", START, "assistant\n")


def one(reply: str, *, state: tuple[Message, ...] = STATE, context: int = 500):
    sample = Sample(state, reply, 1.0, "t")
    return write_examples([sample], [2.5], tokenizer=byte_tokenizer(), context=context)[0]


def test_tokens_are_those_of_the_chat_template() -> None:
    """Prompt, action and end of turn, token by token; nothing of the template after the end."""
    example = one("ab c")
    assert example.prompt == PROMPT
    assert example.action == pieces("ab c", END)
    assert (example.weight, example.reward, example.truncated) == (2.5, 1.0, False)


def test_prompt_keeps_its_tokens_when_the_reply_would_merge_with_it() -> None:
    """A reply that begins with a newline is not merged with the newline that ends the prompt."""
    example = one("\nx")
    assert example.prompt == PROMPT
    assert example.action == pieces("\nx", END)


def test_only_action_tokens_bear_loss() -> None:
    """Each entry's target is an action token, and its source the place just before it."""
    batch = tree_batch([one("ab"), one("cd", state=(*STATE, Message("assistant", "q")))])
    tokens = batch.tokens[0].tolist()
    assert batch.targets.tolist() == list(pieces("ab", END, "cd", END))
    before = [tokens[place] for place in batch.sources.tolist()]
    assert before == list(pieces("\nab", "\ncd"))
    assert batch.weights.tolist() == [2.5] * 6


def test_second_turn_shares_the_chosen_action_with_the_first() -> None:
    """A window's tree holds the state once, and the chosen action in both its parts once."""
    trajectory = windows(1)[0]
    samples = trajectory_samples([trajectory], objective="sft")
    examples = write_examples(samples, [1.0] * 6, tokenizer=byte_tokenizer(), context=500)
    first, second = examples[0].prompt, examples[3].prompt
    chosen = trajectory.turns[0].chosen
    assert chosen is not None
    assert second[: len(first) + 21] == first + examples[chosen].action
    branches = sum(len(e.action) for e in examples) - len(examples[chosen].action)
    assert tree_batch(examples).tokens.shape[1] == len(second) + branches


def test_action_beyond_the_context_is_cut_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """It is never cut silently, and the example says so."""
    with caplog.at_level(logging.WARNING):
        example = one("abcdefgh", context=len(PROMPT) + 3)
    assert example.truncated
    assert example.action == pieces("abc")
    assert "1 of 1 actions were cut" in caplog.text


def test_state_beyond_the_context_is_refused() -> None:
    """The message says by how much, and what to lower."""
    with pytest.raises(TrainingError, match=r"6 more .*policy\.prompt_tokens"):
        one("ab", context=len(PROMPT) - 5)


def test_tokenizer_without_template_is_refused() -> None:
    """There is no way to know the exact tokens without one."""
    sample = Sample(STATE, "ab", 1.0, "t")
    with pytest.raises(WeightsError, match="no chat template"):
        write_examples([sample], [1.0], tokenizer=byte_tokenizer(template=None), context=500)


def turn_of(*candidates) -> list[Trajectory]:
    turn = Turn(0, STATE, candidates, 1)
    return [Trajectory(benchmark="b", episode=0, window=0, seed=0, policy="p", turns=(turn,))]


def test_sft_best_keeps_the_chosen_candidate_only() -> None:
    """The other objectives keep all evaluated ones; broken ones leave no sample."""
    made = turn_of(candidate(0, "a", 0.0), candidate(1, "b", 1.0), broken(2))
    assert [s.reply for s in trajectory_samples(made, objective="rwr")] == ["a", "b"]
    assert [s.reply for s in trajectory_samples(made, objective="sft_best")] == ["b"]


def test_inaccurate_candidates_are_dropped() -> None:
    """At most the bound counts as broken; without a bound all stay."""
    made = turn_of(candidate(0, "a", 0.0, accuracy=0.05), candidate(1, "b", 1.0))
    kept = trajectory_samples(made, objective="rwr", min_accuracy=0.05)
    assert [s.reply for s in kept] == ["b"]


def test_no_sample_left_is_refused() -> None:
    """The message counts what there was and names the settings."""
    with pytest.raises(TrainingError, match=r"No sample is left of 1 .*collect\.min_accuracy"):
        trajectory_samples(turn_of(broken(0)), objective="rwr")
    with pytest.raises(TrainingError, match=r"warm_start\.samples"):
        pair_samples([])
