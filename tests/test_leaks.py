"""Who ever saw which problem: every prompt of a whole fake run, to policy and to executor.

Collection, search by every method, and first candidates are played with a benchmark whose
questions and answers are words of their own; then the final test. Private texts may reach the
executor only where the private problem itself is being solved; test texts reach nobody before the
final test.
"""

import asyncio
import re
from dataclasses import dataclass, field, replace

import pytest

from tests.fakes import FakeExecutor, ScriptedPolicy, fake_workbench, reply_with
from w4s.benchmarks.splits import Splits, load_validation, make_splits, write_splits
from w4s.environment import Environment
from w4s.final_test import run_test
from w4s.first_candidates import sample_first_candidates
from w4s.llm.base import ChatRequest
from w4s.prompts.state import PromptBudget
from w4s.proposals import Proposer, SamplingRule
from w4s.rewards import RewardRule
from w4s.rollout import EpisodePlan, collect_episode
from w4s.search import SearchPlan
from w4s.searches.registry import SEARCHES, get_search
from w4s.types import Draw, Problem, Score

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SECRET = re.compile(r"(?:question|answer)word\w+")

# quotes its question in what the executor reads, in its errors and in its answers
ASKS = """\
def workflow(agent, task):
    reply = agent.call_llm(messages=[{"role": "user", "content": task}], temperature=0.5)[0]
    return {"answer": reply}"""
COMPLAINS = """\
def workflow(agent, task):
    raise ValueError("cannot solve " + task)"""
COMPLAINS_LATE = """\
def workflow(agent, task):
    reply = agent.call_llm(messages=[{"role": "user", "content": task}], temperature=0.5)[0]
    if len(task) % 2:
        raise ValueError("cannot solve " + task + " nor " + reply)
    return {"answer": reply}"""


@dataclass(frozen=True)
class Riddles:
    """Problems whose texts occur nowhere else. Half of the executor's replies are right."""

    name: str = "riddles"
    description: str = "Solve the riddle."
    version: str = "1"

    def problems(self, count: int, *, seed: int) -> list[Problem]:
        names = [_name(i) for i in range(count)]
        return [
            Problem(f"id-{i}", self.name, f"Say questionword{n}.", f"answerword{n}")
            for i, n in enumerate(names)
        ]

    async def score(self, problem: Problem, answer: str) -> Score:
        # a scorer's reason quotes the reference, as those of the real scorers do
        return Score(float(answer == problem.answer), answer, f"due was {problem.answer}")


def _name(index: int) -> str:
    """Return a word of its own: none is the beginning of another."""
    return "".join(_DIGITS[int(digit)] for digit in f"{index:03d}") + "end"


def half_right(text: str) -> str:
    """Answer the riddles whose word is of odd length rightly."""
    word = SECRET.search(text)
    assert word is not None
    due = word.group().replace("question", "answer")
    return due if len(due) % 2 else "no idea"


@dataclass
class Run:
    """A whole run over real split files, with everything that was said."""

    splits: Splits
    proposer: Proposer
    executor: FakeExecutor
    policy: ScriptedPolicy
    states: list[str] = field(default_factory=list)


@pytest.fixture
def run(tmp_path) -> Run:
    splits = make_splits(Riddles(), private=6, public=3, test=8, seed=0)
    write_splits(splits, tmp_path)
    executor = FakeExecutor(answer=lambda request, draw: half_right(request.messages[-1].content))
    codes = (ASKS, COMPLAINS, COMPLAINS_LATE)
    policy = ScriptedPolicy([reply_with(codes[i % 3]) for i in range(400)])
    environment = Environment(
        benchmark=Riddles(),
        splits=load_validation(tmp_path, "riddles"),
        workbench=fake_workbench(executor),
        budget=PromptBudget(100_000, policy.count_tokens, "full"),
        rule=RewardRule(),
    )
    proposer = Proposer(policy, environment, SamplingRule(1.0, 2))
    asyncio.run(play(proposer))
    return Run(splits, proposer, executor, policy)


async def play(proposer: Proposer) -> None:
    """Everything that happens before the final test."""
    draw = Draw(seed=0, stage="collect", benchmark="riddles")
    for racing in (False, True):
        plan = EpisodePlan(windows=2, turns=2, candidates=3, racing=racing)
        own = replace(draw, episode=int(racing))
        await collect_episode(proposer, example=ASKS, plan=plan, draw=own)
    for name in SEARCHES:
        own = replace(draw, stage="search", policy=name)
        plan = SearchPlan(iterations=4, turns=2)
        await get_search(name)(proposer, example=ASKS, plan=plan, draw=own)
    own = replace(draw, stage="candidates")
    await sample_first_candidates(proposer, example=ASKS, count=3, draw=own)


def said(request: ChatRequest) -> str:
    return "\n".join(message.content for message in request.messages)


def words(problem: Problem) -> tuple[str, str]:
    return problem.question.removeprefix("Say ").removesuffix("."), problem.answer


def test_no_private_and_no_test_text_reaches_the_policy(run: Run) -> None:
    """Of all states, corrections included; public ones do, so the search for words works."""
    shown = "\n".join(m.content for state in run.policy.states for m in state)
    for problem in (*run.splits.private, *run.splits.test):
        for word in words(problem):
            assert word not in shown
    assert any(word in shown for p in run.splits.public for word in words(p))
    assert "cannot solve" in shown


def test_a_private_text_reaches_the_executor_only_to_be_solved(run: Run) -> None:
    """A call that holds it is addressed to that very problem, and never holds its answer."""
    for problem in run.splits.private:
        question, answer = words(problem)
        holding = [draw for request, draw in run.executor.asked if question in said(request)]
        assert holding
        assert all(draw.split("/")[-2] == problem.id for draw in holding)
        assert not any(answer in said(request) for request, _ in run.executor.asked)


def test_test_texts_reach_the_executor_in_the_final_test_alone(run: Run) -> None:
    """Neither question nor answer before it; then the questions, at addresses of the test."""
    before = "\n".join(said(request) for request, _ in run.executor.asked)
    for problem in run.splits.test:
        assert not any(word in before for word in words(problem))
    run.executor.asked.clear()
    asyncio.run(
        run_test(
            ASKS,
            run.splits.test,
            method="m",
            benchmark=Riddles(),
            workbench=run.proposer.environment.workbench,
            draw=Draw(seed=0, stage="test", benchmark="riddles"),
        )
    )
    assert len(run.executor.asked) == len(run.splits.test)
    for request, draw in run.executor.asked:
        assert draw.startswith("test/riddles/")
        assert not any(p.answer in said(request) for p in run.splits.test)


def test_a_trial_before_evaluation_is_of_a_public_problem(run: Run) -> None:
    """Its errors are shown to the policy, so nothing else may be tried."""
    public = {problem.id for problem in run.splits.public}
    trials = [draw for _, draw in run.executor.asked if "/trial/" in draw]
    assert trials
    assert all(draw.split("/trial/")[1].split("/")[0] in public for draw in trials)


def test_reference_answers_reach_nobody_but_the_policys_case_studies(run: Run) -> None:
    """No executor call holds any reference, public ones included: workflows solve unaided."""
    everything = (*run.splits.private, *run.splits.public, *run.splits.test)
    for request, _ in run.executor.asked:
        assert not any(problem.answer in said(request) for problem in everything)
