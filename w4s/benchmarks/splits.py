"""Cut a benchmark into private, public and test problems, and keep the cut on disk.

Reads back the validation splits only: the held-out one is `w4s.benchmarks.held_out`'s.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from w4s.benchmarks.base import Benchmark, TooFewProblems
from w4s.benchmarks.split_files import (
    MANIFEST,
    SCHEMA_VERSION,
    Manifest,
    ProblemT,
    SimilarRecord,
    SplitName,
    SplitRecord,
    load_manifest,
    load_split,
    rows_to_bytes,
    sha256_of,
    split_folder,
)
from w4s.benchmarks.text import near_duplicates, normalise_question
from w4s.errors import DataError
from w4s.files import atomic_folder, atomic_write_bytes
from w4s.types import PrivateProblem, Problem, PublicProblem, TestProblem, ValidationSplits

SIMILAR_FROM = 0.8
SIMILAR_LISTED = 50
LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Similar:
    """Two problems of different splits that are nearly the same question."""

    ids: tuple[str, str]
    splits: tuple[SplitName, SplitName]
    similarity: float


@dataclass(frozen=True, slots=True)
class Splits:
    """Disjoint problems of one benchmark, and the pairs across splits that are nearly the same."""

    benchmark: str
    version: str
    seed: int
    private: tuple[PrivateProblem, ...]
    public: tuple[PublicProblem, ...]
    test: tuple[TestProblem, ...]
    similar: tuple[Similar, ...]


def make_splits(benchmark: Benchmark, *, private: int, public: int, test: int, seed: int) -> Splits:
    """Draw the splits, disjoint by normalised question, the same for the same seed.

    `test` is an upper bound: a benchmark with fewer problems keeps private and public whole
    and gives the rest to test. Near-duplicates across splits are reported, not removed.

    Raises TooFewProblems where nothing would be left for the test, DataError where the
    benchmark repeats a question.
    """
    problems = _draw(benchmark, private=private, public=public, test=test, seed=seed)
    _refuse_repeats(benchmark.name, problems)
    # a benchmark may give its problems in an order of its own (by topic, by difficulty)
    random.Random(f"splits/{benchmark.name}/{seed}").shuffle(problems)
    public_end = private + public
    splits = Splits(
        benchmark=benchmark.name,
        version=benchmark.version,
        seed=seed,
        private=tuple(_as(PrivateProblem, item) for item in problems[:private]),
        public=tuple(_as(PublicProblem, item) for item in problems[private:public_end]),
        test=tuple(_as(TestProblem, item) for item in problems[public_end:]),
        similar=_similar(problems, private=private, public=public),
    )
    if splits.similar:
        LOGGER.warning(
            "%s: pairs of nearly the same question in different splits: %d (most alike: %s)",
            benchmark.name,
            len(splits.similar),
            " and ".join(splits.similar[0].ids),
        )
    return splits


def write_splits(splits: Splits, folder: Path) -> Path:
    """Write the splits under `folder` as one new folder, whole or not at all; return it."""
    contents: dict[SplitName, bytes] = {
        "private": rows_to_bytes(splits.private),
        "public": rows_to_bytes(splits.public),
        "test": rows_to_bytes(splits.test),
    }
    manifest = _manifest(splits, contents)
    target = split_folder(folder, splits.benchmark)
    with atomic_folder(target) as partial:
        for name, data in contents.items():
            atomic_write_bytes(partial / f"{name}.jsonl", data)
        text = json.dumps(manifest.model_dump(), indent=2, sort_keys=True, ensure_ascii=False)
        atomic_write_bytes(partial / MANIFEST, (text + "\n").encode())
    return target


def load_validation(folder: Path, benchmark: str) -> ValidationSplits:
    """Read the private and public problems of `benchmark`; the test file is not opened.

    Raises DataError where files are missing or not those that were written.
    """
    manifest = load_manifest(folder, benchmark)
    return ValidationSplits(
        benchmark=benchmark,
        private=load_split(folder, manifest, "private", kind=PrivateProblem),
        public=load_split(folder, manifest, "public", kind=PublicProblem),
        sha256=manifest.validation_sha256,
    )


def count_alike(problems: Sequence[Problem], others: Sequence[Problem]) -> int:
    """Return how many of `problems` are nearly the same question as one of `others`."""
    texts = [problem.question for problem in (*problems, *others)]
    pairs = near_duplicates(texts, threshold=SIMILAR_FROM)
    return len({pair.first for pair in pairs if pair.first < len(problems) <= pair.second})


def _draw(
    benchmark: Benchmark, *, private: int, public: int, test: int, seed: int
) -> list[Problem]:
    try:
        return list(benchmark.problems(private + public + test, seed=seed))
    except TooFewProblems as error:
        if error.available <= private + public:
            raise
        LOGGER.warning(
            "%s: %d problems for the test instead of %d: it has %d",
            benchmark.name,
            error.available - private - public,
            test,
            error.available,
        )
        return list(benchmark.problems(error.available, seed=seed))


def _refuse_repeats(benchmark: str, problems: list[Problem]) -> None:
    first: dict[str, str] = {}
    ids: set[str] = set()
    for problem in problems:
        text = normalise_question(problem.question)
        if text in first or problem.id in ids:
            other = first.get(text, problem.id)
            raise DataError(
                f"{benchmark}: problems {other!r} and {problem.id!r} are the same question; "
                "splits must not share one. Remove the repeated row."
            )
        first[text] = problem.id
        ids.add(problem.id)


def _as(kind: type[ProblemT], problem: Problem) -> ProblemT:
    return kind(problem.id, problem.benchmark, problem.question, problem.answer, problem.data)


def _similar(problems: list[Problem], *, private: int, public: int) -> tuple[Similar, ...]:
    def split_of(position: int) -> SplitName:
        if position < private:
            return "private"
        return "public" if position < private + public else "test"

    pairs = near_duplicates([item.question for item in problems], threshold=SIMILAR_FROM)
    return tuple(
        Similar(
            ids=(problems[pair.first].id, problems[pair.second].id),
            splits=(split_of(pair.first), split_of(pair.second)),
            similarity=pair.similarity,
        )
        for pair in pairs
        if split_of(pair.first) != split_of(pair.second)
    )


def _manifest(splits: Splits, contents: dict[SplitName, bytes]) -> Manifest:
    sizes = {"private": splits.private, "public": splits.public, "test": splits.test}
    records = {
        name: SplitRecord(size=len(sizes[name]), sha256=sha256_of(data))
        for name, data in contents.items()
    }
    both = f"{splits.version}/{records['private'].sha256}/{records['public'].sha256}"
    return Manifest(
        schema_version=SCHEMA_VERSION,
        benchmark=splits.benchmark,
        version=splits.version,
        seed=splits.seed,
        splits=records,
        validation_sha256=sha256_of(both.encode()),
        similar_pairs=len(splits.similar),
        similar=[
            SimilarRecord(ids=list(item.ids), splits=list(item.splits), similarity=item.similarity)
            for item in splits.similar[:SIMILAR_LISTED]
        ],
    )
