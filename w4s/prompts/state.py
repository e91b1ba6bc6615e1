"""Build the policy's states: window starts, next turns, corrections, all within a token budget.

Takes feedback and case studies, never problems: a case study can only be made of a public problem
(`case_study`), so private and test problems have no way in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from w4s.errors import ConfigError, LeakError
from w4s.prompts.texts import TEXTS, Texts, Wording
from w4s.types import CaseStudy, Failure, Feedback, Message, ProblemResult, PublicProblem

CountTokens = Callable[[Sequence[Message]], int]

_QUESTION_CHARACTERS = 1200
_ANSWER_CHARACTERS = 200
_ERROR_LENGTH = 600
_REPLY_LENGTHS = (1200, 600, 200)  # characters of a failed reply, where it does not fit whole
_OPENING = 2  # a window's first messages: the system's and the task's


@dataclass(frozen=True, slots=True)
class Attempt:
    """A workflow that was tried, and what came of it."""

    code: str
    feedback: Feedback


@dataclass(frozen=True, slots=True)
class PromptBudget:
    """How long a state may be, in the policy's own tokens, and in which wording it is written.

    `reserve` is kept free in the first turn of a window for its later turns (their actions and
    feedback extend the same state).
    """

    tokens: int
    count: CountTokens
    wording: Wording
    reserve: int = 0


def case_study(problem: PublicProblem, result: ProblemResult) -> CaseStudy:
    """Return what a prompt may show of `result` on a public problem.

    Raises LeakError for a problem of any other split.
    """
    if not isinstance(problem, PublicProblem):
        raise LeakError(f"{type(problem).__name__} {problem.id!r} was about to enter a prompt.")
    return CaseStudy(
        question=problem.question,
        answer=result.answer if result.answer is not None else "(none)",
        expected=problem.answer,
        correct=result.score.value >= 1.0,
        error=result.failure.message if result.failure else None,
    )


def window_state(
    *, description: str, attempts: Sequence[Attempt], budget: PromptBudget
) -> tuple[Message, ...]:
    """Return the first state of a window: the task, then `attempts` (the example, then the latest).

    Case studies are dropped from the end, then the code of all attempts but the last, until the
    state and the reserve fit the budget. Raises ConfigError, with the figures, where even that
    is too long.
    """
    texts = TEXTS[budget.wording]
    smallest = 0
    for shape in _shapes(attempts):
        state = _window_messages(texts, description, attempts, shape)
        smallest = budget.count(state)
        if smallest + budget.reserve <= budget.tokens:
            return state
    raise ConfigError(
        f"The shortest state takes {smallest} tokens and {budget.reserve} are kept for later "
        f"turns, together more than policy.prompt_tokens = {budget.tokens}. Raise it, shorten the "
        "benchmark's description, or use fewer turns."
    )


def next_state(
    state: Sequence[Message],
    *,
    reply: str,
    feedback: Feedback,
    previous_accuracy: float,
    budget: PromptBudget,
) -> tuple[Message, ...]:
    """Return `state` extended by the action taken and its feedback: a prefix of it stays as it was.

    Case studies are dropped until it fits, then the turns between the window's first message and
    this one. Raises ConfigError, with the figures, where even that is too long.
    """
    texts = TEXTS[budget.wording]
    for before in (tuple(state), tuple(state[:_OPENING])):
        for count in range(len(feedback.case_studies), -1, -1):
            content = _feedback_text(feedback, count, previous_accuracy) + "\n\n" + texts.ask
            longer = (*before, Message("assistant", reply), Message("user", content))
            if budget.count(longer) <= budget.tokens:
                return longer
    raise ConfigError(
        f"The next turn's state takes {budget.count(longer)} tokens, more than "
        f"policy.prompt_tokens = {budget.tokens}. Raise it, or lower policy.action_tokens."
    )


def correction_state(
    state: Sequence[Message], *, reply: str, failure: Failure, code: str, budget: PromptBudget
) -> tuple[Message, ...]:
    """Return `state` extended by a failed reply and its error (type, message, offending line).

    The reply is cut until it fits the budget; where the state leaves no room at all it is returned
    as it is, and the policy is merely asked again.
    """
    text = TEXTS[budget.wording].correct.format(
        error=_cut(_error_text(failure, code), _ERROR_LENGTH)
    )
    for characters in (len(reply), *_REPLY_LENGTHS):
        shown = _cut(reply, characters) if characters < len(reply) else reply
        longer = (*state, Message("assistant", shown), Message("user", text))
        if budget.count(longer) <= budget.tokens:
            return longer
    return tuple(state)


@dataclass(frozen=True, slots=True)
class _Shape:
    """How much of the attempts a state shows."""

    cases: int
    older_code: bool


def _shapes(attempts: Sequence[Attempt]) -> Iterator[_Shape]:
    most = max((len(attempt.feedback.case_studies) for attempt in attempts), default=0)
    for older_code in (True, False):
        for cases in range(most, -1, -1):
            yield _Shape(cases, older_code)


def _window_messages(
    texts: Texts, description: str, attempts: Sequence[Attempt], shape: _Shape
) -> tuple[Message, ...]:
    parts = [f"# Task\n{description}"]
    for index, attempt in enumerate(attempts):
        latest = index == len(attempts) - 1
        name = "Latest workflow" if latest and index else "Example workflow"
        text = f"# {name}\n"
        if latest or shape.older_code:
            text += f"```python\n{attempt.code.strip()}\n```\n"
        # only the latest attempt's cases: the older one's repeat the same questions
        text += _feedback_text(attempt.feedback, shape.cases if latest else 0, None)
        parts.append(text)
    parts.append(texts.ask)
    return Message("system", texts.system), Message("user", "\n\n".join(parts))


def _feedback_text(feedback: Feedback, cases: int, previous_accuracy: float | None) -> str:
    text = f"Validation accuracy: {feedback.accuracy:.2f}"
    if previous_accuracy is not None:
        text += f" ({_direction(feedback.accuracy, previous_accuracy)})"
    shown = sorted(feedback.case_studies, key=lambda case: case.correct)[:cases]
    return "\n".join([text, *(_case_text(case) for case in shown)])


def _direction(now: float, before: float) -> str:
    if now > before:
        return f"up from {before:.2f}"
    if now < before:
        return f"down from {before:.2f}"
    return "unchanged"


def _case_text(case: CaseStudy) -> str:
    verdict = "right" if case.correct else "wrong"
    answer = f"error: {case.error}" if case.error else case.answer
    return (
        f"Question: {_cut(case.question, _QUESTION_CHARACTERS)}\n"
        f"Workflow's answer ({verdict}): {_cut(answer, _ANSWER_CHARACTERS)}\n"
        f"Correct answer: {_cut(case.expected, _ANSWER_CHARACTERS)}"
    )


def _error_text(failure: Failure, code: str) -> str:
    lines = code.splitlines()
    if failure.line is not None and 0 < failure.line <= len(lines):
        return f"{failure.message}\nLine {failure.line}: {lines[failure.line - 1].strip()}"
    return failure.message


def _cut(text: str, characters: int) -> str:
    text = text.strip()
    return text if len(text) <= characters else text[: characters - 1] + "…"
