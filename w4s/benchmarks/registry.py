"""Benchmarks by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path

from w4s.benchmarks.base import Benchmark
from w4s.benchmarks.competition_math import competition_math
from w4s.benchmarks.custom import TASK_SUFFIXES, load_task
from w4s.benchmarks.drop import drop
from w4s.benchmarks.gpqa import gpqa
from w4s.benchmarks.gsm8k import gsm8k
from w4s.benchmarks.gsm_hard import gsm_hard
from w4s.benchmarks.gsm_plus import gsm_plus
from w4s.benchmarks.gym import GymBenchmark
from w4s.benchmarks.gym_catalogue import describe_dataset
from w4s.benchmarks.gym_suite import SUITE_NAMES, suite_benchmark
from w4s.benchmarks.humaneval import humaneval
from w4s.benchmarks.mbpp import mbpp
from w4s.benchmarks.mgsm import mgsm
from w4s.benchmarks.mmlu_pro import mmlu_pro
from w4s.benchmarks.svamp import svamp
from w4s.errors import ConfigError
from w4s.llm.base import Executor
from w4s.sandbox.base import Sandbox

GYM_PREFIX = "rg:"
_Make = Callable[[Path | None, Sandbox | None], Benchmark]
_PAPER: Mapping[str, _Make] = {
    "mgsm": lambda data_dir, _: mgsm(data_dir=data_dir),
    "gsm8k": lambda data_dir, _: gsm8k(data_dir=data_dir),
    "gsm_plus": lambda data_dir, _: gsm_plus(data_dir=data_dir),
    "gsm_hard": lambda data_dir, _: gsm_hard(data_dir=data_dir),
    "svamp": lambda data_dir, _: svamp(data_dir=data_dir),
    "math": lambda data_dir, _: competition_math(data_dir=data_dir),
    "mmlu_pro": lambda data_dir, _: mmlu_pro(data_dir=data_dir),
    "drop": lambda data_dir, _: drop(data_dir=data_dir),
    "gpqa": lambda data_dir, _: gpqa(data_dir=data_dir),
    "mbpp": lambda data_dir, sandbox: mbpp(data_dir=data_dir, sandbox=sandbox),
    "humaneval": lambda data_dir, sandbox: humaneval(data_dir=data_dir, sandbox=sandbox),
}
PAPER_NAMES = tuple(_PAPER)


def benchmark_names() -> tuple[str, ...]:
    """Return every name that needs neither prefix nor file: the embedded suite, the paper's."""
    return (*SUITE_NAMES, *PAPER_NAMES)


def get_benchmark(
    name: str,
    *,
    data_dir: Path | None = None,
    sandbox: Sandbox | None = None,
    executor: Executor | None = None,
) -> Benchmark:
    """Return a benchmark: one of `benchmark_names()`, `rg:NAME`, or a task file (`mine.yaml`).

    `data_dir` is a folder of rows instead of the hub, for the paper's benchmarks. Scoring code
    needs a `sandbox`, and a judge needs an `executor`; without them problems can still be drawn.

    Raises ConfigError for an unknown name or a wrong task file.
    """
    if name in SUITE_NAMES:
        return suite_benchmark(name)
    if name in _PAPER:
        return _PAPER[name](data_dir, sandbox)
    if name.startswith(GYM_PREFIX):
        dataset = name.removeprefix(GYM_PREFIX)
        return GymBenchmark(name, dataset=dataset, description=describe_dataset(dataset))
    if name.endswith(TASK_SUFFIXES):
        return load_task(Path(name), name=name, sandbox=sandbox, executor=executor)
    raise ConfigError(_unknown(name))


def _unknown(name: str) -> str:
    if Path(name).exists():
        return f"{name}: no task file. A YAML file that names data and scorer is due: w4s init."
    names = benchmark_names()
    close = difflib.get_close_matches(name, names, n=3)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    return (
        f"unknown benchmark {name!r}.{hint} Known: {', '.join(names)}, any data set of "
        f"reasoning-gym as {GYM_PREFIX}NAME, and your own task as a file such as task.yaml."
    )
