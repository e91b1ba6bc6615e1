"""Intervals and tests agree with published values and keep their invariants."""

from __future__ import annotations

import math
import random
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from w4s.statistics import (
    accuracy_interval,
    bootstrap_interval,
    mcnemar_exact,
    paired_difference,
    spread_over_seeds,
    wilson_interval,
)

shares = st.integers(1, 400).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))
marks = st.lists(st.floats(0, 1, allow_nan=False), min_size=1, max_size=60)
pairs = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


def test_wilson_agrees_with_published_values() -> None:
    """81 of 263 gives (0.2553, 0.3662), the example of Newcombe (1998), Table I."""
    interval = wilson_interval(81, 263)
    assert interval.low == pytest.approx(0.2553, abs=5e-5)
    assert interval.high == pytest.approx(0.3662, abs=5e-5)


def test_wilson_at_the_edges_touches_them_and_no_more() -> None:
    """0 of 20 gives (0, 0.1611): Newcombe (1998), Table I."""
    interval = wilson_interval(0, 20)
    assert (interval.low, interval.high) == (0.0, pytest.approx(0.1611, abs=5e-5))
    assert wilson_interval(20, 20).high == 1.0


@given(shares)
def test_wilson_is_ordered_and_mirrored(share: tuple[int, int]) -> None:
    """The share lies inside its interval, and right and wrong answers mirror each other."""
    correct, total = share
    interval = wilson_interval(correct, total)
    mirrored = wilson_interval(total - correct, total)
    assert 0 <= interval.low <= interval.estimate <= interval.high <= 1
    assert interval.low == pytest.approx(1 - mirrored.high, abs=1e-12)


@pytest.mark.parametrize(("correct", "total"), [(1, 0), (-1, 3), (4, 3)])
def test_wilson_refuses_what_is_no_share(correct: int, total: int) -> None:
    """Impossible counts raise with both numbers in the message."""
    with pytest.raises(ValueError, match=f"{correct} of {total}"):
        wilson_interval(correct, total)


@settings(max_examples=30, deadline=None)
@given(marks, st.integers(0, 2**31))
def test_bootstrap_stays_within_the_scores_and_repeats(scores: list[float], seed: int) -> None:
    """The interval lies between the least and the greatest score, and a seed gives it again."""
    interval = bootstrap_interval(scores, seed=seed, resamples=200)
    assert min(scores) - 1e-9 <= interval.low <= interval.high <= max(scores) + 1e-9
    assert interval == bootstrap_interval(scores, seed=seed, resamples=200)


def test_bootstrap_agrees_with_the_normal_interval_on_many_scores() -> None:
    """On 1,000 answers the percentile interval is the normal one to a hundredth."""
    scores = [1.0] * 700 + [0.0] * 300
    half = 1.96 * math.sqrt(0.7 * 0.3 / 1000)
    interval = bootstrap_interval(scores, seed=1)
    assert interval.low == pytest.approx(0.7 - half, abs=0.003)
    assert interval.high == pytest.approx(0.7 + half, abs=0.003)


def test_bootstrap_is_vectorised() -> None:
    """Ten thousand resamples of 500 scores take a fraction of a second, not a Python loop."""
    start = time.perf_counter()
    bootstrap_interval([0.0, 1.0] * 250, seed=0)
    assert time.perf_counter() - start < 2


def test_accuracy_of_marks_is_wilson_and_of_parts_is_bootstrap() -> None:
    """Right-or-wrong scores get Wilson's interval, F1 scores the bootstrap's."""
    assert accuracy_interval([1.0, 0.0, 1.0], seed=0) == wilson_interval(2, 3)
    assert accuracy_interval([0.5, 0.25], seed=3) == bootstrap_interval([0.5, 0.25], seed=3)


def test_equal_parts_of_points_have_an_interval_of_some_width() -> None:
    """Six answers of half a point each do not prove that every answer gets half a point."""
    interval = accuracy_interval([0.5] * 6, seed=0)
    assert interval == wilson_interval(3, 6)
    one = accuracy_interval([0.25], seed=0)
    assert one.low < 0.1 < 0.25 < 0.6 < one.high


@pytest.mark.parametrize("whole", [True, False])
def test_equal_methods_are_seldom_called_different(whole: bool) -> None:
    """Of 400 pairs of equal methods about one in twenty has p < 0.05, whole points or parts."""
    rng = np.random.default_rng(6)
    found = []
    for seed in range(400):
        first, second = rng.random((2, 40))
        if whole:
            first, second = np.round(first), np.round(second)
        found.append(paired_difference(first, second, seed=seed, resamples=1000).p_value)
    assert sum(p < 0.05 for p in found) < 0.08 * len(found)


def test_paired_difference_sees_what_unpaired_intervals_hide() -> None:
    """A method that solves the same problems and ten more is better with p < 0.01."""
    first = [1.0] * 60 + [0.0] * 40
    second = [1.0] * 50 + [0.0] * 50
    result = paired_difference(first, second, seed=0)
    assert result.estimate == pytest.approx(0.1)
    assert result.low > 0
    assert result.p_value < 0.01


@settings(max_examples=30, deadline=None)
@given(pairs)
def test_paired_difference_is_antisymmetric(answers: list[tuple[bool, bool]]) -> None:
    """Exchanging the methods turns the sign, and no p-value is 0 or above 1."""
    first = [float(a) for a, _ in answers]
    second = [float(b) for _, b in answers]
    forth = paired_difference(first, second, seed=5, resamples=300)
    back = paired_difference(second, first, seed=5, resamples=300)
    assert forth.estimate == pytest.approx(-back.estimate)
    assert forth.low == pytest.approx(-back.high)
    assert 0 < forth.p_value <= 1


def test_equal_methods_have_p_one() -> None:
    """The same answers on every problem are no evidence at all."""
    scores = [1.0, 0.0, 1.0]
    assert paired_difference(scores, scores, seed=0).p_value == 1.0
    assert mcnemar_exact(scores, scores).p_value == 1.0


@pytest.mark.parametrize("problems", [1, 2, 3, 5])
def test_a_few_problems_are_no_strong_evidence(problems: int) -> None:
    """All won of a few: resampling sees no spread at all, and p is no less than McNemar's."""
    first, second = [1.0] * problems, [0.0] * problems
    found = paired_difference(first, second, seed=0).p_value
    assert found == mcnemar_exact(first, second).p_value == 2.0 ** (1 - problems)


def test_mcnemar_agrees_with_the_binomial_by_hand() -> None:
    """Eight against two discordant problems: p = 2 * (1 + 10 + 45) / 1024."""
    first = [1.0] * 8 + [0.0] * 2 + [1.0] * 5
    second = [0.0] * 8 + [1.0] * 2 + [1.0] * 5
    result = mcnemar_exact(first, second)
    assert (result.only_first, result.only_second) == (8, 2)
    assert result.p_value == pytest.approx(2 * 56 / 1024)


def test_mcnemar_survives_thousands_of_problems() -> None:
    """Powers of two beyond a float's range do not overflow."""
    first = [1.0, 0.0] * 1500
    second = [0.0, 1.0] * 1500
    assert mcnemar_exact(first, second).p_value == 1.0
    assert mcnemar_exact([1.0] * 3000, [0.0] * 3000).p_value == 0.0
    assert mcnemar_exact(list(np.array(first)), list(np.array(second))).p_value == 1.0


@given(pairs)
def test_mcnemar_is_symmetric(answers: list[tuple[bool, bool]]) -> None:
    """Exchanging the methods exchanges the counts and keeps the p-value."""
    first = [float(a) for a, _ in answers]
    second = [float(b) for _, b in answers]
    forth, back = mcnemar_exact(first, second), mcnemar_exact(second, first)
    assert forth.p_value == back.p_value
    assert (forth.only_first, forth.only_second) == (back.only_second, back.only_first)
    assert 0 <= forth.p_value <= 1


def test_unequal_lengths_cannot_be_paired() -> None:
    """Both paired functions refuse scores of different problems."""
    with pytest.raises(ValueError, match="2 and 1"):
        paired_difference([1.0, 0.0], [1.0], seed=0)
    with pytest.raises(ValueError, match="2 and 1"):
        mcnemar_exact([1.0, 0.0], [1.0])


def test_spread_of_one_seed_is_none_and_of_several_the_sample_deviation() -> None:
    """One seed has deviation 0; (1, 2, 3) has mean 2 and deviation 1."""
    assert spread_over_seeds([0.4]).deviation == 0.0
    spread = spread_over_seeds([1.0, 2.0, 3.0])
    assert (spread.mean, spread.deviation, spread.low, spread.high, spread.seeds) == (2, 1, 1, 3, 3)


@pytest.mark.parametrize("scores", [[], [math.nan], [math.inf]])
def test_missing_or_infinite_scores_are_refused(scores: list[float]) -> None:
    """No scores and scores that are not numbers raise instead of giving nan."""
    with pytest.raises(ValueError, match="finite"):
        bootstrap_interval(scores, seed=0)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_impossible_confidence_levels_are_refused(level: float) -> None:
    """A level given in per cent, say, raises."""
    with pytest.raises(ValueError, match="confidence level"):
        wilson_interval(1, 2, level=level)


def test_strata_take_their_own_spread_out_of_the_interval() -> None:
    """Scores that differ between benchmarks and not within them leave nothing to resample."""
    scores, strata = [1.0] * 5 + [0.2] * 5, ["sums"] * 5 + ["bits"] * 5
    pooled = bootstrap_interval(scores, seed=0)
    within = bootstrap_interval(scores, seed=0, strata=strata)
    assert pooled.high - pooled.low > 0.3
    assert within.low == pytest.approx(0.6)
    assert within.high == pytest.approx(0.6)


def test_strata_in_any_order_are_resampled_by_themselves() -> None:
    """Against the exact spread of a mean over strata: the root of the sum of their variances."""
    rng = random.Random(4)
    strata = [rng.choice("abc") for _ in range(400)]
    mean = {"a": 0.0, "b": 3.0, "c": 9.0}
    scores = [mean[name] + rng.gauss(0, 1) for name in strata]
    interval = bootstrap_interval(scores, seed=1, strata=strata)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / 400**0.5, rel=0.15)
    with pytest.raises(ValueError, match="400 scores and 1 names"):
        bootstrap_interval(scores, seed=1, strata=["a"])
