"""Your own task: a file of questions and answers, and a scorer by name.

A task is a small YAML file beside its data:

    data: questions.csv            # or .jsonl, or hub:OWNER/NAME[@REVISION][:CONFIG]:SPLIT
    description: Answer a question about our products. The answer is a product name.
    scorer: exact                  # see SCORERS, or module:function

Searches nothing and writes nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from w4s.benchmarks.code_benchmark import CodeBenchmark, score_code
from w4s.benchmarks.custom_rows import ROW_READERS, Columns, row_reader
from w4s.benchmarks.custom_scorer import function_scorer, scorer_source
from w4s.benchmarks.judge import Judge
from w4s.benchmarks.row_benchmark import (
    ACCEPTED,
    SCORERS_REVISION,
    RowBenchmark,
    ScoreAnswer,
    Scorer,
    immediate,
)
from w4s.benchmarks.rows import Source, Table, read_file, read_source
from w4s.benchmarks.scorers import contains, exact, f1, json_equal, multiple_choice, numeric
from w4s.benchmarks.unit_tests import UnitTestRunner
from w4s.config_errors import explain_invalid
from w4s.errors import ConfigError
from w4s.llm.base import Executor, JudgeService
from w4s.sandbox.base import Sandbox
from w4s.types import Problem, Score

TASK_SUFFIXES = (".yaml", ".yml")
HUB_PREFIX = "hub:"
_HUB = re.compile(r"([^:@]+)(?:@([^:@]+))?(?::([^:\[]+))?:([^:\[]+(?:\[.+\])?)")
SCORERS = (*ROW_READERS, "module:function")
_ROWS_REVISION = 1  # one more whenever rows are read as other problems
_PAIRWISE: Mapping[str, Callable[[str, str], Score]] = {
    "exact": exact,
    "contains": contains,
    "f1": f1,
    "json": json_equal,
}


class JudgeParams(BaseModel):
    """Which model judges and where, how many questions it may be asked, what it should heed.

    `calls` bounds a workspace: what is on record counts, and is not asked again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = None
    base_url: str | None = None
    calls: int | None = Field(default=None, gt=0)
    criteria: str = ""


class TaskParams(BaseModel):
    """A task file. `question` and `answer` name the columns; the other names are fixed.

    `decimal` says how the numbers of the scorer `numeric` are written; unsaid is `point`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str
    description: str = Field(min_length=10)
    scorer: str
    question: str = "question"
    answer: str = "answer"
    decimal: Literal["point", "comma"] | None = None
    judge: JudgeParams = JudgeParams()


def load_task(
    path: Path,
    *,
    name: str | None = None,
    sandbox: Sandbox | None = None,
    executor: Executor | None = None,
) -> RowBenchmark | CodeBenchmark:
    """Return the benchmark that the task file at `path` describes, called `name` (its path).

    Rows are read, and all bad ones reported, when the first problem is drawn.

    Raises ConfigError for a wrong task file.
    """
    params = read_task(path)
    runner = UnitTestRunner(sandbox)
    rows = RowBenchmark(
        name or str(path),
        description=params.description,
        tables=lambda: _tables(params, path.parent),
        read_row=row_reader(params.scorer, _columns(params)),
        score=_score(params, path=path, runner=runner, executor=executor),
        scorer_revision=_revision(params, path.parent),
        of_ones_own=True,
    )
    return CodeBenchmark(rows, runner) if params.scorer == "unit_tests" else rows


def _columns(params: TaskParams) -> Columns:
    return Columns(params.question, params.answer, decimal_comma=params.decimal == "comma")


def benchmark_label(name: str) -> str:
    """Return how people call a benchmark: its name, or for a task file the task's own.

    That is the file's name, or the folder's where the file is called `task.yaml`.
    """
    if not name.endswith(TASK_SUFFIXES):
        return name
    path = Path(name)
    return path.stem if path.stem != "task" else path.resolve().parent.name


def task_judge(name: str) -> JudgeService | None:
    """Return who judges the answers of benchmark `name`; None where a rule does.

    Raises ConfigError for a wrong task file.
    """
    if not name.endswith(TASK_SUFFIXES):
        return None
    params = read_task(Path(name))
    return _judge_service(params, Path(name)) if params.scorer == "judge" else None


def read_task(path: Path) -> TaskParams:
    """Read and check a task file. Raises ConfigError naming the file and what is wrong."""
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        quotes = " A text with a colon needs quotes." if isinstance(error, yaml.YAMLError) else ""
        raise ConfigError(
            f"{path}: cannot be read as a task file: {why}. See what w4s init writes.{quotes}"
        ) from error
    try:
        params = TaskParams.model_validate(loaded if isinstance(loaded, dict) else {})
    except ValidationError as error:
        raise ConfigError(explain_invalid(error, TaskParams, files=(path,), settings=())) from error
    if params.scorer not in ROW_READERS and ":" not in params.scorer:
        raise ConfigError(
            f"{path}: scorer: unknown scorer {params.scorer!r}. Known: {', '.join(SCORERS)}."
        )
    if params.decimal is not None and params.scorer != "numeric":
        raise ConfigError(f"{path}: decimal goes with scorer: numeric, not {params.scorer!r}.")
    return params


def _revision(params: TaskParams, folder: Path) -> str:
    """Return a hash of what decides verdicts: results kept under another one are not reused."""
    source = scorer_source(params.scorer, folder=folder) if ":" in params.scorer else b""
    said = None if params.decimal == "point" else params.decimal  # unsaid is the same
    decides = params.model_copy(update={"decimal": said}).model_dump_json(
        exclude={"judge": {"calls"}}
    )
    text = f"{SCORERS_REVISION}/{_ROWS_REVISION}{decides}"
    return hashlib.sha256(text.encode() + source).hexdigest()[:16]


def _tables(params: TaskParams, folder: Path) -> Sequence[Table]:
    if not params.data.startswith(HUB_PREFIX):
        return [read_file(folder / params.data)]
    match = _HUB.fullmatch(params.data.removeprefix(HUB_PREFIX))
    if match is None:
        raise ConfigError(
            f"data: {params.data!r}; hub:OWNER/NAME[@REVISION][:CONFIG]:SPLIT is due."
        )
    hub, revision, config, split = match.groups()
    source = Source(file="", hub=hub, config=config, split=split, revision=revision or "main")
    return [read_source(source, data_dir=None)]


def _score(
    params: TaskParams, *, path: Path, runner: UnitTestRunner, executor: Executor | None
) -> ScoreAnswer:
    if params.scorer in _PAIRWISE:
        return immediate(_best(_PAIRWISE[params.scorer]))
    match params.scorer:
        case "numeric":
            comma = params.decimal == "comma"
            return immediate(_best(partial(numeric, decimal_comma=comma)))
        case "multiple_choice":
            return immediate(_score_choice)
        case "unit_tests":
            return lambda problem, answer: score_code(runner, problem, answer)
        case "judge":
            service = _judge_service(params, path)
            return Judge(executor, service, criteria=params.judge.criteria).score
        case _:
            return function_scorer(params.scorer, folder=path.parent)


def _best(compare: Callable[[str, str], Score]) -> Scorer:
    """Return the scorer that compares an answer with each that is right, the best verdict first."""

    def score(problem: Problem, answer: str) -> Score:
        right = problem.data.get(ACCEPTED, (problem.answer,))
        return max((compare(one, answer) for one in right), key=lambda verdict: verdict.value)

    return score


def _judge_service(params: TaskParams, path: Path) -> JudgeService:
    judge = params.judge
    return JudgeService(benchmark_label(str(path)), judge.model, judge.base_url, judge.calls)


def _score_choice(problem: Problem, answer: str) -> Score:
    options: Any = problem.data.get("options", ())
    return multiple_choice(problem.answer, answer, options=list(options))
