"""The built-in workflows give an answer in the form that a benchmark scores."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.fakes import FakeExecutor, fake_workbench
from w4s.agent import PublicTest
from w4s.baselines import baseline
from w4s.benchmarks.answer_form import answer_form
from w4s.benchmarks.scorers import multiple_choice
from w4s.benchmarks.unit_tests import solution_program
from w4s.evaluation import WorkflowRun, run_workflow
from w4s.llm.base import ChatRequest
from w4s.parsing import check_syntax
from w4s.sandbox.host import ProcessSandbox
from w4s.workflow import builtin_workflow, builtin_workflows

OPTIONS = ["1 m/s", "5 m/s", "a 7"]
TESTED = ("self_consistency", "code_generation")
PROGRAM = "def double(x):\n    return 2 * x"


@dataclass(frozen=True)
class Case:
    """A baseline on a benchmark; the executor gives `replies`, then the last one again."""

    name: str
    benchmark: str
    replies: tuple[str, ...]
    public_test: PublicTest | None = None


def answers(cases: Sequence[Case]) -> list[str]:
    """Return what the baselines answer, run in one real sandbox."""

    async def ask() -> list[WorkflowRun]:
        async with ProcessSandbox() as sandbox:
            return [await answered(case, sandbox) for case in cases]

    runs = asyncio.run(ask())
    assert [run.failure for run in runs] == [None] * len(cases)
    return [str(run.answer) for run in runs]


async def answered(case: Case, sandbox: ProcessSandbox) -> WorkflowRun:
    left = list(case.replies)

    def reply(request: ChatRequest, _: str) -> str:
        if request.json_keys:
            return json.dumps(dict.fromkeys(request.json_keys, "True"))
        return left.pop(0) if len(left) > 1 else left[0]

    return await run_workflow(
        baseline(case.name, benchmark=case.benchmark).code,
        "the task",
        workbench=replace(fake_workbench(FakeExecutor(reply)), sandbox=sandbox),
        draw="test/x",
        seed=0,
        public_test=case.public_test,
    )


async def passes_on_double(solution: str, _: str) -> str | None:
    return None if "2 * x" in solution else "AssertionError: double(1) == 2"


def test_every_baseline_returns_a_program_where_programs_are_scored() -> None:
    """A right program in a fenced block, with numbers in it and around it, is what is scored."""
    reply = f"In 2 steps:\n```python\n{PROGRAM}\n```\nIt takes O(1), for 3 reasons."
    cases = [
        Case(name, "humaneval", (reply,), passes_on_double if name in TESTED else None)
        for name in builtin_workflows()
    ]
    for given in answers(cases):
        assert solution_program(given, entry_point="double") == PROGRAM


def test_every_baseline_returns_a_choice_whose_text_holds_numbers() -> None:
    """The letter is scored, and not a number of its option or of the reasons."""
    replies = ("\\boxed{B}", "B. 5 m/s", "The answer is (B), as 2 < 5 < 7.")
    cases = [Case(name, "mmlu_pro", (reply,)) for name in builtin_workflows() for reply in replies]
    for case, given in zip(cases, answers(cases), strict=True):
        assert multiple_choice("B", given, options=OPTIONS).value == 1, case


def test_a_program_that_fails_the_public_tests_is_passed_over() -> None:
    """Self-consistency of programs takes the first that passes; without tests the first of all."""
    wrong, right = "def double(x):\n    return x", PROGRAM
    cases = [
        Case("self_consistency", "mbpp", (wrong, right), passes_on_double),
        Case("self_consistency", "mbpp", (wrong, right)),
        Case("code_generation", "mbpp", (wrong,)),
    ]
    assert answers(cases) == [right, wrong, wrong]


def test_code_without_a_fence_is_run() -> None:
    """The value of `solution()` is the answer, and not the last number of its text."""
    code = "def solution():\n    return 40 + 2"
    replies = (code, f"```python\n{code}\n```", "It is 42.")
    cases = [Case("code_generation", name, (r,)) for name in ("gsm8k", "drop") for r in replies[:2]]
    assert answers([*cases, Case("code_generation", "gsm8k", replies[2:])]) == ["42"] * 5


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("6 * 3.0", "18"),
        ("1.1 * 1.1 * 100 - 103", "18"),
        ("0.1 + 0.2", "0.3"),
        ("2.5", "2.5"),
        ("2.0**50", "1125899906842624.0"),
    ],
)
def test_what_a_program_computes_is_read_without_the_last_bits(value: str, text: str) -> None:
    """A sum of floats that misses 18 by 1e-14 is 18: the scorers of whole numbers are exact."""
    code = f"def solution():\n    return {value}"
    assert answers([Case("code_generation", "gsm8k", (code,))]) == [text]


def test_no_baseline_sends_an_empty_turn_of_the_assistant() -> None:
    """A model may refuse or say nothing; endpoints refuse a message that holds nothing."""
    executor = FakeExecutor(lambda request, _: '{"correct": "False"}' if request.json_keys else "")

    async def run() -> None:
        async with ProcessSandbox() as sandbox:
            bench = replace(fake_workbench(executor), sandbox=sandbox)
            for name in builtin_workflows():
                code = baseline(name, benchmark="gsm8k").code
                await run_workflow(code, "the task", workbench=bench, draw=name, seed=0)

    asyncio.run(run())
    sent = [message.content for request, _ in executor.asked for message in request.messages]
    assert len(sent) > len(builtin_workflows())
    assert all(sent)


@pytest.mark.parametrize("name", builtin_workflows())
def test_numbers_are_read_as_the_files_say(name: str) -> None:
    """What the embedded suite runs is the file itself; the other forms are programs too."""
    for benchmark in ("gcd", "gsm8k"):
        assert baseline(name, benchmark=benchmark) == builtin_workflow(name)
    for benchmark in ("drop", "mbpp"):
        code = baseline(name, benchmark=benchmark).code
        assert check_syntax(code) is None
        assert code != builtin_workflow(name).code
    assert "boxed" not in baseline(name, benchmark="mbpp").code
    assert "extract_answer_str" not in baseline(name, benchmark="mbpp").code


@pytest.mark.parametrize(
    ("scorer", "form"),
    [("numeric", "number"), ("unit_tests", "code"), ("json", "text"), ("multiple_choice", "text")],
)
def test_a_task_of_ones_own_has_the_form_of_its_scorer(
    tmp_path: Path, scorer: str, form: str
) -> None:
    """Of the rows nothing needs to be read."""
    path = tmp_path / "mine.yaml"
    path.write_text(f"data: rows.csv\ndescription: Answer a question.\nscorer: {scorer}\n")
    assert answer_form(str(path)) == form


@pytest.mark.parametrize(
    ("answers", "form"),
    [(("8", "1,024"), "number"), (("Paris", "New York"), "number"), (("8", "Room 4 b"), "text")],
)
def test_the_answers_decide_where_the_scorer_compares_texts(
    tmp_path: Path, answers: tuple[str, str], form: str
) -> None:
    """Numbers and names are read out of a sentence; what holds a number among words is not."""
    path = tmp_path / "mine.yaml"
    path.write_text("data: rows.csv\ndescription: Answer a question.\nscorer: exact\n")
    rows = "".join(f'Question {i}?,"{answer}"\n' for i, answer in enumerate(answers))
    (tmp_path / "rows.csv").write_text(f"question,answer\n{rows}")
    assert answer_form(str(path)) == form


def test_a_procedural_benchmark_has_the_form_of_its_answers() -> None:
    """Sums are numbers; of a list of numbers the last one is no answer."""
    assert answer_form("rg:chain_sum") == "number"
    assert answer_form("rg:spell_backward") == "number"
    assert answer_form("rg:number_sorting") == "text"
