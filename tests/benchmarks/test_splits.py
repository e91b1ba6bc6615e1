"""Splits are disjoint, repeatable, whole on disk, and checked when read back."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import math
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from w4s.benchmarks.base import TooFewProblems
from w4s.benchmarks.held_out import load_test
from w4s.benchmarks.registry import get_benchmark
from w4s.benchmarks.split_files import load_manifest, load_split
from w4s.benchmarks.splits import Splits, load_validation, make_splits, write_splits
from w4s.benchmarks.text import _TOKEN, near_duplicates, normalise_question
from w4s.errors import DataError, LeakError
from w4s.types import PrivateProblem, Problem, PublicProblem, Score, TestProblem

QUESTIONS = (
    "A farmer has {n} cows and buys 3 goats. How many animals are there?",
    "Calculate {n} + 1.",
    "Spell the word number {n} backward.",
)


class ListBenchmark:
    """A benchmark of given questions."""

    name = "listed"
    description = "Say what is asked."
    version = "1"

    def __init__(self, questions: list[str]) -> None:
        self._questions = questions

    def problems(self, count: int, *, seed: int) -> list[Problem]:
        if count > len(self._questions):
            raise TooFewProblems(self.name, asked=count, available=len(self._questions))
        return [
            Problem(f"listed-{i}", self.name, text, str(i), {"row": i})
            for i, text in enumerate(self._questions[:count])
        ]

    async def score(self, problem: Problem, answer: str) -> Score:
        return Score(float(answer == problem.answer), answer, "compared")


def listed(count: int) -> ListBenchmark:
    return ListBenchmark([QUESTIONS[i % 3].format(n=i) for i in range(count)])


def small_splits() -> Splits:
    return make_splits(get_benchmark("gcd"), private=6, public=3, test=9, seed=4)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 8), st.integers(0, 99))
def test_splits_partition_what_was_drawn(private: int, public: int, test: int, seed: int) -> None:
    """Every problem lies in exactly one split, of the right class and size."""
    splits = make_splits(listed(40), private=private, public=public, test=test, seed=seed)
    everything: list[Problem] = [*splits.private, *splits.public, *splits.test]
    assert (len(splits.private), len(splits.public), len(splits.test)) == (private, public, test)
    assert len({normalise_question(item.question) for item in everything}) == len(everything)
    assert {type(item) for item in splits.private} == {PrivateProblem}
    assert {type(item) for item in splits.public} == {PublicProblem}
    assert {type(item) for item in splits.test} == {TestProblem}


def test_splits_follow_the_seed() -> None:
    """The same seed gives equal splits, another seed others."""
    benchmark = get_benchmark("gcd")
    again = make_splits(benchmark, private=6, public=3, test=9, seed=4)
    other = make_splits(benchmark, private=6, public=3, test=9, seed=5)
    assert again == small_splits()
    assert {item.question for item in other.test} != {item.question for item in again.test}


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """Problems, data included, come back equal, and the test only from its own reader."""
    splits = small_splits()
    folder = write_splits(splits, tmp_path)
    validation = load_validation(tmp_path, "gcd")
    assert (validation.private, validation.public) == (splits.private, splits.public)
    assert load_test(tmp_path, "gcd") == splits.test
    assert sorted(path.name for path in folder.iterdir()) == [
        "manifest.json",
        "private.jsonl",
        "public.jsonl",
        "test.jsonl",
    ]


def test_validation_is_read_without_the_test_file(tmp_path: Path) -> None:
    """`load_validation` never opens test.jsonl: it works where that file is gone."""
    folder = write_splits(small_splits(), tmp_path)
    (folder / "test.jsonl").unlink()
    assert len(load_validation(tmp_path, "gcd").private) == 6
    with pytest.raises(DataError, match=r"test\.jsonl"):
        load_test(tmp_path, "gcd")


def test_the_held_out_split_is_no_validation_data(tmp_path: Path) -> None:
    """Neither for the type checker nor at run time: another module opens it."""
    splits = make_splits(get_benchmark("chain_sum"), private=3, public=2, test=4, seed=0)
    write_splits(splits, tmp_path)
    manifest = load_manifest(tmp_path, "chain_sum")
    asked: Any = "test"
    with pytest.raises(LeakError, match="'test' was asked for as validation data"):
        load_split(tmp_path, manifest, asked, kind=PrivateProblem)


def test_the_same_splits_give_the_same_bytes(tmp_path: Path) -> None:
    """Two preparations agree file by file, so that a content hash means something."""
    one, two = (write_splits(small_splits(), tmp_path / name) for name in ("one", "two"))
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes()


def test_the_manifest_tells_hashes_and_sizes(tmp_path: Path) -> None:
    """Hashes are those of the files; the validation hash follows the benchmark's version."""
    splits = small_splits()
    folder = write_splits(splits, tmp_path)
    manifest = load_manifest(tmp_path, "gcd")
    for name, record in manifest.splits.items():
        data = (folder / f"{name}.jsonl").read_bytes()
        assert record.sha256 == hashlib.sha256(data).hexdigest()
        assert record.size == data.count(b"\n")
    write_splits(replace(splits, version="other"), tmp_path)
    assert load_validation(tmp_path, "gcd").sha256 != manifest.validation_sha256


@pytest.mark.parametrize("name", ["private", "public"])
def test_a_changed_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    """One changed byte raises DataError with the file and the remedy."""
    path = write_splits(small_splits(), tmp_path) / f"{name}.jsonl"
    path.write_bytes(path.read_bytes().replace(b"Greatest", b"greatest", 1))
    with pytest.raises(DataError, match=rf"{name}\.jsonl: was changed.*w4s prepare"):
        load_validation(tmp_path, "gcd")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 99}, "schema version 99"),
        ({"sede": 1}, "sede: Extra inputs"),
        ({"seed": "one"}, "seed: "),
        ({"benchmark": "lcm"}, "is of 'lcm'"),
    ],
)
def test_an_odd_manifest_is_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    """Unknown keys, wrong types and other schema versions raise with what was found."""
    path = write_splits(small_splits(), tmp_path) / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError, match=message):
        load_validation(tmp_path, "gcd")


def test_missing_splits_say_what_to_do(tmp_path: Path) -> None:
    """A benchmark that was not prepared is answered with the command."""
    with pytest.raises(DataError, match=r"no splits of 'gcd'.*w4s prepare"):
        load_validation(tmp_path, "gcd")


def test_a_failed_write_keeps_the_old_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up half-way leaves the whole old folder."""
    splits = small_splits()
    write_splits(splits, tmp_path)

    def full(path: Path, data: bytes) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("w4s.benchmarks.splits.atomic_write_bytes", full)
    with pytest.raises(OSError, match="no space"):
        write_splits(replace(splits, seed=9), tmp_path)
    assert load_manifest(tmp_path, "gcd").seed == 4
    assert [path.name for path in tmp_path.iterdir()] == ["gcd"]


def test_a_small_benchmark_gives_the_test_what_is_left(caplog: pytest.LogCaptureFixture) -> None:
    """The test's size is an upper bound, and the log says that it was not reached."""
    with caplog.at_level(logging.WARNING):
        splits = make_splits(listed(20), private=5, public=5, test=500, seed=0)
    assert len(splits.test) == 10
    assert "10 problems for the test instead of 500" in caplog.text


def test_a_benchmark_without_a_problem_for_the_test_is_refused() -> None:
    """Validation is never cut down in silence."""
    with pytest.raises(TooFewProblems, match="15 problems asked for, but it has 10"):
        make_splits(listed(10), private=5, public=5, test=5, seed=0)


def test_a_repeated_question_is_refused() -> None:
    """Questions that differ in case, spaces and full stops only are the same."""
    repeated = ListBenchmark(["What is 1 + 1?", "what  is 1 + 1", "What is 1 - 1?"])
    with pytest.raises(DataError, match="'listed-0' and 'listed-1' are the same question"):
        make_splits(repeated, private=1, public=1, test=1, seed=0)


def test_near_duplicates_across_splits_are_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two questions with the same numbers in another order reach the manifest and the log."""
    questions = [f"Multiply {n} by {n * 7 % 97 + 200}." for n in range(30, 48)]
    questions += ["Multiply 5 by 9.", "Multiply 9 by 5."]
    with caplog.at_level(logging.WARNING):
        drawn = (
            make_splits(ListBenchmark(questions), private=9, public=1, test=10, seed=seed)
            for seed in range(40)
        )
        splits = next(splits for splits in drawn if splits.similar)  # apart in half of the draws
    write_splits(splits, tmp_path)
    manifest = load_manifest(tmp_path, "listed")
    assert manifest.similar_pairs == 1
    assert sorted(manifest.similar[0].ids) == ["listed-18", "listed-19"]
    assert "nearly the same question" in caplog.text


def test_problems_that_differ_in_numbers_alone_are_not_alike() -> None:
    """Arithmetic with a shared template is told apart by its numbers."""
    texts = [f"State the final answer to the problem: {n} + {n + 50} =" for n in range(30)]
    assert near_duplicates(texts, threshold=0.8) == []


def test_a_reworded_story_is_alike() -> None:
    """One changed word of a long story is found, unrelated stories are not."""
    story = "Janet's ducks lay 16 eggs. She eats three for breakfast and sells the rest at $2."
    others = [f"A train {n} leaves town {n} with {n} wagons of {n * 3} tons." for n in range(9)]
    pairs = near_duplicates([story, *others, story.replace("rest", "others")], threshold=0.8)
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 10)]


@given(st.lists(st.text("abcd. 12", max_size=12), min_size=2, max_size=12))
def test_only_pairs_that_cannot_be_alike_are_left_uncompared(texts: list[str]) -> None:
    """The pairs are those of comparing all with all by the definition of the measure."""
    bags = [set(_TOKEN.findall(normalise_question(text))) for text in texts]
    weight = {
        token: math.log((1 + len(texts)) / sum(token in bag for bag in bags))
        for token in set().union(*bags)
    }
    alike = {}
    for one, two in itertools.combinations(range(len(texts)), 2):
        union = math.fsum(weight[token] for token in bags[one] | bags[two])
        shared = math.fsum(weight[token] for token in bags[one] & bags[two])
        if union and shared / union >= 0.8 - 1e-9:
            alike[one, two] = pytest.approx(shared / union, abs=1e-4)
    found = near_duplicates(texts, threshold=0.8)
    assert {(pair.first, pair.second): pair.similarity for pair in found} == alike


def test_thousands_of_questions_are_compared_in_seconds() -> None:
    """A table of all words, or of all pairs, would take gigabytes and minutes."""
    rng = random.Random(0)
    texts = [" ".join(f"w{rng.randrange(30_000)}" for _ in range(25)) for _ in range(6_000)]
    texts.append(f"{texts[7]} indeed")
    started = time.process_time()
    pairs = near_duplicates(texts, threshold=0.8)
    assert [(pair.first, pair.second) for pair in pairs] == [(7, 6_000)]
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    ("one", "two"),
    [("5 – 3", "5 − 3"), ("5\u200b - 3", "5 - 3"), ("co\u00adop", "coop"), ("\ufeffA?", "a")],
)
def test_signs_that_nobody_sees_make_no_other_question(one: str, two: str) -> None:
    """What an editor or a spreadsheet makes of a question is the same question."""
    assert normalise_question(one) == normalise_question(two)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("5 - 3", "5 + 3"),
        ("1.5 + 2", "15 + 2"),
        (".5 + 2", "5 + 2"),
        ("(1 + 2) * 3", "1 + (2 * 3)"),
        ("-4", "4"),
    ],
)
def test_operators_and_digits_tell_questions_apart(one: str, two: str) -> None:
    """Normalising never drops what changes the answer."""
    assert normalise_question(one) != normalise_question(two)
