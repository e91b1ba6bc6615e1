"""Unit tests decide in the sandbox, and a solution cannot see or forge what they expect."""

from __future__ import annotations

import ast
import asyncio
import warnings
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from w4s.benchmarks.base import TooFewProblems
from w4s.benchmarks.code_benchmark import CodeBenchmark
from w4s.benchmarks.code_harness import (
    CodeTests,
    asserts_as_tests,
    recorder_program,
    runner_program,
)
from w4s.benchmarks.humaneval import docstring_examples, humaneval
from w4s.benchmarks.humaneval import read_row as read_humaneval
from w4s.benchmarks.mbpp import mbpp
from w4s.benchmarks.mbpp import read_row as read_mbpp
from w4s.benchmarks.row_benchmark import BadRowError
from w4s.benchmarks.unit_tests import UnitTestRunner, Verdict, solution_program
from w4s.errors import ConfigError, DataError
from w4s.sandbox.base import Limits, Sandbox
from w4s.sandbox.host import ProcessSandbox
from w4s.types import Problem

DATA = Path(__file__).parents[3] / "shared" / "data"
real_rows = pytest.mark.skipif(not DATA.exists(), reason=f"no rows of the benchmarks at {DATA}")
ADD = asserts_as_tests(["assert add(1, 2) == 3", "assert add(-1, 1) == 0"], entry_point="add")
# the reference solution in the development copy of this row calls its helper wrongly
BROKEN_ROWS = {"get_coordinates"}
HUMANEVAL_ROW = {
    "task_id": "HumanEval/x",
    "prompt": (
        "from typing import List\n\n\ndef scale(x):\n    return 2 * x\n\n\n"
        'def double_all(xs: List[int]) -> List[int]:\n    """ Double.\n'
        "    >>> double_all([1, 2])\n    [2, 4]\n"
        '    """\n'
    ),
    "entry_point": "double_all",
    "canonical_solution": "    return [scale(x) for x in xs]\n",
    "test": (
        "def check(candidate):\n    assert candidate([1, 2]) == [2, 4]\n"
        "    assert candidate([]) == []\n    assert candidate([scale(3)]) == [12]\n"
    ),
}
MBPP_ROW = {
    "task_id": 1,
    "prompt": "Write a function to add two numbers.",
    "code": "import math\ndef plus(a, b):\n  return a + b",
    "test_imports": ["import math"],
    "test_list": ["assert math.isclose(plus(1, 2), 3)", "assert plus(2, 2) == 4"],
}


_started: list[tuple[asyncio.Runner, ProcessSandbox]] = []


@pytest.fixture(scope="module", autouse=True)
def _one_sandbox() -> Iterator[None]:
    """Start a sandbox for all tests of this module: each run has a process of its own anyway."""
    with asyncio.Runner() as loop:
        sandbox = ProcessSandbox(workers=4)
        loop.run(sandbox.__aenter__())
        _started.append((loop, sandbox))
        yield
        _started.clear()
        loop.run(sandbox.__aexit__(None, None, None))


def in_sandbox(run: Callable[[Sandbox], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine function with the started sandbox."""
    ((loop, sandbox),) = _started
    return loop.run(run(sandbox))


def verdict(solution: str, tests: CodeTests = ADD, **limits: float) -> Verdict:
    async def run(sandbox: Sandbox) -> Verdict:
        runner = UnitTestRunner(sandbox, limits=Limits(wall_seconds=20, **limits))
        return await runner.run(solution, tests)

    return in_sandbox(run)


def test_a_right_solution_passes() -> None:
    """All calls of the tests are made, and the verdict says how many."""
    assert verdict("def add(a, b):\n    return a + b") == Verdict(True, "passes 2 calls")


def test_a_wrong_solution_fails_with_the_test_and_its_result() -> None:
    """The reason names the assertion and what the solution gave."""
    result = verdict("def add(a, b):\n    return a - b")
    assert not result.passed
    assert "assert add(1, 2) == 3" in result.reason
    assert "the last result was -1" in result.reason


@pytest.mark.parametrize(
    ("solution", "reason"),
    [
        ("def add(a, b):\n    return 1 / 0", "ZeroDivisionError"),
        ("def add(a):\n    return a", "TypeError"),
        ("def plus(a, b):\n    return a + b", "NameError"),
        ("def add(a, b)\n    return a + b", "syntax"),
        ("raise ValueError('no')\ndef add(a, b): return a + b", "ValueError"),
        ("", "NameError"),
    ],
)
def test_a_broken_solution_fails_with_its_error(solution: str, reason: str) -> None:
    """Errors of the solution are its own failure, in words."""
    result = verdict(solution)
    assert not result.passed
    assert reason in result.reason


@pytest.mark.parametrize(
    ("asserts", "right", "wrong"),
    [
        (["assert f(f(1)) == 3"], "x + 1", "x + 2"),
        (["y = f(1)", "assert f(y) == 3"], "x + 1", "x + 2"),
        (["assert not f(1) and f(2)"], "x > 1", "x > 0"),
        (["assert any(f(i) for i in (1, 2, 3))"], "x == 2", "x == 5"),
        (["if f(1):\n    raise AssertionError(1)", "assert f(2)"], "x > 1", "x > 0"),
        (["y = 0", "while y < 3:\n    y = f(y)", "assert y == 3"], "x + 1", "x + 2"),
        (["text = f'{f(1):.2f}'", "assert text == '2.00'"], "x + 1", "x + 2"),
        (["y = [2, 1]", "f(y)", "assert y == [1, 2]"], "x.sort()", "sorted(x)"),
        (["y = {1}", "f(y)", "assert f(y) is None and y == {1, 7}"], "x.add(7)", "x | {7}"),
        (["assert f([1, 2]) == [2, 4]"], "__import__('numpy').array(x) * 2", "x * 2"),
        (["assert f({'b', 'a', 'c'}) == 3"], "len(x)", "2"),
    ],
)
def test_calls_may_follow_from_results_and_change_arguments(
    asserts: list[str], right: str, wrong: str
) -> None:
    """Nested calls, conditions, loops and changes in place are as if nothing were in between."""
    tests = asserts_as_tests(asserts, entry_point="f")
    assert verdict(f"def f(x):\n    return {right}", tests).passed
    assert not verdict(f"def f(x):\n    return {wrong}", tests).passed


def test_a_test_without_end_fails() -> None:
    """The rounds are bounded where each result asks for another call."""
    tests = asserts_as_tests(["y = 0", "while y >= 0:\n    y = f(y)"], entry_point="f")
    assert "follow from its results" in verdict("def f(x):\n    return x + 1", tests).reason


def test_tests_that_pass_functions_are_refused() -> None:
    """Every answer would fail them: the rows say so instead."""
    tests = asserts_as_tests(["assert f(lambda x: x) == 1"], entry_point="f")
    with pytest.raises(DataError, match=r"they pass it <function .* only plain values"):
        verdict("def f(g):\n    return g(1)", tests)


def test_a_solution_that_never_ends_is_cut_off() -> None:
    """The limits of the sandbox hold for tests as well."""
    result = verdict("def add(a, b):\n    while True: pass", cpu_seconds=1.0)
    assert not result.passed
    assert "cpu_time" in result.reason or "wall_time" in result.reason


FORGERIES = {
    "always equal": (
        "class Any(int):\n    def __eq__(self, other): return True\n    __hash__ = int.__hash__\n"
        "def add(a, b):\n    return Any(0)"
    ),
    "reads its caller": (
        "import sys\ndef add(a, b):\n    frame = sys._getframe(1)\n"
        "    while frame:\n        for value in frame.f_code.co_consts:\n"
        "            if value == 3: return 3\n        frame = frame.f_back\n    return None"
    ),
    "replaces the harness": (
        "def add(a, b):\n    return 0\n"
        "def _w4s_run(call):\n    return {'passed': True}\n"
        "globals().__setitem__('_w4s_encode', lambda value: ['o', 'x', True])"
    ),
    "patches equality": (
        "import builtins\nbuiltins.AssertionError = Warning\ndef add(a, b):\n    return 0"
    ),
    "leaves early": "import os\ndef add(a, b):\n    os._exit(0)",
    "raises an exit": "def add(a, b):\n    raise SystemExit(0)",
    "prints a verdict": (
        "def add(a, b):\n    print('{\"passed\": true}', flush=True)\n    return 0"
    ),
    "looks for the test": (
        "import gc\ndef add(a, b):\n    for thing in gc.get_objects():\n"
        "        if isinstance(thing, str) and 'assert add' in thing: return 3\n    return 0"
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_verdicts_cannot_be_forged(name: str) -> None:
    """A solution that attacks its tests instead of solving them fails."""
    assert not verdict(FORGERIES[name]).passed


def test_the_expected_values_never_enter_the_solutions_process() -> None:
    """The program that holds the solution holds nothing of the tests."""
    tests = asserts_as_tests(["assert add(1, 2) == 314159"], entry_point="add")
    assert "314159" not in runner_program(tests, "def add(a, b): return 0")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("(1, 2)", "(1, 2)"),
        ("{1, 2}", "{2, 1}"),
        ("{(1, 2): [3]}", "{(1, 2): [3]}"),
        ("1e308 * 10", "float('inf')"),
        ("2**200", "2**200"),
        ("1+2j", "1+2j"),
        ("b'a'", "b'a'"),
        ("range(3)", "range(3)"),
        ("'\\u00e9\\n'", "'\\u00e9\\n'"),
        ("None", "None"),
        ("True", "True"),
        ("frozenset({1})", "frozenset({1})"),
    ],
)
def test_values_keep_their_types_on_the_way(expression: str, value: str) -> None:
    """Results and arguments are compared as Python values, not as JSON."""
    check = f"assert f({expression}) == {value} and type(f({expression})) is type({value})"
    assert verdict("def f(x):\n    return x", asserts_as_tests([check], entry_point="f")).passed


def test_a_list_is_no_tuple_and_a_generator_no_list() -> None:
    """Differences that a test would see in one process are seen here."""
    tests = asserts_as_tests(["assert f() == [1, 2]"], entry_point="f")
    assert not verdict("def f():\n    return (1, 2)", tests).passed
    assert not verdict("def f():\n    yield 1\n    yield 2", tests).passed
    listed = asserts_as_tests(["assert list(f()) == [1, 2]"], entry_point="f")
    assert verdict("def f():\n    yield 1\n    yield 2", listed).passed


@pytest.mark.parametrize(
    ("asserts", "right", "wrong"),
    [
        (["assert f(2) == 4"], "Decimal(x) * 2", "Decimal(x)"),
        (["assert f(1) == 0.5"], "Fraction(x, 2)", "Fraction(x, 3)"),
        (["assert f(b'ab') == b'ba'"], "bytearray(x[::-1])", "bytearray(x)"),
        (
            ["import datetime", "assert f(datetime.date(2024, 2, 28)).isoformat() == '2024-02-29'"],
            "x + timedelta(1)",
            "x",
        ),
        (["assert f(1) == 10**5000"], "10**5000", "10**5001"),
    ],
)
def test_results_that_equal_plain_values_are_right(
    asserts: list[str], right: str, wrong: str
) -> None:
    """Exact numbers, dates and numbers of many digits compare as they would in one process."""
    tests = asserts_as_tests(asserts, entry_point="f")
    imports = "from datetime import timedelta\nfrom decimal import Decimal\n"
    program = f"{imports}from fractions import Fraction\ndef f(x):\n    return "
    assert verdict(program + right, tests).passed
    assert not verdict(program + wrong, tests).passed


def test_an_error_of_ones_own_is_the_built_in_one_that_it_derives_from() -> None:
    """With its words, and with the line of the solution in the reason."""
    source = (
        "def check(candidate):\n    try:\n        candidate(-1)\n"
        "    except ValueError as error:\n        assert str(error) == 'negative'\n"
        "    else:\n        assert False, 'no error'\n"
    )
    tests = CodeTests("f", source)
    program = "class Bad(ValueError):\n    pass\ndef f(x):\n    raise Bad({!r})"
    assert verdict(program.format("negative"), tests).passed
    failed = verdict(program.format("other"), tests)
    assert not failed.passed
    assert "ValueError: other (line 5)" in failed.reason


def test_what_a_solution_prints_does_not_count() -> None:
    """Only an endless flood ends it."""
    program = "def add(a, b):\n    print('x' * 200_000)\n    return a + b"

    async def run(sandbox: Sandbox) -> Verdict:
        return await UnitTestRunner(sandbox).run(program, ADD)

    assert in_sandbox(run).passed


@pytest.mark.parametrize(
    ("given", "error", "right", "wrong"),
    [
        ("-1", "ValueError", "raise ValueError('negative')", "return 0"),
        ("b'\\xff'", "UnicodeDecodeError", "return x.decode()", "return ''"),  # has several parts
    ],
)
def test_an_expected_error_is_seen(given: str, error: str, right: str, wrong: str) -> None:
    """A test that expects an exception gets one of the same class."""
    source = (
        f"def check(candidate):\n    try:\n        candidate({given})\n    except {error}:\n"
        "        return\n    assert False, 'no error'\n"
    )
    tests = CodeTests("root", source)
    assert verdict(f"def root(x):\n    {right}", tests).passed
    assert not verdict(f"def root(x):\n    {wrong}", tests).passed


def test_random_tests_make_the_same_calls_twice() -> None:
    """Tests that draw their arguments at random are recorded and judged alike."""
    source = (
        "def check(candidate):\n    import random\n    for _ in range(50):\n"
        "        x, y = random.randint(0, 99), random.randint(0, 99)\n"
        "        assert candidate(x, y) == x + y\n"
    )
    assert verdict("def add(a, b):\n    return a + b", CodeTests("add", source)).passed


def test_broken_tests_are_the_datas_fault() -> None:
    """Tests that never call the function raise instead of failing every solution."""
    with pytest.raises(DataError, match=r"tests of f\(\) cannot be used"):
        verdict("def f(): pass", CodeTests("f", "def check(candidate):\n    pass\n"))


def test_without_a_sandbox_nothing_is_run() -> None:
    """The error says what is missing."""
    runner = UnitTestRunner(None)
    with pytest.raises(ConfigError, match="need a sandbox"):
        asyncio.run(runner.run("def add(a, b): return 3", ADD))


@pytest.mark.parametrize(
    "answer",
    [
        "def f(x):\n    return x",
        "```python\ndef f(x):\n    return x\n```",
        "First:\n```\ndef g(): pass\n```\nthen\n```py\ndef f(x):\n    return x\n```\nDone.",
        "```python\ndef f(x):\n    return x",
        "    return x",
        "return x",
        "```python\n    return x\n```",
        "Here is the function:\n\ndef f(x):\n    return x\n\nIt returns what it is given.",
        "Sure!\nimport math\n\ndef f(x):\n    return math.floor(x)\nNote: x is whole.\nThat's it.",
        "Let's see, with\nN = 0, say:\n\nN = 0\n\ndef f(x):\n    return x + N\n\nDone: N is 0.",
        "for y in [x]:\n        pass\n    return y",
        "for y in [x]:\n    pass\nreturn y",
    ],
)
def test_programs_are_found_in_usual_answers(answer: str) -> None:
    """Whole functions, fenced or not, and bare bodies become the same function."""
    program = solution_program(answer, entry_point="f", prompt='def f(x):\n    """Doc."""\n')
    namespace: dict[str, Any] = {}
    exec(program, namespace)  # noqa: S102  # a literal of this test
    assert namespace["f"](5) == 5


def test_examples_of_a_docstring_in_all_their_notations() -> None:
    """Doctests, arrows, equations and sentences become assertions; formulas do not."""
    prompt = (
        "def f(a, b=1):\n"
        '    """ Example f(9)\n    >>> f(1)\n    [1, "x  y"]\n    >>> f( (2,\n      3) )\n    5\n'
        "    f(3) == 4\n    f(4) ➞ True\n    f(5) -> 19 - 5 = 14\n    f(6) => 'a'\n"
        '    f(7) should return 72.\n    f(8)   # returns "db"\n    f(x) == 1\n    g.f(2) == 3\n'
        '    """\n'
    )
    assert docstring_examples(prompt, "f") == [
        "assert f(1) == [1, 'x  y']",
        "assert f((2, 3)) == 5",
        "assert f(3) == 4",
        "assert f(4) == True",
        "assert f(6) == 'a'",
        "assert f(7) == 72",
        "assert f(8) == 'db'",
    ]


def code_problem(benchmark: CodeBenchmark, item: Any) -> Problem:
    return Problem("p", benchmark.name, item.question, item.answer, item.data)


def test_a_humaneval_row_is_scored_with_its_helpers() -> None:
    """Helpers and imports of the prompt serve the solution and the tests."""
    item = read_humaneval(HUMANEVAL_ROW)

    async def run(sandbox: Sandbox) -> list[float]:
        benchmark = humaneval(sandbox=sandbox)
        problem = code_problem(benchmark, item)
        answers = (
            item.answer,
            "def double_all(xs: List[int]):\n    return [scale(x) for x in xs]",
            "    return [2 * x for x in xs]",
            "def double_all(xs):\n    return xs",
        )
        return [(await benchmark.score(problem, answer)).value for answer in answers]

    assert in_sandbox(run) == [1.0, 1.0, 1.0, 0.0]


def test_public_tests_are_apart_from_hidden_ones() -> None:
    """A solution that knows the examples alone passes the public tests and scores 0."""
    item = read_humaneval(HUMANEVAL_ROW)
    assert item.data["public_tests"] == ["assert double_all([1, 2]) == [2, 4]"]
    memorised = "def double_all(xs):\n    return [2, 4]"

    async def run(sandbox: Sandbox) -> tuple[str | None, str | None, str | None, float]:
        benchmark = humaneval(sandbox=sandbox)
        problem = code_problem(benchmark, item)
        wrong = "def double_all(xs):\n    return xs"
        return (
            await benchmark.public_test(problem, memorised, "double_all"),
            await benchmark.public_test(problem, wrong, "double_all"),
            await benchmark.public_test(problem, memorised, "solve"),
            (await benchmark.score(problem, memorised)).value,
        )

    passed, failed, misnamed, value = in_sandbox(run)
    assert passed is None
    assert failed is not None
    assert "assert double_all([1, 2]) == [2, 4]" in failed
    assert misnamed is not None
    assert "must be called 'double_all'" in misnamed
    assert value == 0.0


def test_an_mbpp_row_shows_its_first_test_alone() -> None:
    """The question holds signature and first test; the hidden ones stay in the data."""
    item = read_mbpp(MBPP_ROW)
    assert "def plus(a, b):" in item.question
    assert "isclose(plus(1, 2), 3)" in item.question
    assert "plus(2, 2)" not in item.question

    async def run(sandbox: Sandbox) -> list[float]:
        benchmark = mbpp(sandbox=sandbox)
        problem = code_problem(benchmark, item)
        wrong = "def plus(a, b):\n    return 3"
        return [
            (await benchmark.score(problem, item.answer)).value,
            (await benchmark.score(problem, wrong)).value,
            float(await benchmark.public_test(problem, wrong, "plus") is None),
        ]

    assert in_sandbox(run) == [1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test_list": []}, "'test_list' is missing"),
        ({"code": "def plus(a"}, "no Python"),
        ({"code": "x = 1"}, "calls no function"),
    ],
)
def test_unusable_mbpp_rows_say_why(change: dict[str, Any], message: str) -> None:
    """Rows without tests, or whose code does not fit them, are refused."""
    with pytest.raises(BadRowError, match=message):
        read_mbpp({**MBPP_ROW, **change})


def mutant(program: str, entry_point: str) -> str:
    """Return a program whose function gives something else than the given one's."""
    return (
        f"{program}\n_original = {entry_point}\n"
        f"def {entry_point}(*args, **kwargs):\n"
        "    value = _original(*args, **kwargs)\n"
        "    if isinstance(value, bool):\n        return not value\n"
        "    if isinstance(value, (int, float)):\n        return value * 2 + 1\n"
        "    if isinstance(value, str):\n        return value + '?'\n"
        "    return None if value else [None]\n"
    )


@pytest.mark.slow
@real_rows
@pytest.mark.parametrize("name", ["humaneval", "mbpp"])
def test_all_reference_solutions_pass_and_mutated_ones_fail(name: str) -> None:
    """Every row: reference right on hidden and public tests, a mutant of it wrong."""

    async def run(sandbox: Sandbox) -> list[Any]:
        benchmark = {"humaneval": humaneval, "mbpp": mbpp}[name](data_dir=DATA, sandbox=sandbox)
        try:
            problems = benchmark.problems(10**6, seed=0)
        except TooFewProblems as error:
            problems = benchmark.problems(error.available, seed=0)
        gate = asyncio.Semaphore(4)

        async def check(problem: Problem) -> list[Any]:
            entry_point = str(problem.data["entry_point"])
            if entry_point in BROKEN_ROWS:
                return []
            async with gate:
                right = await benchmark.score(problem, problem.answer)
                public = await benchmark.public_test(problem, problem.answer, entry_point)
                wrong = await benchmark.score(problem, mutant(problem.answer, entry_point))
            good = right.value == 1.0 and public is None and wrong.value == 0.0
            return [] if good else [(entry_point, right.reason, public, wrong.reason)]

        found = await asyncio.gather(*map(check, problems))
        assert len(found) == {"humaneval": 164, "mbpp": 427}[name]
        return [item for items in found for item in items]

    assert in_sandbox(run) == []


def test_recorded_programs_are_python() -> None:
    """The programs made from any tests at least compile."""
    ast.parse(runner_program(ADD, "from __future__ import annotations\ndef add(a, b): return 3"))


def test_rows_whose_code_python_would_warn_of_are_read_in_silence() -> None:
    """Warnings about a benchmark's code are nothing that a person can mend."""
    row = {
        "task_id": 1,
        "prompt": "Find a word.",
        "test_imports": [],
        "code": "import re\ndef found(text):\n    return re.search('\\w+', text).group() is 1",
        "test_list": ["assert found('a') == 'a'"],
        "test_setup_code": "",
        "challenge_test_list": [],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_mbpp(row)
        recorder_program(asserts_as_tests(["assert found('\\w') == 1"], entry_point="found"))
