"""Run a solution against unit tests in the sandbox, out of reach of what they expect.

See `code_harness` for why there are three programs. Knows no data set.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from itertools import islice
from typing import Any

from w4s.benchmarks.code_harness import (
    JUDGE,
    RECORD,
    RUN,
    CodeTests,
    failing_line,
    judge_program,
    recorder_program,
    runner_program,
)
from w4s.errors import ConfigError, DataError
from w4s.parsing import parse_quietly
from w4s.sandbox.base import Limits, Sandbox, SandboxResult

TEST_LIMITS = Limits(wall_seconds=30.0, cpu_seconds=10.0, output_bytes=1024**2)
MOST_ROUNDS = 50  # calls of a test that follow from results, found one a round
_FENCE = re.compile(r"```[^\n`]*\n(.*?)(?:```|\Z)", re.DOTALL)
_STATEMENT = re.compile(
    r"^(?:from\s+\S+\s+import\b|import\s|(?:async\s+)?def\s|class\s|@|[A-Za-z_]\w*\s*=)",
    re.MULTILINE,
)
_UNINDENTED = re.compile(r"^\S", re.MULTILINE)
_MOST_STARTS, _MOST_ENDS = 5, 50  # lines of prose that look like code, and behind code


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether all tests passed, and the first failure in words."""

    passed: bool
    reason: str


class UnitTestRunner:
    """Runs tests in `sandbox`; the calls that tests make are recorded once and kept."""

    def __init__(self, sandbox: Sandbox | None, *, limits: Limits = TEST_LIMITS) -> None:
        self._sandbox = sandbox
        self._limits = limits
        self._recorded: dict[CodeTests, list[Any]] = {}

    async def run(self, solution: str, tests: CodeTests) -> Verdict:
        """Return the verdict of `tests` on a program that defines the entry point.

        Raises ConfigError without a sandbox, DataError where the tests themselves are broken.
        """
        calls = await self._calls(tests)
        for _ in range(MOST_ROUNDS):
            ran = await self._run(runner_program(tests, solution), RUN, [[call] for call in calls])
            if ran.failure is not None:
                return Verdict(False, f"{ran.failure.kind}: {ran.failure.message}")
            judged = await self._run(judge_program(tests), JUDGE, [[calls, ran.value]])
            verdict = _only_value(judged)
            if verdict is None:
                return Verdict(False, f"the tests did not end on its results: {_trouble(judged)}")
            if "needs" not in verdict:
                return _in_words(verdict, tests, calls=len(calls))
            at = verdict["at"]
            calls = [*calls[:at], verdict["needs"], *calls[at:]]
        return Verdict(False, f"more than {MOST_ROUNDS} calls of the tests follow from its results")

    async def _calls(self, tests: CodeTests) -> list[Any]:
        if tests not in self._recorded:
            program = recorder_program(tests)
            recorded = await self._run(program, RECORD, [[]])
            found = _only_value(recorded)
            trouble = _trouble(recorded) if found is None else _unusable(found)
            if trouble is not None:
                raise DataError(f"the tests of {tests.entry_point}() cannot be used: {trouble}")
            self._recorded[tests] = found["calls"]
        return self._recorded[tests]

    async def _run(self, code: str, entry_point: str, calls: list[list[Any]]) -> SandboxResult:
        if self._sandbox is None:
            raise ConfigError("unit tests need a sandbox: pass one to get_benchmark(sandbox=…)")
        return await self._sandbox.run_code(
            code, limits=self._limits, seed=0, entry_point=entry_point, calls=calls
        )


def solution_program(answer: str, *, entry_point: str, prompt: str = "") -> str:
    """Return the program that an answer means.

    The last fenced block that defines the function, else the last block, else the whole text
    without the prose around the code; where it lacks the function, it counts as the body that
    continues `prompt`.
    """
    defines = re.compile(rf"^(?:async\s+)?def\s+{re.escape(entry_point)}\b", re.MULTILINE)
    fenced = _FENCE.findall(answer)
    blocks = [block for block in fenced if defines.search(textwrap.dedent(block))] or fenced
    text = textwrap.dedent(blocks[-1]) if blocks else answer
    if defines.search(text):
        return (text if blocks else _without_prose(text, defines)).strip("\n")
    body = text.strip("\n")
    return f"{prompt.rstrip()}\n{_indented(body)}" if prompt else body


def _without_prose(text: str, defines: re.Pattern[str]) -> str:
    """Return the first lines that are Python and define the function; `text` where none are."""
    if _is_python(text):
        return text
    for start in islice(_STATEMENT.finditer(text), _MOST_STARTS):
        code = text[start.start() :]
        lines = [match.start() for match in _UNINDENTED.finditer(code)]
        for end in [len(code), *reversed(lines[-_MOST_ENDS:])]:
            if defines.search(code[:end]) and _is_python(code[:end]):
                return code[:end]
    return text


def _indented(body: str) -> str:
    """Return a function's body as lines inside it: all, or the first alone, lost their indent."""
    if body.startswith((" ", "\t")):
        return body
    ways = [textwrap.indent(body, "    "), f"    {body}"]
    return next((way for way in ways if _is_python(f"def f():\n{way}")), ways[0])


def _is_python(text: str) -> bool:
    try:
        parse_quietly(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _unusable(recorded: dict[str, Any]) -> str | None:
    """Return why tests of which this was recorded cannot judge anything, or None."""
    if recorded["odd"] is not None:
        return f"they pass it {recorded['odd']}, and only plain values can be passed on"
    if recorded["calls"]:
        return None
    return recorded["error"] or "they never call it"


def _in_words(verdict: dict[str, Any], tests: CodeTests, *, calls: int) -> Verdict:
    if verdict["passed"]:
        return Verdict(True, f"passes {calls} calls")
    where = failing_line(tests, verdict["line"])
    reason = f"{verdict['error']} at `{where}`; the last result was {verdict['last']}"
    return Verdict(False, reason)


def _only_value(result: SandboxResult) -> Any:
    """Return the value of the one call of a trusted program, or None where it has none."""
    if result.failure is not None or not result.value or "ok" not in result.value[0]:
        return None
    return result.value[0]["ok"]


def _trouble(result: SandboxResult) -> str:
    if result.failure is not None:
        return f"{result.failure.kind}: {result.failure.message}"
    return str(result.value)[:300]
