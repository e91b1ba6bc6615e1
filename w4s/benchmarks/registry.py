"""Benchmarks by name."""

from __future__ import annotations

import difflib
from pathlib import Path

from w4s.benchmarks.base import Benchmark
from w4s.benchmarks.gym import GymBenchmark
from w4s.benchmarks.gym_entries import describe_dataset
from w4s.benchmarks.gym_suite import SUITE_NAMES, suite_benchmark
from w4s.errors import ConfigError
from w4s.sandbox.base import Sandbox

GYM_PREFIX = "rg:"


def benchmark_names() -> tuple[str, ...]:
    """Return every name that needs no prefix."""
    return SUITE_NAMES


def get_benchmark(
    name: str,
    *,
    data_dir: Path | None = None,  # noqa: ARG001  # for benchmarks with rows
    sandbox: Sandbox | None = None,  # noqa: ARG001  # for benchmarks that run code
) -> Benchmark:
    """Return the benchmark called `name`: one of `benchmark_names()`, or `rg:NAME`.

    `data_dir` is a folder of rows instead of the hub; benchmarks that make their problems
    ignore it. Benchmarks that run code need a `sandbox`.

    Raises ConfigError for an unknown name.
    """
    if name in SUITE_NAMES:
        return suite_benchmark(name)
    if name.startswith(GYM_PREFIX):
        dataset = name.removeprefix(GYM_PREFIX)
        return GymBenchmark(name, dataset=dataset, description=describe_dataset(dataset))
    raise ConfigError(_unknown(name))


def _unknown(name: str) -> str:
    names = benchmark_names()
    close = difflib.get_close_matches(name, names, n=3)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    return (
        f"unknown benchmark {name!r}.{hint} Known: {', '.join(names)}, "
        f"and any data set of reasoning-gym as {GYM_PREFIX}NAME."
    )
