"""Choose the question-and-answer pairs and the worked programs that a workflow's prompt quotes.

Quotes the given case studies word for word and nothing else of a benchmark.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass

from w4s.policy.grammar.operations import OPERATIONS, Operation, reproduces
from w4s.types import CaseStudy

_QUOTED_CHARACTERS = 420  # of all questions in one workflow: an action must stay short
_FITTING_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Pair:
    """A user's message and the assistant's reply to it."""

    question: str
    reply: str


def quoted_pairs(
    rng: random.Random, cases: Sequence[CaseStudy], *, least: int, most: int
) -> list[Pair]:
    """Return the first case studies as question and correct answer."""
    return [Pair(case.question, case.expected) for case in _first(rng, cases, least, most)]


def worked_pairs(
    rng: random.Random, cases: Sequence[CaseStudy], *, least: int, most: int
) -> list[Pair]:
    """Return the first case studies as question and expression; none if no operation applies.

    In most draws the operation is one whose values are the correct answers of these very cases,
    where the bank has such a one, else any that applies. Accuracies play no part.
    """
    chosen = _first(rng, cases, least, most)
    usable = [operation for operation in OPERATIONS if _applies(operation, chosen)]
    if not usable:
        return []
    fitting = [operation for operation in usable if _fits(operation, chosen)]
    operation = rng.choice(fitting if fitting and rng.random() < _FITTING_SHARE else usable)
    programs = [(case.question, operation.program(case.question)) for case in chosen]
    return [Pair(question, program.expression) for question, program in programs if program]


def listing(name: str, pairs: Sequence[Pair]) -> str:
    """Return the assignment of `pairs` to `name` as Python source, one message a line.

    Messages rather than pairs: a small model that quotes a question with commas in it would forget
    the second half of a pair, but not that an assistant's message follows a user's.
    """
    lines = []
    for pair in pairs:
        lines.append(f'    {{"role": "user", "content": {_literal(pair.question)}}},')
        lines.append(f'    {{"role": "assistant", "content": {_literal(pair.reply)}}},')
    return "\n".join([f"{name} = [", *lines, "]"])


def _first(
    rng: random.Random, cases: Sequence[CaseStudy], least: int, most: int
) -> list[CaseStudy]:
    count = min(rng.randint(least, most), len(cases))
    chosen = list(cases[:count])
    while len(chosen) > 1 and sum(len(case.question) for case in chosen) > _QUOTED_CHARACTERS:
        chosen.pop()
    return chosen


def _applies(operation: Operation, cases: Sequence[CaseStudy]) -> bool:
    return bool(cases) and all(operation.program(case.question) for case in cases)


def _fits(operation: Operation, cases: Sequence[CaseStudy]) -> bool:
    return all(reproduces(operation.program(case.question), case.expected) for case in cases)


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
