import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from w4s.parsing import check_syntax, last_code, parse_action
from w4s.types import Action, Failure, FailureKind

CODE = 'def workflow(agent, task: str):\n    return {"answer": task}\n'


def fenced(code: str, tag: str = "python") -> str:
    return f"```{tag}\n{code}```"


def test_the_text_before_the_block_is_the_analysis() -> None:
    """An action is analysis, then code; the reply is kept as it is."""
    reply = f"Vote more.\n\n{fenced(CODE)}"
    action = parse_action(reply)
    assert action == Action(analysis="Vote more.", code=CODE, text=reply)


def test_the_last_block_that_defines_the_workflow_counts() -> None:
    """Drafts and usage examples around the final code do not confuse the parser."""
    final = CODE.replace("task}", '"final"}')
    reply = (
        f"{fenced(CODE)}\nBetter:\n{fenced(final)}\nUse it:\n{fenced('workflow(a, b)' + chr(10))}"
    )
    action = parse_action(reply)
    assert isinstance(action, Action)
    assert action.code == final


def test_solver_is_an_alias() -> None:
    """The authors' released workflows are named solver."""
    action = parse_action(fenced(CODE.replace("workflow", "solver")))
    assert isinstance(action, Action)


def test_a_reply_without_block_says_so() -> None:
    """Prose alone is a typed failure, not an error."""
    failure = parse_action("I would vote.")
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.NO_WORKFLOW


def test_a_reply_cut_off_inside_the_code_says_so() -> None:
    """Truncated code is never taken for an action, even where it compiles."""
    failure = parse_action("Plan.\n```python\n" + CODE)
    assert isinstance(failure, Failure)
    assert "cut off" in failure.message


def test_a_syntax_error_names_its_line() -> None:
    """The correction prompt shows the offending line."""
    failure = parse_action(fenced("def workflow(agent, task):\n    return {\n"))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.SYNTAX
    assert failure.line == 2


def test_a_null_byte_is_a_syntax_failure() -> None:
    """Source that the compiler refuses with ValueError is a failure like any other."""
    failure = check_syntax("def workflow(agent, task):\n    return '\0'\n")
    assert failure is not None
    assert failure.kind is FailureKind.SYNTAX


def test_a_nested_definition_is_not_a_workflow() -> None:
    """Only a function at the top level can be called."""
    failure = check_syntax("class A:\n    def workflow(self, task):\n        pass\n")
    assert failure is not None


@given(st.text())
def test_any_text_parses_to_an_action_or_a_failure(text: str) -> None:
    """No reply of the policy can raise."""
    assert isinstance(parse_action(text), Action | Failure)


@given(analysis=st.text(st.characters(exclude_characters="`\r\x00", exclude_categories=["Cs"])))
def test_parsing_undoes_formatting(analysis: str) -> None:
    """Whatever the analysis says, the code comes back as it was."""
    action = parse_action(f"{analysis}\n{fenced(CODE)}")
    assert isinstance(action, Action)
    assert action.code == CODE
    assert last_code(action.text) == CODE


def test_a_workflow_may_be_a_coroutine() -> None:
    """The sandbox awaits `async def workflow`, so the parser takes it too."""
    assert isinstance(parse_action(fenced("async " + CODE)), Action)


def test_warnings_about_generated_code_are_not_ours(recwarn: pytest.WarningsRecorder) -> None:
    """Code that Python warns about is taken, also where warnings are errors, and in silence."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_syntax(CODE + "\nif CODE is 'a':\n    pass\n") is None
    assert not recwarn
