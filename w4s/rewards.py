"""From accuracies to rewards. Pure arithmetic (paper, section 3; the variants are METHOD's)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RewardKind = Literal["discrete", "continuous"]
_LOW_ACCURACY = 0.3


@dataclass(frozen=True, slots=True)
class RewardRule:
    """Which reward, and what is subtracted from it.

    `low_accuracy_penalty` is taken off below accuracy 0.3; `safety_weight` times the share of
    problems with a violation is taken off always.
    """

    kind: RewardKind = "discrete"
    low_accuracy_penalty: float = 0.0
    safety_weight: float = 0.0


def reward(
    rule: RewardRule, *, accuracy: float, previous: float, best: float, violation_rate: float = 0.0
) -> float:
    """Return the reward of reaching `accuracy` after `previous`, with `best` the best before.

    discrete: 1 above the best, 0.5 above the previous only, else 0. continuous:
    (accuracy - best) / best; where best is 0, 1 for any accuracy above it and 0 otherwise.
    """
    if rule.kind == "discrete":
        value = 1.0 if accuracy > best else 0.5 if accuracy > previous else 0.0
    else:
        value = (accuracy - best) / best if best > 0 else float(accuracy > 0)
    if accuracy < _LOW_ACCURACY:
        value -= rule.low_accuracy_penalty
    return value - rule.safety_weight * violation_rate
