"""HumanEval: 164 Python functions to complete from a docstring, scored by hidden unit tests.

Home: `openai/openai_humaneval`, split test (all of it). Metric: pass@1. Public tests are the
examples of the docstring. Source: Chen et al., arXiv 2107.03374.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from w4s.benchmarks.code_benchmark import CodeBenchmark, score_code
from w4s.benchmarks.row_benchmark import BadRowError, Item, RowBenchmark, column, from_source
from w4s.benchmarks.rows import Source
from w4s.benchmarks.unit_tests import UnitTestRunner
from w4s.sandbox.base import Sandbox
from w4s.types import Problem, Score

SOURCE = Source(
    file="humaneval/test",
    hub="openai/openai_humaneval",
    split="test",
    revision="7dce6050a7d6d172f3cc5c32aa97f52fa1a2e544",
)
DESCRIPTION = (
    "Complete a Python function from its signature and docstring. The answer is the Python code "
    "of the whole function, with the imports it needs; hidden unit tests decide. "
    "agent.test_on_public_test runs the examples of the docstring."
)
# docstring examples that the reference solution contradicts
WRONG_EXAMPLES = frozenset(
    {
        "HumanEval/47: assert median([-10, 4, 6, 1000, 10, 20]) == 15.0",
        "HumanEval/130: assert tri(1) == 3",
        "HumanEval/130: assert tri(4) == 3",
        "HumanEval/148: assert bf('Earth', 'Mercury') == 'Venus'",
    }
)
_ARROW = re.compile(
    r"\s*(?:==>|==|=>|➞|->|=|#\s*returns?|#\s*=>|(?:should )?returns?|will return|is)\s*"
)
_MAX_CALL_CHARACTERS = 600


def humaneval(*, data_dir: Path | None = None, sandbox: Sandbox | None = None) -> CodeBenchmark:
    """Return the benchmark; scoring needs a sandbox."""
    runner = UnitTestRunner(sandbox)

    async def score(problem: Problem, answer: str) -> Score:
        return await score_code(runner, problem, answer)

    rows = RowBenchmark(
        "humaneval",
        description=DESCRIPTION,
        tables=from_source(SOURCE, data_dir),
        read_row=read_row,
        score=score,
    )
    return CodeBenchmark(rows, runner)


def read_row(row: Mapping[str, Any]) -> Item:
    """Read the columns task_id, prompt, entry_point, canonical_solution and test."""
    prompt, entry_point = column(row, "prompt"), column(row, "entry_point")
    split = re.search(rf"^def {re.escape(entry_point)}\b", prompt, re.MULTILINE)
    if split is None:
        raise BadRowError(f"the prompt does not define {entry_point!r}")
    return Item(
        question=f"Complete the Python function `{entry_point}`.\n\n{prompt.strip()}",
        answer=prompt + column(row, "canonical_solution"),
        data={
            "entry_point": entry_point,
            "preamble": prompt[: split.start()],
            "prompt": prompt,
            "tests": column(row, "test"),
            "public_tests": [
                example
                for example in docstring_examples(prompt, entry_point)
                if f"{row.get('task_id')}: {example}" not in WRONG_EXAMPLES
            ],
        },
    )


def docstring_examples(prompt: str, entry_point: str) -> list[str]:
    """Return the examples of a docstring as assert statements.

    Understands doctest's `>>> f(1)` with the value on the next line, and `f(1) == 2`,
    `f(1) -> 2`, `f(1) should return 2` and their like, where the value is a literal.
    """
    found = []
    for match in re.finditer(rf"(?<![\w.]){re.escape(entry_point)}\s*\(", prompt):
        before = prompt[: match.start()].rsplit("\n", 1)[-1].strip()
        if before.endswith("def"):
            continue
        call = _call(prompt[match.start() :])
        if call is None:
            continue
        rest = prompt[match.start() + len(call) :]
        value = _value(rest, doctest=before == ">>>")
        if value is not None:
            found.append(f"assert {ast.unparse(ast.parse(call))} == {value}")
    return list(dict.fromkeys(found))


def _call(text: str) -> str | None:
    """Return the shortest beginning of `text` that is a call with literal arguments."""
    for end, character in enumerate(text[:_MAX_CALL_CHARACTERS], 1):
        if character != ")":
            continue
        try:
            tree = ast.parse(text[:end], mode="eval").body
        except (SyntaxError, ValueError):
            continue
        if not isinstance(tree, ast.Call) or tree.keywords:
            return None
        try:
            for argument in tree.args:
                ast.literal_eval(argument)
        except (ValueError, TypeError):
            return None
        return text[:end]
    return None


def _value(rest: str, *, doctest: bool) -> str | None:
    arrow = re.compile(r"[ \t]*\n\s*").match(rest) if doctest else _ARROW.match(rest)
    if arrow is None:
        return None
    text = rest[arrow.end() :].split("\n", 1)[0].strip()
    for candidate in (text.rstrip(".,;"), text.rstrip(".\"'")):
        try:
            return repr(ast.literal_eval(candidate))
        except (ValueError, SyntaxError, TypeError):
            continue
    return None
