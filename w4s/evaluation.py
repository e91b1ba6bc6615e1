"""A workflow on problems: results, and the feedback that the policy gets of them.

Runs everything that it is given at once; the executor and the sandbox bound what is in flight.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from w4s.agent import CallLimits, PublicTest, WorkflowHandle
from w4s.benchmarks.base import Benchmark
from w4s.concurrency import gather
from w4s.llm.base import Executor
from w4s.prompts.state import case_study
from w4s.sandbox.base import Limits, Sandbox, SandboxResult
from w4s.sandbox.plain import spelled
from w4s.seeds import derive_seed
from w4s.types import (
    VIOLATIONS,
    Failure,
    FailureKind,
    Feedback,
    Problem,
    ProblemResult,
    PublicProblem,
    Score,
    Usage,
    ValidationSplits,
)

_TRIES = 3  # of a run whose process is killed from outside


@dataclass(frozen=True, slots=True)
class Workbench:
    """What running a workflow needs: the executor, the sandbox, and the limits of one problem."""

    executor: Executor
    sandbox: Sandbox
    limits: Limits
    call_limits: CallLimits
    code_limits: Limits


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """One run of a workflow on a question: its answer or why there is none, and what it took."""

    answer: str | None
    failure: Failure | None
    usage: Usage
    seconds: float
    violations: int


async def run_workflow(
    code: str,
    question: str,
    *,
    workbench: Workbench,
    draw: str,
    seed: int,
    public_test: PublicTest | None = None,
) -> WorkflowRun:
    """Run `code` once on `question`; `draw` addresses its calls, `seed` its own randomness.

    Whatever the workflow does wrong is a failure on the result; only fatal errors of the executor
    are raised. A process that somebody killed runs again: its calls are on record by then.
    """
    for _ in range(_TRIES):
        handle = WorkflowHandle(
            executor=workbench.executor,
            sandbox=workbench.sandbox,
            draw=draw,
            limits=workbench.call_limits,
            code_limits=workbench.code_limits,
            public_test=public_test,
        )
        result = await workbench.sandbox.run_workflow(
            code, task=question, handler=handle, limits=workbench.limits, seed=seed
        )
        if not result.from_outside:
            break
    failure = _failure(result, handle)
    cut_off = 1 if failure is not None and failure.kind in VIOLATIONS else 0
    return WorkflowRun(
        answer=None if failure else spelled(result.value["answer"]),
        failure=failure,
        usage=handle.usage,
        seconds=result.wall_seconds,
        violations=max(result.violations, cut_off) + handle.violations,
    )


async def run_problem(
    code: str, problem: Problem, *, benchmark: Benchmark, workbench: Workbench, draw: str
) -> ProblemResult:
    """Run `code` on one problem and score its answer.

    `draw` is the address of the evaluation. Raises as `run_workflow` does.
    """
    address = f"{draw}/{problem.id}"
    run = await run_workflow(
        code,
        problem.question,
        workbench=workbench,
        draw=address,
        seed=derive_seed(address),
        public_test=_public_test(benchmark, problem),
    )
    if run.answer is None:
        score = Score(0.0, None, run.failure.message if run.failure else "no answer")
    else:
        score = await benchmark.score(problem, run.answer)
    return ProblemResult(
        problem_id=problem.id,
        answer=run.answer,
        score=score,
        failure=run.failure,
        usage=run.usage,
        seconds=run.seconds,
        violations=run.violations,
    )


async def run_problems(
    code: str,
    problems: Sequence[Problem],
    *,
    benchmark: Benchmark,
    workbench: Workbench,
    draw: str,
) -> list[ProblemResult]:
    """Run `code` on all `problems` concurrently; results in the order of `problems`."""
    return await gather(
        run_problem(code, problem, benchmark=benchmark, workbench=workbench, draw=draw)
        for problem in problems
    )


async def evaluate(
    code: str, splits: ValidationSplits, *, benchmark: Benchmark, workbench: Workbench, draw: str
) -> Feedback:
    """Return the feedback on `code`: accuracy on private problems, case studies of public ones."""
    problems = (*splits.private, *splits.public)
    results = await run_problems(
        code, problems, benchmark=benchmark, workbench=workbench, draw=draw
    )
    count = len(splits.private)
    return make_feedback(results[:count], splits.public, results[count:])


def make_feedback(
    private: Sequence[ProblemResult],
    public_problems: Sequence[PublicProblem],
    public: Sequence[ProblemResult],
) -> Feedback:
    """Put results together: private ones give figures only, public ones give case studies.

    Wrong case studies come first. The usage is that of all results.
    """
    cases = [case_study(p, r) for p, r in zip(public_problems, public, strict=True)]
    everything = (*private, *public)
    kinds = Counter(str(r.failure.kind) for r in private if r.failure)
    return Feedback(
        accuracy=math.fsum(r.score.value for r in private) / len(private),
        problems=len(private),
        case_studies=tuple(sorted(cases, key=lambda case: case.correct)),
        failures=dict(sorted(kinds.items())),
        violation_rate=sum(r.violations > 0 for r in private) / len(private),
        usage=total_usage(everything),
    )


def total_usage(results: Sequence[ProblemResult]) -> Usage:
    """Return what all `results` cost together."""
    return sum((result.usage for result in results), Usage())


def _failure(result: SandboxResult, handle: WorkflowHandle) -> Failure | None:
    """Return why a run has no answer, or None where it has one."""
    failure = result.failure
    if failure is not None:
        unanswered = failure.kind is FailureKind.RUNTIME and handle.executor_failure is not None
        if unanswered:
            return Failure(FailureKind.EXECUTOR, str(handle.executor_failure), failure.line)
        return failure
    if not isinstance(result.value, dict) or result.value.get("answer") is None:
        return Failure(FailureKind.NO_ANSWER, 'the result is not a dict with the key "answer"')
    return None


def _public_test(benchmark: Benchmark, problem: Problem) -> PublicTest | None:
    """Return the benchmark's public tests of `problem` as a function, or None where it has none."""
    tester = getattr(benchmark, "public_test", None)
    if tester is None:
        return None

    async def run(solution: str, entry_point: str) -> str | None:
        return await tester(problem, solution, entry_point)  # type: ignore[no-any-return]  # by protocol

    return run
