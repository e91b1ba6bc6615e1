"""The grammar of workflows: valid, short, varied, seeded, and quoting public cases only."""

from __future__ import annotations

import ast
import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from w4s.parsing import parse_action
from w4s.policy.grammar import Family, WorkflowDraft, sample_workflow
from w4s.policy.grammar.literals import arithmetic, calculate, numbers
from w4s.policy.grammar.operations import OPERATIONS, Program, reproduces
from w4s.types import Action, CaseStudy

CASES = (
    CaseStudy("Find the GCD of these numbers: 12, 18.", "3", "6", correct=False),
    CaseStudy("Find the GCD of these numbers: 14, 35.", "7", "7", correct=True),
    CaseStudy('How often is "a" in the text: "An apple"?', "0", "2", correct=False),
    CaseStudy("State the answer: 7 + 12 - 3 =", "19", "16", correct=False),
)


class GarbageAgent:
    """Answers every call with text that no workflow hopes for."""

    def call_llm(self, messages: list[dict[str, str]], **options: Any) -> list[str]:
        assert messages
        assert messages[-1]["role"] == "user"
        return ["no idea %&"] * int(options.get("num_of_response", 1))

    def call_json_format_llm(
        self, messages: list[dict[str, str]], **options: Any
    ) -> list[dict[str, str]]:
        assert messages
        return [dict.fromkeys(options["return_dict_keys"], "?")]

    def execute_code(self, code: str) -> Any:
        raise RuntimeError(f"cannot run {code!r}")

    def extract_answer_str(self, text: str) -> str:
        return text

    def extract_code_block(self, text: str, entry_point: str) -> str:
        return ""


def drafts(count: int, *, seed: int = 0) -> list[WorkflowDraft]:
    rng = random.Random(seed)
    return [sample_workflow(rng, cases=CASES) for _ in range(count)]


def test_the_same_seed_gives_the_same_workflows() -> None:
    """A warm start can be made anew from its seed."""
    assert drafts(50) == drafts(50)
    assert drafts(50) != drafts(50, seed=1)


def test_all_families_are_drawn_in_fixed_shares() -> None:
    """No technique is missing, and none but the plain program is preferred."""
    families = [draft.family for draft in drafts(2400)]
    for family in Family:
        expected = 600 if family is Family.PROGRAM else 200
        assert expected * 0.7 < families.count(family) < expected * 1.3, family


def test_every_draft_reads_back_as_the_action_that_it_is() -> None:
    """What the policy is taught is what the parser accepts."""
    for draft in drafts(400):
        action = parse_action(draft.text)
        assert isinstance(action, Action), draft.text
        assert action.code.strip() == draft.code.strip()
        assert action.analysis == draft.analysis


def test_drafts_are_short() -> None:
    """A small policy writes about a hundred tokens a second: an action stays under some 400."""
    sizes = sorted(len(re.findall(r"\w+|[^\w\s]", draft.text)) for draft in drafts(400))
    assert sizes[len(sizes) // 2] < 260
    assert sizes[-1] < 400


def test_every_draft_runs_with_an_executor_that_answers_garbage() -> None:
    """Fall-backs catch failing code: the workflow still returns an answer."""
    for draft in drafts(400):
        scope: dict[str, Any] = {}
        exec(draft.code, scope)  # noqa: S102 -- our own grammar's text, in a test
        result = scope["workflow"](GarbageAgent(), "What is 1 + 1?")
        assert isinstance(result["answer"], str), draft.text


def test_quoted_pairs_are_the_given_cases_word_for_word() -> None:
    """Few-shot examples hold public questions with their correct answers and nothing else."""
    known = {case.question: case.expected for case in CASES}
    seen = 0
    for draft in drafts(400):
        if draft.family is Family.FEW_SHOT:
            pairs = examples(draft)
            seen += len(pairs)
            assert all(known[question] == answer for question, answer in pairs)
        if draft.family in {Family.PROGRAM, Family.PROGRAM_VOTE, Family.PROGRAM_THEN_THOUGHT}:
            assert all(question in known for question, _ in examples(draft))
    assert seen > 50


def test_worked_examples_fit_the_answers_in_part_only() -> None:
    """Many operations are drawn without a look at the answers: learning has work to do."""
    rng = random.Random(3)
    fitting = total = 0
    while total < 200:
        draft = sample_workflow(rng, cases=CASES[:2])
        if draft.family is Family.PROGRAM:
            total += 1
            fitting += all("gcd" in reply for _, reply in examples(draft))
    assert 0.8 < fitting / total < 0.97


def test_without_cases_only_families_that_quote_none_are_drawn() -> None:
    """A benchmark without public problems still gets workflows."""
    rng = random.Random(0)
    families = {sample_workflow(rng, cases=()).family for _ in range(200)}
    assert families.isdisjoint({Family.FEW_SHOT, Family.PROGRAM, Family.PROGRAM_VOTE})
    assert Family.DIRECT in families


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_an_operations_expression_has_the_value_that_it_claims(operation: Any) -> None:
    """The bank computes values without running code; they are what Python says."""
    questions = (
        'Take "e" of "seven red hens" and 12, 5',
        "What is 3 + 4 * 2 of 9 and 4?",
        "Say the word stone with 7 and 2",
    )
    programs = [operation.program(question) for question in questions]
    assert any(programs)
    for program in programs:
        if program is not None:
            value = eval(program.expression, {"math": __import__("math")})  # the bank's own text
            assert value == program.value


def test_arithmetic_is_found_as_it_is_written() -> None:
    """The longest computable piece counts, without the sentence's full stop."""
    assert arithmetic("Calculate ( 2 + -8 ) + 4.") == "( 2 + -8 ) + 4"
    assert arithmetic("problem: 6 + 0 - 1 =") == "6 + 0 - 1"
    assert arithmetic("numbers: 12, 18") is None
    assert calculate("1 / 0") is None
    assert numbers("from -3 to 4.5, then 7.") == [-3, 4.5, 7]


def test_answers_are_compared_as_numbers_where_they_are_numbers() -> None:
    """A value 2.0 reproduces the answer "2", and text must be equal."""
    assert reproduces(Program("4 / 2", 2.0), "2")
    assert reproduces(Program('"ab"[::-1]', "ba"), "ba")
    assert not reproduces(Program("1 + 1", 2), "3")
    assert not reproduces(None, "3")


@settings(max_examples=150, deadline=None)
@given(
    questions=st.lists(st.text(min_size=1, max_size=80), min_size=1, max_size=4),
    seed=st.integers(0, 1000),
)
def test_any_question_text_makes_valid_workflows(questions: list[str], seed: int) -> None:
    """Quotes, line ends, fences and odd numbers in a question do not break the code."""
    cases = [CaseStudy(question, "", question[::-1], correct=False) for question in questions]
    draft = sample_workflow(random.Random(seed), cases=cases)
    ast.parse(draft.code)
    assert isinstance(parse_action(draft.text), Action)


def examples(draft: WorkflowDraft) -> list[tuple[str, str]]:
    scope: dict[str, Any] = {}
    exec(draft.code, scope)  # noqa: S102 -- our own grammar's text, in a test
    messages: list[dict[str, str]] = scope.get("EXAMPLES") or scope["PROGRAMS"]
    assert [message["role"] for message in messages[:2]] == ["user", "assistant"]
    texts = [message["content"] for message in messages]
    return list(zip(texts[::2], texts[1::2], strict=True))
