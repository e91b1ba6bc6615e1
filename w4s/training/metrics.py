"""What is tracked of each optimiser step, and of the data set as a whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from w4s.training.examples import Example
from w4s.training.weights import effective_sample_size


@dataclass(frozen=True, slots=True)
class StepMetrics:
    """One optimiser step. Log-likelihoods are a token's mean, in nats; None where none applies.

    `high` and `low` are the batch's actions with a reward above the data set's mean, and the
    others. `tokens_per_second` counts root-to-leaf paths, which makes layouts comparable;
    `packed_tokens` is what the model read. `kl` is the mean over probe tokens of
    KL(policy || starting policy), where it was measured.
    """

    step: int
    epoch: int
    loss: float
    learning_rate: float
    gradient_norm: float
    mean_reward: float
    mean_weight: float
    effective_samples: float
    log_likelihood: float
    log_likelihood_high: float | None
    log_likelihood_low: float | None
    samples: int
    action_tokens: int
    packed_tokens: int
    truncated_share: float
    seconds: float
    tokens_per_second: float
    kl: float | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """An example and its log π(a|s), the sum over its action's tokens."""

    example: Example
    log_likelihood: float


def token_mean(scored: Sequence[Scored]) -> float | None:
    """Return the mean log-likelihood of a token, or None without samples."""
    tokens = sum(len(item.example.action) for item in scored)
    return math.fsum(item.log_likelihood for item in scored) / tokens if tokens else None


def batch_figures(scored: Sequence[Scored], *, mean_reward: float) -> dict[str, float | None]:
    """Return the figures of one step that follow from its scored examples."""
    examples = [item.example for item in scored]
    count = len(examples)
    weights = [example.weight for example in examples]
    high = [item for item in scored if item.example.reward > mean_reward]
    low = [item for item in scored if item.example.reward <= mean_reward]
    return {
        "mean_reward": math.fsum(example.reward for example in examples) / count,
        "mean_weight": math.fsum(weights) / count,
        "effective_samples": effective_sample_size(weights),
        "log_likelihood": token_mean(scored),
        "log_likelihood_high": token_mean(high),
        "log_likelihood_low": token_mean(low),
        "truncated_share": sum(example.truncated for example in examples) / count,
    }
