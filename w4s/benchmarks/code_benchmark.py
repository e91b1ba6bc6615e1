"""A benchmark of code problems: answers are programs, scored by hidden unit tests.

Public tests are a separate thing that a workflow may run while it works
(`agent.test_on_public_test`); hidden ones only score.
"""

from __future__ import annotations

from w4s.benchmarks.code_harness import CodeTests, asserts_as_tests
from w4s.benchmarks.row_benchmark import RowBenchmark
from w4s.benchmarks.unit_tests import UnitTestRunner, solution_program
from w4s.types import Problem, Score


class CodeBenchmark:
    """Wraps rows whose `data` hold entry_point, preamble, prompt, tests and public_tests."""

    def __init__(self, rows: RowBenchmark, runner: UnitTestRunner) -> None:
        self._rows = rows
        self._runner = runner

    @property
    def name(self) -> str:
        """The name used in parameters, files and reports."""
        return self._rows.name

    @property
    def description(self) -> str:
        """What is asked and which form an answer has, for the policy."""
        return self._rows.description

    @property
    def version(self) -> str:
        """Name the rows and the scorer's revision."""
        return self._rows.version

    def problems(self, count: int, *, seed: int) -> list[Problem]:
        """Return `count` different problems in an order that the seed decides."""
        return self._rows.problems(count, seed=seed)

    async def score(self, problem: Problem, answer: str) -> Score:
        """Run the hidden tests on the program in the answer: 1 where all pass, else 0."""
        return await self._rows.score(problem, answer)

    async def public_test(self, problem: Problem, solution: str, entry_point: str) -> str | None:
        """Run the public tests: None where all pass (or there are none), else what failed.

        `entry_point` is what the workflow believes the function to be called.
        """
        asserts = list(problem.data["public_tests"])
        due = str(problem.data["entry_point"])
        if entry_point and entry_point != due:
            return f"NameError: the function must be called {due!r}, not {entry_point!r}"
        if not asserts:
            return None
        tests = asserts_as_tests(
            asserts,
            entry_point=due,
            imports=list(problem.data.get("imports", [])),
            preamble=str(problem.data["preamble"]),
        )
        verdict = await self._runner.run(_program(problem, solution), tests)
        return None if verdict.passed else verdict.reason


async def score_code(runner: UnitTestRunner, problem: Problem, answer: str) -> Score:
    """Score an answer by the hidden tests in the problem's data."""
    program = _program(problem, answer)
    tests = CodeTests(
        entry_point=str(problem.data["entry_point"]),
        source=str(problem.data["tests"]),
        preamble=str(problem.data["preamble"]),
    )
    verdict = await runner.run(program, tests)
    return Score(float(verdict.passed), program, verdict.reason)


def _program(problem: Problem, answer: str) -> str:
    return solution_program(
        answer,
        entry_point=str(problem.data["entry_point"]),
        prompt=str(problem.data["prompt"]),
    )
