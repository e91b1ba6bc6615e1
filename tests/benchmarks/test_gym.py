"""Benchmarks from reasoning-gym: the same everywhere, and honest verdicts."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from w4s.benchmarks.base import TooFewProblems
from w4s.benchmarks.gym import GymBenchmark
from w4s.benchmarks.gym_catalogue import dataset_names
from w4s.benchmarks.gym_safety import unsafe_reason
from w4s.benchmarks.gym_suite import SUITE_NAMES
from w4s.benchmarks.lossless import decode, encode
from w4s.benchmarks.registry import get_benchmark
from w4s.benchmarks.text import normalise_question
from w4s.errors import ConfigError
from w4s.types import Problem, Score

# these answer with None (any answer that passes) or have no configuration for one
NO_REFERENCE = {"boxnet", "graph_color", "propositional_logic", "rubiks_cube", "rush_hour"}
FINGERPRINT = (
    "import hashlib\n"
    "from w4s.benchmarks.gym_suite import SUITE_NAMES\n"
    "from w4s.benchmarks.registry import get_benchmark\n"
    "rows = [get_benchmark(name).problems(40, seed=3) for name in SUITE_NAMES]\n"
    "print(hashlib.sha256(repr(rows).encode()).hexdigest())"
)
json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.integers()), inner, max_size=3)
    ),
    max_leaves=12,
)


def score(benchmark: GymBenchmark, problem: Problem, answer: str) -> Score:
    return asyncio.run(benchmark.score(problem, answer))


def gym(name: str, **config: object) -> GymBenchmark:
    return GymBenchmark(name, dataset=name, description="", config=config, stable=True)


@pytest.mark.parametrize("name", SUITE_NAMES)
def test_reference_answers_score_one_and_others_zero(name: str) -> None:
    """Every reference answer of the suite is right, another problem's answer is not."""
    benchmark = get_benchmark(name)
    problems = benchmark.problems(40, seed=7)
    for problem, other in zip(problems, problems[1:] + problems[:1], strict=True):
        assert asyncio.run(benchmark.score(problem, problem.answer)).value == 1.0
        if other.answer != problem.answer:
            assert asyncio.run(benchmark.score(problem, other.answer)).value == 0.0


@pytest.mark.parametrize("name", SUITE_NAMES)
def test_problems_are_different_and_enough_for_the_splits(name: str) -> None:
    """The suite has at least 120 different questions in every benchmark."""
    problems = get_benchmark(name).problems(120, seed=0)
    assert len({normalise_question(problem.question) for problem in problems}) == 120
    assert len({problem.id for problem in problems}) == 120


@pytest.mark.parametrize("name", SUITE_NAMES)
def test_no_constant_answer_does_well(name: str) -> None:
    """The commonest answer is right on less than half of the problems."""
    answers = Counter(problem.answer for problem in get_benchmark(name).problems(120, seed=0))
    assert answers.most_common(1)[0][1] < 60


@pytest.mark.slow
def test_problems_do_not_depend_on_the_hash_seed() -> None:
    """Three processes with different hash seeds make the same suite."""
    prints = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", FINGERPRINT],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        prints.add(done.stdout.strip())
    rows = [get_benchmark(name).problems(40, seed=3) for name in SUITE_NAMES]
    prints.add(hashlib.sha256(repr(rows).encode()).hexdigest())
    assert len(prints) == 1


@pytest.mark.slow
def test_an_answer_that_keeps_its_verifier_busy_is_wrong_in_seconds() -> None:
    """It reads fractions; the number would have a billion digits. The next answer is judged."""
    benchmark = get_benchmark("rg:coin_flip")
    (problem,) = benchmark.problems(1, seed=1)
    endless = asyncio.run(benchmark.score(problem, "1e999999999"))
    assert (endless.value, endless.answer) == (0.0, "1e999999999")
    assert "its process died" in endless.reason or "no verdict within" in endless.reason
    assert asyncio.run(benchmark.score(problem, problem.answer)).value == 1.0


@pytest.mark.parametrize("name", SUITE_NAMES)
def test_the_suites_verifiers_are_quick_with_any_answer(name: str) -> None:
    """They run in the program's own process."""
    benchmark = get_benchmark(name)
    (problem,) = benchmark.problems(1, seed=1)
    started = time.process_time()
    for answer in ("1e999999999", "9" * 20_000, "9**9**9", "(" * 9_000, "1/" * 9_000 + "1", "²"):
        assert asyncio.run(benchmark.score(problem, answer)).value == 0.0
    assert time.process_time() - started < 10


@pytest.mark.parametrize("name", ["ransom_note", "list_functions"])
@pytest.mark.slow
def test_a_generator_that_depends_on_its_process_repeats_in_a_child(name: str) -> None:
    """In-process one walks over sets, the other draws from the global random generator."""
    benchmark = get_benchmark(f"rg:{name}")
    first = benchmark.problems(5, seed=1)
    assert first == benchmark.problems(5, seed=1)
    assert all(asyncio.run(benchmark.score(item, item.answer)).value == 1.0 for item in first)


def test_seeds_share_no_run_of_problems() -> None:
    """Neighbouring seeds are not the same list shifted by one."""
    benchmark = get_benchmark("basic_arithmetic")
    first = {problem.question for problem in benchmark.problems(50, seed=0)}
    second = {problem.question for problem in benchmark.problems(50, seed=1)}
    assert len(first & second) < 10


def test_more_problems_start_with_the_same_ones() -> None:
    """Asking for more keeps those already given."""
    benchmark = get_benchmark("gcd")
    assert benchmark.problems(30, seed=2)[:10] == benchmark.problems(10, seed=2)


def test_an_exhausted_configuration_says_how_many_there_are() -> None:
    """Single-digit factors make at most 100 products: asking for 500 raises with the number."""
    tiny = gym("products", min_terms=2, max_terms=2, min_digits=1, max_digits=1)
    with pytest.raises(TooFewProblems, match="500 problems asked for") as caught:
        tiny.problems(500, seed=0)
    assert 50 < caught.value.available <= 100


@pytest.mark.parametrize(
    ("reference", "answer", "value"),
    [
        ("12", " 12 ", 1),
        ("12", "12.", 1),
        ("12", "12.0", 1),
        ("12", '"12"', 1),
        ("12", "**12**", 1),
        ("12", "$12$", 1),
        ("12", r"\boxed{12}", 1),
        ("12", r"So \boxed{7}, no: \boxed{12}", 1),
        ("1234", "1,234", 1),
        ("-4", "-4", 1),
        ("12", "+12", 1),
        ("12", "13", 0),
        ("12", "-12", 0),
        ("12", "12 or 13", 0),
        ("12", "1 2", 0),
        ("12", "112", 0),
        ("12", "12.5", 0),
        ("12", "", 0),
        ("12", "  ", 0),
        ("12", "NaN", 0),
        ("12", "twelve", 0),
    ],
)
def test_spellings_of_whole_numbers(reference: str, answer: str, value: int) -> None:
    """A right number in any usual spelling counts; a text that merely holds it does not."""
    benchmark = gym("chain_sum")
    problem = Problem("p", "chain_sum", "q", reference, {"answer": reference, "metadata": {}})
    verdict = score(benchmark, problem, answer)
    assert verdict.value == value
    assert verdict.reason


def test_partial_credit_of_a_verifier_is_no_right_answer() -> None:
    """spell_backward gives 0.75 to a word with one wrong letter; the accuracy gets 0."""
    benchmark = gym("spell_backward")
    problem = Problem("p", "spell_backward", "q", "noen", {"answer": "noen", "metadata": {}})
    verdict = score(benchmark, problem, "noex")
    assert verdict == Score(0.0, "noex", "the verifier gives 0.75 of 1")
    assert score(benchmark, problem, "noenoen").value == 0.0
    assert score(benchmark, problem, "Noen.").value == 1.0


def test_an_answer_that_breaks_the_verifier_is_wrong_with_a_reason() -> None:
    """prime_factorization cannot parse words: the score says so."""
    benchmark = gym("prime_factorization")
    problem = benchmark.problems(1, seed=0)[0]
    verdict = score(benchmark, problem, "no idea")
    assert verdict.value == 0.0
    assert "could not read" in verdict.reason


@given(json_like)
def test_metadata_survives_json(value: object) -> None:
    """Tuples and keys that are no text come back from JSON as they were."""
    assert decode(json.loads(json.dumps(encode(value)))) == value


@pytest.mark.slow
def test_every_data_set_of_reasoning_gym_works_by_name() -> None:
    """Reference answers of all data sets score 1 after a journey through JSON."""
    wrong = []
    for name in dataset_names():
        benchmark = gym(name)  # in this process: a child for each would take minutes
        for problem in benchmark.problems(3, seed=5):
            data = json.loads(json.dumps(problem.data))
            read_back = Problem(problem.id, name, problem.question, problem.answer, data)
            verdict = asyncio.run(benchmark.score(read_back, problem.answer))
            if name not in NO_REFERENCE and verdict.value != 1.0:
                wrong.append((name, problem.answer, verdict.reason))
    assert not wrong


@pytest.mark.parametrize(
    ("dataset", "answer"),
    [
        ("string_insertion", "__import__('os').system('true')"),
        ("spiral_matrix", "[print(1)]"),
        ("n_queens", "open('x','w')"),
        ("binary_matrix", "(lambda: 1)()"),
        ("countdown", "9**9**9**9"),
        ("puzzle24", "__import__('os')"),
        ("simple_integration", "().__class__.__base__"),
        ("simple_integration", "x**(9**9**9)"),
        ("simple_integration", "9**999999"),
        ("polynomial_multiplication", "exec('1')"),
        ("polynomial_multiplication", "x.subs(x)"),
        ("intermediate_integration", "system(x)"),
    ],
)
def test_code_never_reaches_a_verifier_that_evaluates(dataset: str, answer: str) -> None:
    """Calls, attributes and towers of powers are refused with the reason."""
    assert unsafe_reason(dataset, answer) is not None


@pytest.mark.parametrize(
    ("dataset", "answer"),
    [
        ("string_insertion", "AEBCD"),
        ("string_insertion", "['A', 'E']"),
        ("spiral_matrix", "1 2 3"),
        ("n_queens", "_ _ Q\nQ _ _"),
        ("countdown", "(3 + 4) * 12 - 5/1"),
        ("simple_integration", "3*x**2/2 + C"),
        ("intermediate_integration", "-x**2*cos(x) + exp(2*x)/2 + log(x) + C"),
        ("polynomial_multiplication", "6*z**4 - 12*z**3"),
    ],
)
def test_plain_formulas_reach_the_verifier(dataset: str, answer: str) -> None:
    """The guard lets through what a right answer looks like."""
    assert unsafe_reason(dataset, answer) is None


@pytest.mark.parametrize("name", ["chian_sum", "chain-sum"])
def test_an_unknown_name_is_answered_with_close_ones(name: str) -> None:
    """The message holds the value, the close name and the whole list."""
    with pytest.raises(ConfigError, match=f"{name}.*Did you mean chain_sum.*letter_counting"):
        get_benchmark(name)


def test_an_unknown_data_set_of_reasoning_gym_is_answered_with_close_ones() -> None:
    """`rg:` names are checked before anything is generated."""
    with pytest.raises(ConfigError, match=r"rg:sudokku.*close: .*sudoku"):
        get_benchmark("rg:sudokku")
