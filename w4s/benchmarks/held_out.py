"""Open the held-out problems of a benchmark.

A module of its own, so that the import contract can say who may: the final evaluation alone.
"""

from __future__ import annotations

from pathlib import Path

from w4s.benchmarks.split_files import load_manifest, read_problems, split_folder
from w4s.types import TestProblem


def load_test(folder: Path, benchmark: str) -> tuple[TestProblem, ...]:
    """Read the test problems of `benchmark`.

    Raises DataError where files are missing or not those that were written.
    """
    path = split_folder(folder, benchmark) / "test.jsonl"
    record = load_manifest(folder, benchmark).splits.get("test")
    return read_problems(path, record, kind=TestProblem)
