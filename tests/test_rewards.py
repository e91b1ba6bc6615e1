import pytest
from hypothesis import given
from hypothesis import strategies as st

from w4s.rewards import RewardRule, reward

accuracies = st.floats(0, 1)
DISCRETE = RewardRule()


@pytest.mark.parametrize(
    ("accuracy", "previous", "best", "expected"),
    [(0.7, 0.5, 0.6, 1.0), (0.6, 0.5, 0.6, 0.5), (0.5, 0.5, 0.6, 0.0), (0.4, 0.5, 0.6, 0.0)],
)
def test_discrete_reward(accuracy: float, previous: float, best: float, expected: float) -> None:
    """1 above the best, one half above the previous only, else 0; equal is not above."""
    assert reward(DISCRETE, accuracy=accuracy, previous=previous, best=best) == expected


def test_continuous_reward_is_the_relative_gain() -> None:
    """(v - best) / best, which is negative below the best."""
    rule = RewardRule(kind="continuous")
    assert reward(rule, accuracy=0.6, previous=0, best=0.5) == pytest.approx(0.2)
    assert reward(rule, accuracy=0.4, previous=0, best=0.5) == pytest.approx(-0.2)


@pytest.mark.parametrize(("accuracy", "expected"), [(0.1, 1.0), (0.0, 0.0)])
def test_continuous_reward_after_nothing_worked(accuracy: float, expected: float) -> None:
    """Where the best is 0, any right answer is a full gain, and none is no gain."""
    rule = RewardRule(kind="continuous")
    assert reward(rule, accuracy=accuracy, previous=0, best=0) == expected


def test_the_low_accuracy_penalty_stops_at_three_tenths() -> None:
    """The authors' code subtracts it below 0.3 only."""
    rule = RewardRule(low_accuracy_penalty=0.1)
    assert reward(rule, accuracy=0.29, previous=0.0, best=0.0) == pytest.approx(0.9)
    assert reward(rule, accuracy=0.3, previous=0.0, best=0.0) == 1.0


def test_violations_cost_by_their_share() -> None:
    """The safety reward takes off weight times share."""
    rule = RewardRule(safety_weight=2.0)
    value = reward(rule, accuracy=1, previous=0, best=0, violation_rate=0.25)
    assert value == pytest.approx(0.5)


@given(accuracies, accuracies, accuracies, accuracies)
def test_a_more_accurate_candidate_never_earns_less(
    low: float, high: float, previous: float, best: float
) -> None:
    """Rewards are monotone in accuracy, for both kinds."""
    low, high = sorted((low, high))
    best = max(previous, best)
    for rule in (DISCRETE, RewardRule(kind="continuous")):
        worse = reward(rule, accuracy=low, previous=previous, best=best)
        assert worse <= reward(rule, accuracy=high, previous=previous, best=best)
