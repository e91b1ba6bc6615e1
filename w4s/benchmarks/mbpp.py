"""MBPP, sanitized: 427 short Python functions from a sentence, scored by unit tests.

Home: `google-research-datasets/mbpp`, configuration sanitized, all four splits together (the
training split is not trained on here). Metric: pass@1 on the tests; the first one is public,
as in the paper's prompt, the others are hidden. Source: Austin et al., arXiv 2108.07732.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from w4s.benchmarks.code_benchmark import CodeBenchmark, score_code
from w4s.benchmarks.code_harness import asserts_as_tests
from w4s.benchmarks.row_benchmark import (
    BadRowError,
    Item,
    RowBenchmark,
    column,
    from_source,
    structure,
)
from w4s.benchmarks.rows import Source
from w4s.benchmarks.unit_tests import UnitTestRunner
from w4s.parsing import parse_quietly
from w4s.sandbox.base import Sandbox
from w4s.types import Problem, Score

SOURCE = Source(
    file="mbpp/sanitized",
    hub="google-research-datasets/mbpp",
    config="sanitized",
    split="train+test+validation+prompt",
    revision="4bb6404fdc6cacfda99d4ac4205087b89d32030c",
)
DESCRIPTION = (
    "Write a Python function from a sentence; its name and one test are given. The answer is the "
    "Python code of the whole function, with the imports it needs; hidden unit tests decide. "
    "agent.test_on_public_test runs the test that is given."
)


def mbpp(*, data_dir: Path | None = None, sandbox: Sandbox | None = None) -> CodeBenchmark:
    """Return the benchmark; scoring needs a sandbox."""
    runner = UnitTestRunner(sandbox)

    async def score(problem: Problem, answer: str) -> Score:
        return await score_code(runner, problem, answer)

    rows = RowBenchmark(
        "mbpp",
        description=DESCRIPTION,
        tables=from_source(SOURCE, data_dir),
        read_row=read_row,
        score=score,
    )
    return CodeBenchmark(rows, runner)


def read_row(row: Mapping[str, Any]) -> Item:
    """Read the columns prompt, code, test_imports and test_list."""
    code = column(row, "code")
    tests = _texts(row, "test_list")
    if not tests:
        raise BadRowError("column 'test_list' is missing or empty")
    signature, entry_point = _signature(code, tests[0])
    prompt = column(row, "prompt").strip()
    if signature not in prompt:
        prompt = f"{prompt}\n\n{signature}"
    # some tests use a module that only the reference solution imports
    imports = [*_texts(row, "test_imports"), *_imports(code)]
    return Item(
        question=f"{prompt}\n\nIt must pass this test:\n{tests[0]}",
        answer=code,
        data={
            "entry_point": entry_point,
            "preamble": "",
            "prompt": signature,
            "imports": imports,
            "tests": asserts_as_tests(tests, entry_point=entry_point, imports=imports).source,
            "public_tests": tests[:1],
        },
    )


def _texts(row: Mapping[str, Any], name: str) -> list[str]:
    value = structure(row, name) or []
    if not isinstance(value, list):
        raise BadRowError(f"column {name!r} is no list: {value!r:.60}")
    return [str(item) for item in value]


def _imports(code: str) -> list[str]:
    nodes = parse_quietly(code).body
    return [ast.unparse(node) for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]


def _signature(code: str, test: str) -> tuple[str, str]:
    """Return the `def` line and the name of the function of `code` that the test calls."""
    try:
        functions = [node for node in parse_quietly(code).body if isinstance(node, ast.FunctionDef)]
    except SyntaxError as error:
        raise BadRowError(f"column 'code' is no Python: {error.msg}") from error
    called = [node for node in functions if re.search(rf"\b{re.escape(node.name)}\s*\(", test)]
    if not called:
        raise BadRowError("the first test calls no function of column 'code'")
    node = called[-1]
    return f"def {node.name}({ast.unparse(node.args)}):", node.name
