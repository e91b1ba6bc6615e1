"""Weights follow the objective."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from w4s.training.weights import effective_sample_size, sample_weights


def test_rwr_weighs_by_the_exponential_of_the_reward() -> None:
    """Ratios are exp(difference / τ), as the paper's objective has them."""
    low, middle, high = sample_weights([0.0, 0.5, 1.0], objective="rwr", temperature=0.4)
    assert high / low == pytest.approx(math.exp(1 / 0.4))
    assert middle / low == pytest.approx(math.exp(0.5 / 0.4))


@given(st.lists(st.floats(-50, 50), min_size=1), st.sampled_from(["rwr", "sft", "sft_best"]))
@settings(deadline=None)
def test_weights_have_a_mean_of_one(rewards: list[float], objective: str) -> None:
    """So a learning rate means the same under every objective, whatever the rewards."""
    weights = sample_weights(rewards, objective=objective, temperature=0.4)  # type: ignore[arg-type]
    assert math.fsum(weights) / len(weights) == pytest.approx(1.0)


def test_sft_weighs_all_alike() -> None:
    """Rewards do not matter to the ablation."""
    assert sample_weights([0.0, 1.0, 0.3], objective="sft", temperature=0.4) == [1.0, 1.0, 1.0]


def test_effective_sample_size_counts_equal_weights_fully() -> None:
    """It is the number of samples for equal weights, and near one where one dominates."""
    assert effective_sample_size([2.0] * 7) == pytest.approx(7)
    assert effective_sample_size([100.0, 0.001, 0.001]) == pytest.approx(1, abs=1e-3)
