from collections.abc import Sequence

import pytest

from w4s.errors import ConfigError, LeakError
from w4s.prompts.state import (
    Attempt,
    PromptBudget,
    case_study,
    correction_state,
    next_state,
    window_state,
)
from w4s.types import (
    CaseStudy,
    Failure,
    FailureKind,
    Feedback,
    Message,
    PrivateProblem,
    Problem,
    ProblemResult,
    PublicProblem,
    Score,
    TestProblem,
    Usage,
)

RESULT = ProblemResult("p", "5", Score(0.0, "5", ""), None, Usage(), 0.0)
CASES = tuple(CaseStudy(f"What is {i}+{i}?", str(i), str(2 * i), i == 0) for i in range(3))
FEEDBACK = Feedback(0.25, 4, CASES, {}, 0.0, Usage())


def words(messages: Sequence[Message]) -> int:
    return sum(len(message.content.split()) for message in messages)


def budget(tokens: int = 10_000, reserve: int = 0) -> PromptBudget:
    return PromptBudget(tokens, words, "compact", reserve)


@pytest.mark.parametrize("split", [PrivateProblem, TestProblem, Problem])
def test_only_public_problems_make_case_studies(split: type[Problem]) -> None:
    """A private or test problem cannot enter a prompt even where the type checker was silenced."""
    with pytest.raises(LeakError, match="'p'"):
        case_study(split("p", "b", "secret", "42"), RESULT)  # type: ignore[arg-type]


def test_a_case_study_keeps_question_and_answers() -> None:
    """What the policy learns from: question, the workflow's answer, the right one."""
    case = case_study(PublicProblem("p", "b", "2+2?", "4"), RESULT)
    assert case == CaseStudy("2+2?", "5", "4", correct=False)


def test_a_window_shows_the_example_and_the_latest_workflow() -> None:
    """A window starts from both, each with its accuracy."""
    attempts = [
        Attempt("def workflow(a, t): 1", FEEDBACK),
        Attempt("def workflow(a, t): 2", FEEDBACK),
    ]
    text = window_state(description="Add.", attempts=attempts, budget=budget())[-1].content
    assert text.index("def workflow(a, t): 1") < text.index("def workflow(a, t): 2")
    assert text.count("accuracy: 0.25") == 2


def test_wrong_case_studies_come_first() -> None:
    """Mistakes say more than successes."""
    state = window_state(description="Add.", attempts=[Attempt("c", FEEDBACK)], budget=budget())
    text = state[-1].content
    assert text.index("What is 1+1?") < text.index("What is 0+0?")


def test_a_smaller_budget_drops_case_studies_before_code() -> None:
    """The state shrinks by whole case studies and is never cut inside one."""
    attempts = [Attempt("def workflow(a, t): 1", FEEDBACK)]
    whole = words(window_state(description="Add.", attempts=attempts, budget=budget()))
    state = window_state(description="Add.", attempts=attempts, budget=budget(whole - 1))
    assert words(state) < whole
    assert state[-1].content.count("Question:") == 2
    assert "def workflow(a, t): 1" in state[-1].content


def test_a_budget_too_small_for_anything_is_refused_with_figures() -> None:
    """Nothing is cut silently: the message names the parameter to raise."""
    with pytest.raises(ConfigError, match=r"policy\.prompt_tokens = 5"):
        window_state(description="Add.", attempts=[Attempt("c", FEEDBACK)], budget=budget(5))


def test_the_next_state_extends_the_state_before_it() -> None:
    """A window is a tree: the shared prefix stays token for token."""
    state = window_state(description="Add.", attempts=[Attempt("c", FEEDBACK)], budget=budget())
    longer = next_state(
        state, reply="new", feedback=FEEDBACK, previous_accuracy=0.5, budget=budget()
    )
    assert longer[: len(state)] == state
    assert longer[len(state)] == Message("assistant", "new")
    assert "down from 0.50" in longer[-1].content


def test_turns_between_are_dropped_where_the_next_state_would_not_fit() -> None:
    """A window of many turns goes on in a small budget: opening and latest turn are kept."""
    first = window_state(description="Add.", attempts=[Attempt("c", FEEDBACK)], budget=budget())
    state, room = first, budget(words(first) + 200)
    for turn in range(20):
        state = next_state(
            state,
            reply=f"turn {turn} " + "word " * 60,
            feedback=FEEDBACK,
            previous_accuracy=0.5,
            budget=room,
        )
        assert words(state) <= room.tokens
        assert state[:2] == first
        assert state[-2].content.startswith(f"turn {turn} ")


def test_a_correction_shows_error_and_offending_line() -> None:
    """Self-correction gets type, message and line."""
    failure = Failure(FailureKind.RUNTIME, "KeyError: 'x'", line=2)
    state = correction_state(
        (), reply="r", failure=failure, code="a = 1\nb = {}['x']\n", budget=budget()
    )
    assert "KeyError: 'x'\nLine 2: b = {}['x']" in state[-1].content


def test_a_correction_fits_the_budget_however_long_the_failed_reply_was() -> None:
    """The reply is cut, and left out where the state leaves no room: nothing is raised."""
    failure = Failure(FailureKind.RUNTIME, "KeyError: 'x'")
    state = window_state(description="Add.", attempts=[Attempt("c", FEEDBACK)], budget=budget())
    tight = budget(words(state) + 60)
    asked = {"failure": failure, "code": "", "budget": tight}
    shorter = correction_state(state, reply="long " * 900, **asked)
    assert shorter[: len(state)] == state
    assert words(shorter) <= tight.tokens
    assert len(shorter[-2].content) < 900
    full = budget(words(state))
    assert correction_state(state, reply="long", **(asked | {"budget": full})) == state
