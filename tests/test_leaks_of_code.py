"""What hidden tests expect and say reaches nobody, and private code problems only the executor."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.fakes import FakeExecutor, ScriptedPolicy, fake_workbench, reply_with
from w4s.benchmarks.custom import load_task
from w4s.benchmarks.splits import Splits, load_validation, make_splits, write_splits
from w4s.environment import Environment
from w4s.prompts.state import PromptBudget
from w4s.proposals import Proposer, SamplingRule
from w4s.rewards import RewardRule
from w4s.rollout import EpisodePlan, collect_episode
from w4s.types import Draw

# tries a wrong program on the public tests, complains of it, and answers with what it was told
REPAIRS = """\
def workflow(agent, task):
    tried = agent.test_on_public_test(task, "def f(x):\\n    return 'tried'", "f", test_loop=1)
    if len(task) % 2:
        raise ValueError(task + tried["feedback"])
    return {"answer": tried["solution"] + "\\n# " + task + tried["feedback"]}"""
REPAIR = json.dumps({"reflection": "wrong", "code": "def f(x):\n    return x"})


def rows(count: int) -> str:
    lines = [
        {
            "question": f"Write f of riddle{'i' * index}end.",
            "answer": f"def f(x):\n    return 'solution{'i' * index}end'",
            "entry_point": "f",
            "tests": [f"assert f(1) == 'due{'i' * index}end', 'said{'i' * index}end'"],
            "public_tests": [f"assert f(0) == 'shown{'i' * index}end'"],
        }
        for index in range(count)
    ]
    return "\n".join(map(json.dumps, lines))


@pytest.fixture
def played(tmp_path: Path) -> tuple[Splits, ScriptedPolicy, FakeExecutor]:
    """An episode on a task of code with its splits, and all that was said in it."""
    (tmp_path / "rows.jsonl").write_text(rows(9))
    task = tmp_path / "task.yaml"
    task.write_text("data: rows.jsonl\ndescription: Write the function.\nscorer: unit_tests\n")
    executor = FakeExecutor(answer=lambda request, draw: REPAIR)
    workbench = fake_workbench(executor)
    benchmark = load_task(task, name="code", sandbox=workbench.sandbox)
    splits = make_splits(benchmark, private=4, public=2, test=3, seed=0)
    write_splits(splits, tmp_path)
    policy = ScriptedPolicy([reply_with(REPAIRS)] * 60)
    environment = Environment(
        benchmark=benchmark,
        splits=load_validation(tmp_path, "code"),
        workbench=workbench,
        budget=PromptBudget(100_000, policy.count_tokens, "full"),
        rule=RewardRule(),
    )
    proposer = Proposer(policy, environment, SamplingRule(1.0, 2))
    plan = EpisodePlan(windows=1, turns=2, candidates=2)
    draw = Draw(seed=0, stage="collect", benchmark="code")
    asyncio.run(collect_episode(proposer, example=REPAIRS, plan=plan, draw=draw))
    return splits, policy, executor


def test_hidden_tests_reach_nobody(played: tuple[Splits, ScriptedPolicy, FakeExecutor]) -> None:
    """Neither what they expect nor their messages, which the scorer's reason quotes."""
    splits, policy, executor = played
    told = "\n".join(m.content for state in policy.states for m in state)
    asked = "\n".join(m.content for request, _ in executor.asked for m in request.messages)
    for problem in (*splits.private, *splits.public, *splits.test):
        number = problem.question.removeprefix("Write f of riddle").removesuffix(".")
        for word in (f"due{number}", f"said{number}"):
            assert word in problem.data["tests"]
            assert word not in told
            assert word not in asked


def test_private_code_problems_reach_the_executor_alone(
    played: tuple[Splits, ScriptedPolicy, FakeExecutor],
) -> None:
    """With their public tests, at their own address; the policy sees those of public problems."""
    splits, policy, executor = played
    told = "\n".join(m.content for state in policy.states for m in state)
    for problem in (*splits.private, *splits.test):
        number = problem.question.removeprefix("Write f of riddle").removesuffix(".")
        assert not any(f"{word}{number}" in told for word in ("riddle", "shown", "solution"))
    for problem in splits.private:
        (shown,) = problem.data["public_tests"]
        holding = [draw for request, draw in executor.asked if shown in str(request.messages)]
        assert holding
        assert all(f"/{problem.id}/" in draw for draw in holding)
    assert any(problem.question in told for problem in splits.public)
    assert any(str(problem.data["public_tests"][0]) in told for problem in splits.public)
