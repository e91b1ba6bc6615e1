"""Score actions under a policy: which ones training has made more likely.

Trains nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch

from w4s.config import PolicyParams
from w4s.policy.local_model import load_model, load_tokenizer, resolve_device, resolve_dtype
from w4s.training.attention import TREE_ATTENTION, tree_obstacle
from w4s.training.examples import write_examples
from w4s.training.loss import ActionLikelihood, example_sums
from w4s.training.packing import path_batch, tree_batch
from w4s.training.samples import Sample


@dataclass(frozen=True, slots=True)
class ActionScore:
    """log π(a|s) of a sample's action, the sum over its `tokens` tokens, in nats."""

    sample: Sample
    log_likelihood: float
    tokens: int


def score_actions(
    samples: Sequence[Sample], *, policy: PolicyParams, adapter: Path | None
) -> list[ActionScore]:
    """Return the samples' scores, in their order.

    Raises TrainingError, WeightsError.
    """
    device = resolve_device(policy.device)
    dtype = resolve_dtype(policy.dtype, device)
    model = load_model(policy.model, dtype=dtype, device=device, adapter=adapter)
    trees = tree_obstacle(model.config) is None
    if trees:
        model.set_attn_implementation(TREE_ATTENTION)
    scorer = ActionLikelihood(model, plain_head=trees)
    context = int(model.config.max_position_embeddings)
    tokenizer = load_tokenizer(policy.model)
    scores: list[ActionScore] = []
    for _, group in groupby(samples, key=lambda sample: sample.tree):
        part = list(group)
        examples = write_examples(part, [1.0] * len(part), tokenizer=tokenizer, context=context)
        batch = (tree_batch if trees else path_batch)(examples).to(device)
        with torch.no_grad():
            sums = example_sums(batch, scorer(batch).entries)
        lengths = [len(example.action) for example in examples]
        scores += [ActionScore(*row) for row in zip(part, sums, lengths, strict=True)]
    return scores


def high_reward_shares(scores: Sequence[ActionScore]) -> list[float]:
    """Return, for each state, the share of probability on its candidates of highest reward.

    The probability is that of a state's scored candidates together. States whose candidates all
    have one reward are left out.
    """
    shares = []
    for group in _by_state(scores).values():
        rewards = [score.sample.reward for score in group]
        if len(set(rewards)) == 1:
            continue
        top = max(score.log_likelihood for score in group)
        masses = [math.exp(score.log_likelihood - top) for score in group]
        high = (m for m, reward in zip(masses, rewards, strict=True) if reward == max(rewards))
        shares.append(math.fsum(high) / math.fsum(masses))
    return shares


def reward_gaps(before: Sequence[ActionScore], after: Sequence[ActionScore]) -> list[float]:
    """Return, for each state, how much more its high-reward actions gained than its others.

    In nats a token: the mean gain of the candidates of highest reward minus that of the rest;
    `before` and `after` score the same samples. States with one reward are left out.
    """
    gains = [
        ActionScore(old.sample, (new.log_likelihood - old.log_likelihood) / old.tokens, old.tokens)
        for old, new in zip(before, after, strict=True)
    ]
    gaps = []
    for group in _by_state(gains).values():
        best = max(gain.sample.reward for gain in group)
        high = [gain.log_likelihood for gain in group if gain.sample.reward == best]
        rest = [gain.log_likelihood for gain in group if gain.sample.reward < best]
        if rest:
            gaps.append(math.fsum(high) / len(high) - math.fsum(rest) / len(rest))
    return gaps


def _by_state(scores: Sequence[ActionScore]) -> Mapping[object, list[ActionScore]]:
    groups: dict[object, list[ActionScore]] = {}
    for score in scores:
        groups.setdefault((score.sample.tree, score.sample.state), []).append(score)
    return groups
