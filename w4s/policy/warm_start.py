"""Pairs of state and reply from which a small policy learns to write workflows.

States are built by `w4s.prompts` as in a search, from public problems of the benchmarks that
training sees and from invented practice tasks. Accuracies and earlier answers in them are
invented at random, so that nothing about what works can be learned here.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from w4s.policy.grammar import sample_workflow
from w4s.policy.practice import practice_task
from w4s.prompts.state import Attempt, PromptBudget, next_state, window_state
from w4s.types import CaseStudy, Feedback, Message, PublicProblem, Usage
from w4s.workflow import builtin_workflow

Pair = tuple[tuple[Message, ...], str]
"""The messages of a state, and a reply to them."""

_REPLIES_PER_STATE = 3  # they share their state, so that training reads it once
_PRACTICE_SHARE = 0.7
_SECOND_TURN_SHARE = 0.15
_LATER_WINDOW_SHARE = 0.25
_BUILTIN_SHARE = 0.6
_BUILTIN = ("direct", "chain_of_thought", "self_consistency")
_MOST_CASES = 3
_ERRORS = ("NameError: name 'answer' is not defined", "RuntimeError: Error when executing code")


@dataclass(frozen=True, slots=True)
class WarmStartTask:
    """What the states may say of a benchmark: its description and public problems."""

    description: str
    public: tuple[PublicProblem, ...]


def warm_start_pairs(
    tasks: Sequence[WarmStartTask], *, count: int, seed: int, budget: PromptBudget
) -> list[Pair]:
    """Return `count` pairs, the same for the same arguments; neighbours share their state.

    `budget` is the policy's own. Without `tasks` all states are practice tasks.
    """
    pairs: list[Pair] = []
    for index in range(-(-count // _REPLIES_PER_STATE)):
        rng = random.Random(f"warm start/{seed}/{index}")
        task = _practice(rng) if not tasks or rng.random() < _PRACTICE_SHARE else rng.choice(tasks)
        # in the order in which states show them, so that quoting is reading on
        cases = sorted(_cases(rng, task.public), key=lambda case: case.correct)
        state = _state(rng, task.description, cases, budget)
        for _ in range(_REPLIES_PER_STATE):
            pairs.append((state, sample_workflow(rng, cases=cases).text))
    return pairs[:count]


def likely_replies() -> list[str]:
    """Return replies to practice tasks, always the same, whose phrases a policy's will share."""
    rng = random.Random("likely replies")
    return [sample_workflow(rng, cases=_cases(rng, _practice(rng).public)).text for _ in range(40)]


def _practice(rng: random.Random) -> WarmStartTask:
    task = practice_task(rng, problems=_MOST_CASES)
    return WarmStartTask(task.description, task.problems)


def _state(
    rng: random.Random, description: str, cases: Sequence[CaseStudy], budget: PromptBudget
) -> tuple[Message, ...]:
    codes = [_example(rng, cases)]
    if rng.random() < _LATER_WINDOW_SHARE:
        codes.append(sample_workflow(rng, cases=cases).code)
    attempts = [_attempt(rng, code, cases) for code in codes]
    state = window_state(description=description, attempts=attempts, budget=budget)
    if rng.random() >= _SECOND_TURN_SHARE:
        return state
    draft = sample_workflow(rng, cases=cases)
    return next_state(
        state,
        reply=draft.text,
        feedback=_attempt(rng, draft.code, _again(rng, cases)).feedback,
        previous_accuracy=attempts[-1].feedback.accuracy,
        budget=budget,
    )


def _example(rng: random.Random, cases: Sequence[CaseStudy]) -> str:
    if rng.random() < _BUILTIN_SHARE:
        return builtin_workflow(rng.choice(_BUILTIN)).code
    return sample_workflow(rng, cases=cases).code


def _attempt(rng: random.Random, code: str, cases: Sequence[CaseStudy]) -> Attempt:
    feedback = Feedback(
        accuracy=rng.randint(0, 16) / 16,
        problems=16,
        case_studies=tuple(cases),
        failures={},
        violation_rate=0.0,
        usage=Usage(),
    )
    return Attempt(code, feedback)


def _cases(rng: random.Random, problems: Sequence[PublicProblem]) -> list[CaseStudy]:
    chosen = rng.sample(list(problems), min(len(problems), rng.randint(2, _MOST_CASES)))
    return [_case(rng, problem, chosen) for problem in chosen]


def _case(rng: random.Random, problem: PublicProblem, others: Sequence[PublicProblem]) -> CaseStudy:
    """Invent an earlier answer: the right one, another problem's, or an error."""
    right = rng.random() < 0.4
    error = None if right or rng.random() < 0.8 else rng.choice(_ERRORS)
    answer = problem.answer if right else rng.choice(others).answer
    return CaseStudy(
        question=problem.question,
        answer=answer,
        expected=problem.answer,
        correct=error is None and answer == problem.answer,
        error=error,
    )


def _again(rng: random.Random, cases: Sequence[CaseStudy]) -> list[CaseStudy]:
    return [
        CaseStudy(case.question, case.expected, case.expected, True) if rng.random() < 0.4 else case
        for case in cases
    ]
