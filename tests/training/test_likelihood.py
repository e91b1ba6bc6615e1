"""Scores say which actions training has made more likely."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from tests.training.tiny_models import byte_tokenizer, tiny_policy
from tests.training.trajectory_fakes import windows
from w4s.policy.local_chat import prompt_ids, reply_ids
from w4s.policy.local_model import load_model
from w4s.training.likelihood import ActionScore, high_reward_shares, reward_gaps, score_actions
from w4s.training.samples import Sample, trajectory_samples
from w4s.types import Message

STATE = (Message("user", "s"),)


def score(reward: float, log_likelihood: float, *, tree: str = "t") -> ActionScore:
    return ActionScore(Sample(STATE, "r", reward, tree), log_likelihood, 10)


def test_scores_are_the_model_s_own(tmp_path: Path) -> None:
    """A sample's score is the sum of its action tokens' log-probabilities, path by path."""
    policy = tiny_policy(tmp_path)
    samples = trajectory_samples(windows(2), objective="sft")
    found = score_actions(samples, policy=policy, adapter=None)
    model = load_model(policy.model, dtype=torch.float32, device=torch.device("cpu"))
    tokenizer = byte_tokenizer()
    assert [item.sample for item in found] == samples
    for item in found:
        prompt = prompt_ids(tokenizer, item.sample.state)
        action = reply_ids(tokenizer, item.sample.state, item.sample.reply)
        with torch.no_grad():
            logits = model(torch.tensor([prompt + action])).logits[0, len(prompt) - 1 : -1]
        due = torch.log_softmax(logits, -1)[torch.arange(len(action)), torch.tensor(action)].sum()
        assert item.log_likelihood == pytest.approx(float(due), rel=1e-4)
        assert item.tokens == len(action)


def test_share_is_of_the_candidates_of_one_state() -> None:
    """States whose rewards are equal say nothing and are left out."""
    scores = [
        score(1.0, math.log(0.3)),
        score(0.0, math.log(0.1)),
        score(0.5, -3.0, tree="other"),
        score(0.5, -4.0, tree="other"),
    ]
    assert high_reward_shares(scores) == [pytest.approx(0.75)]


def test_gap_is_what_high_rewards_gained_over_the_rest() -> None:
    """In nats a token: 3 nats over 10 tokens against a loss of 1."""
    before = [score(1.0, -20.0), score(0.0, -30.0)]
    after = [score(1.0, -17.0), score(0.0, -31.0)]
    assert reward_gaps(before, after) == [pytest.approx(0.4)]
