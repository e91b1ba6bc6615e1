"""A task of one's own from nothing: the starter files, and what a check finds."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import AdderBenchmark, FakeExecutor, ScriptedPolicy, fake_workbench
from w4s.benchmarks.custom import TaskParams, load_task
from w4s.config import BenchmarkParams, Price, load_params
from w4s.errors import ConfigError, DataError, EndpointError
from w4s.llm.base import CallFailed, ChatReply, ChatRequest
from w4s.policy.base import PolicyReply
from w4s.starter import write_starter
from w4s.task_check import (
    all_problems,
    check_decimals,
    check_endpoint,
    check_options,
    check_policy,
    check_scorer,
    check_sizes,
)
from w4s.types import Problem, Score

PROJECT = Path(__file__).resolve().parent.parent


def sizes(private: int = 4, public: int = 2, test: int = 10) -> BenchmarkParams:
    return BenchmarkParams(seen=("x",), private=private, public=public, test=test)


def test_the_starter_is_a_task_that_passes_its_own_check(tmp_path: Path) -> None:
    """Rows that can be read, references that score 1, and enough of them for the profile."""
    starter = write_starter(tmp_path / "boxes", project=tmp_path)
    params = load_params(PROJECT / "params.yaml", overlays=(starter.profile,))
    assert params.benchmarks.all == (starter.task.as_posix(),)
    assert params.workspace == Path("runs/boxes")
    benchmark = load_task(starter.task)
    problems = all_problems(benchmark)
    assert len(problems) == 30
    assert check_sizes(problems, params.benchmarks).good
    assert all(finding.good for finding in asyncio.run(check_scorer(benchmark, problems)))


def test_a_starter_may_lie_in_any_folder(tmp_path: Path) -> None:
    """Its path in the profile is text, whatever it holds."""
    folder = tmp_path / "my, tasks: #1 [a]" / "boxes"
    starter = write_starter(folder, project=tmp_path)
    params = load_params(PROJECT / "params.yaml", overlays=(starter.profile,))
    assert params.benchmarks.all == (starter.task.as_posix(),)


def test_options_that_nobody_would_see_are_told() -> None:
    """A column of another name is left alone, and the question goes out without its options."""

    def found(scorer: str) -> list[str]:
        values = {"data": "d.csv", "description": "Choose a letter.", "scorer": scorer}
        problems = [Problem("p0", "b", "q", "A", {"options": ["x", "y"]})]
        problems += [Problem(f"p{i}", "b", "q", "A") for i in (1, 2)]
        return [one.text for one in check_options(TaskParams.model_validate(values), problems)]

    (text,) = found("multiple_choice")
    assert text.startswith("questions without a column options, or A, B, …: 2, such as p1.")
    assert found("exact") == []


def test_a_starter_overwrites_nothing(tmp_path: Path) -> None:
    """The second time every file is named and left as it is."""
    starter = write_starter(tmp_path / "boxes", project=tmp_path)
    starter.data.write_text("mine")
    with pytest.raises(ConfigError, match=r"data\.csv.*already here"):
        write_starter(tmp_path / "boxes", project=tmp_path)
    assert starter.data.read_text() == "mine"


def test_a_folder_whose_name_suits_no_profile_is_refused(tmp_path: Path) -> None:
    """Nothing is written then."""
    with pytest.raises(ConfigError, match="letters, digits"):
        write_starter(tmp_path / "my boxes", project=tmp_path)
    assert not list(tmp_path.iterdir())


def test_too_few_rows_for_a_test_are_found() -> None:
    """The figures of the splits are in the text."""
    problems = AdderBenchmark().problems(6, seed=0)
    finding = check_sizes(problems, sizes())
    assert not finding.good
    assert "6 different questions, but 4 private and 2 public" in finding.text


def test_long_and_similar_questions_are_told() -> None:
    """The longest one's length; pairs that nearly repeat each other, by their ids."""
    texts = [
        f"{word} {word}s {'very ' * 30}slowly"
        for word in ["ant", "bee", "cow", "dog", "elk", "fox"]
    ]
    texts += ["Which of the two quick brown foxes jumped over a lazy dog in Rome?"]
    texts += [texts[-1].replace("Which", "So which"), "x" * 12_345]
    problems = [Problem(f"p{i}", "b", text, str(i)) for i, text in enumerate(texts)]
    finding = check_sizes(problems, sizes())
    assert finding.good
    assert "of up to 12,345 characters" in finding.text
    assert "; pairs of nearly the same question: 1 (most alike: p6 and p7)" in finding.text


def test_bad_rows_end_the_check_with_their_lines(tmp_path: Path) -> None:
    """Line, what is wrong, how many."""
    starter = write_starter(tmp_path / "boxes", project=tmp_path)
    starter.data.write_text("question,answer\none,1\ntwo,zwei\n,3\n")
    with pytest.raises(DataError, match=r"(?s)2 of 3 rows.*data\.csv:3: .*'zwei'.*data\.csv:4"):
        all_problems(load_task(starter.task))


def test_numbers_that_may_mean_two_things_are_asked_about() -> None:
    """Once the task says how its numbers are written, or they say it themselves, nobody asks."""

    def found(*answers: str, **more: str) -> list[str]:
        values = {"data": "d.csv", "description": "Add up numbers.", "scorer": "numeric", **more}
        problems = [Problem(f"p{i}", "b", "q", answer) for i, answer in enumerate(answers)]
        return [one.text for one in check_decimals(TaskParams.model_validate(values), problems)]

    (text,) = found("2.000", "5", "-1.500")
    assert text.startswith("answers with a decimal point, or with a point between thousands, such")
    assert "such as '2.000': 2. Say" in text
    assert "decimal: point, or comma" in text
    # groups without a doubt say nothing against groups of one
    assert "such as '2.000': 1. Say" in found("2.000", "1.500.000", "1.234,5")[0]
    assert "such as '2.000': 1. Say" in found("$2.000", "12")[0]
    assert found("2.000", "2.5") == found("2.000", "0.125") == found("5", "7") == []
    assert found("2.000", decimal="point") == found("2.000", decimal="comma") == []
    assert found("2.000", scorer="exact") == []


def test_a_scorer_that_refuses_its_reference_is_found() -> None:
    """The row and the scorer's reason are named."""

    class Refusing(AdderBenchmark):
        async def score(self, problem: Problem, answer: str) -> Score:
            return Score(0.0, answer, "never content")

    findings = asyncio.run(check_scorer(Refusing(), AdderBenchmark().problems(3, seed=0)))
    assert [finding.good for finding in findings] == [False] * 3
    assert "'0' does not score 1: never content" in findings[0].text


def test_a_scorer_that_takes_anything_is_found() -> None:
    """Another row's reference must not be right."""

    class Content(AdderBenchmark):
        async def score(self, problem: Problem, answer: str) -> Score:
            return Score(1.0, answer, "always content")

    findings = asyncio.run(check_scorer(Content(), AdderBenchmark().problems(3, seed=0)))
    assert not any(finding.good for finding in findings)
    assert "'2' counts as right, though '0' is" in findings[0].text


def test_rows_that_all_have_one_answer_are_told(tmp_path: Path) -> None:
    """Nothing was told apart then, and a workflow that always says the same is right."""
    (tmp_path / "d.csv").write_text("question,answer\nIs it?,yes\nWas it?,yes\n")
    (tmp_path / "t.yaml").write_text("data: d.csv\ndescription: Say yes or no.\nscorer: exact\n")
    benchmark = load_task(tmp_path / "t.yaml")
    (finding,) = asyncio.run(check_scorer(benchmark, all_problems(benchmark)))
    assert finding.text == "every row has the same answer, 'yes': no wrong one to try"


def test_the_endpoint_answers_three_rows_and_its_cost_is_told() -> None:
    """Three questions are asked, no more."""
    executor = FakeExecutor(answer=lambda request, draw: "4")
    problems = AdderBenchmark().problems(9, seed=0)
    findings = asyncio.run(
        check_endpoint(AdderBenchmark(), problems, workbench=fake_workbench(executor))
    )
    assert len(executor.asked) == 3
    assert findings[-1].text == "1.0 calls, 15 tokens a row"


def test_the_judges_calls_are_a_part_of_the_cost(tmp_path: Path) -> None:
    """One for each answer, beside those of the workflow."""
    task = tmp_path / "task.yaml"
    task.write_text("data: d.csv\ndescription: Name the capital.\nscorer: judge\n")
    (tmp_path / "d.csv").write_text("question,answer\n" + "".join(f"{i}?,x{i}\n" for i in range(9)))
    executor = FakeExecutor(answer=lambda request, draw: '{"verdict": "right", "reason": ""}')
    benchmark = load_task(task, executor=executor)
    workbench, price = fake_workbench(executor), Price(prompt=1, completion=2)
    findings = asyncio.run(
        check_endpoint(benchmark, all_problems(benchmark), workbench=workbench, price=price)
    )
    due = "1.0 calls, 15 tokens, 0.000020 USD a row, and a call of the judge"
    assert findings[-1].text == due
    assert len(executor.asked) == 6


def test_a_policy_behind_an_endpoint_is_tried() -> None:
    """A search would ask it when its examples are paid for; what it writes first is shown."""

    class Replies(ScriptedPolicy):
        async def sample(self, *state: Any, **settings: Any) -> list[PolicyReply]:
            return [PolicyReply("", 20, truncated=True)]

    class Away(ScriptedPolicy):
        async def sample(self, *state: Any, **settings: Any) -> list[PolicyReply]:
            raise EndpointError("http://here/v1: the policy 'm' gave no reply")

    policies = (ScriptedPolicy(["ready"]), Replies([]), Away([]))
    found = [asyncio.run(check_policy(policy, temperature=0.5)) for policy in policies]
    assert [finding.good for finding in found] == [True, False, False]
    assert found[0].text == "scripted -> 'ready'"
    assert found[1].text == "scripted -> '', cut off at policy.action_tokens"
    assert "gave no reply" in found[2].text


def test_an_endpoint_without_replies_is_found() -> None:
    """A call that fails is a finding for each row."""

    class Down:
        async def chat(self, request: ChatRequest, *, draw: str) -> ChatReply:
            raise CallFailed("timed out")

    problems = AdderBenchmark().problems(3, seed=0)
    findings = asyncio.run(
        check_endpoint(AdderBenchmark(), problems, workbench=fake_workbench(Down()))
    )
    assert [finding.good for finding in findings] == [False, False, False, True]
    assert "timed out" in findings[0].text
