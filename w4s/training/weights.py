"""Turn rewards into weights of the samples: the objectives of training.

`rwr` weighs a sample by exp(reward/τ) (METHOD.md; arXiv 2504.04785, section 3), `sft` and
`sft_best` weigh all alike. The weights of a data set are scaled to a mean of 1, so that a
learning rate means the same under every objective; the paper's sum differs from it by one factor.
Tokens are not weighted: a sample's log-likelihood is the sum over its action's tokens, as in
log π(a|s), and a step divides the sum over its samples by the number of their action tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from w4s.config import Objective


def sample_weights(
    rewards: Sequence[float], *, objective: Objective, temperature: float
) -> list[float]:
    """Return one weight for each reward, with a mean of 1. `temperature` is τ."""
    if not rewards:
        return []
    if objective != "rwr":
        return [1.0] * len(rewards)
    top = max(rewards)  # a common factor that keeps exp in range; the scaling takes it out again
    raw = [math.exp((reward - top) / temperature) for reward in rewards]
    mean = math.fsum(raw) / len(raw)
    return [weight / mean for weight in raw]


def effective_sample_size(weights: Sequence[float]) -> float:
    """Return (Σ w)² / Σ w²: how many equally weighted samples the weights are worth (Kish)."""
    squares = math.fsum(weight * weight for weight in weights)
    return math.fsum(weights) ** 2 / squares if squares else 0.0
