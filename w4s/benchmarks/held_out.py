"""Open the held-out problems of a benchmark.

A module of its own, so that the import contract can say who may: the final evaluation alone.
"""

from __future__ import annotations

from pathlib import Path

from w4s.benchmarks.split_files import load_manifest, load_split
from w4s.types import TestProblem


def load_test(folder: Path, benchmark: str) -> tuple[TestProblem, ...]:
    """Read the test problems of `benchmark`.

    Raises DataError where files are missing or not those that were written.
    """
    return load_split(folder, load_manifest(folder, benchmark), "test", kind=TestProblem)
