"""The decision process with fakes: evaluation, environment, collection, search."""

import asyncio
from dataclasses import replace

import pytest

from tests.fakes import (
    HALF,
    RIGHT,
    WRONG,
    AdderBenchmark,
    FakeExecutor,
    ScriptedPolicy,
    adder_proposer,
    adder_splits,
    fake_workbench,
    reply_with,
)
from w4s.errors import EndpointError
from w4s.evaluation import evaluate, run_problem
from w4s.llm.base import CallFailed, ChatReply, ChatRequest
from w4s.rollout import EpisodePlan, collect_episode
from w4s.search import SearchPlan, search
from w4s.trajectories import read_trajectories, write_trajectories
from w4s.types import Draw, FailureKind

BROKEN = "def workflow(agent, task):\n    return 1 / 0"
ASKS = (
    "def workflow(agent, task):\n"
    '    replies = agent.call_llm(messages=[{"role": "user", "content": task}], '
    "temperature=0.7, num_of_response=2)\n"
    '    return {"answer": replies[0]}'
)
DRAW = Draw(seed=0, stage="test", benchmark="adder")


def collect(replies: list[str], *, turns: int = 1, candidates: int = 3, windows: int = 1):
    plan = EpisodePlan(windows, turns, candidates)
    made = adder_proposer(replies, corrections=3)
    trajectories = asyncio.run(collect_episode(made, example=WRONG, plan=plan, draw=DRAW))
    return made, trajectories


def test_accuracy_is_of_private_and_case_studies_of_public_problems() -> None:
    """The split that keeps answers out of prompts."""
    feedback = asyncio.run(
        evaluate(
            RIGHT, adder_splits(), benchmark=AdderBenchmark(), workbench=fake_workbench(), draw="d"
        )
    )
    assert (feedback.accuracy, feedback.problems) == (1.0, 4)
    assert [case.question for case in feedback.case_studies] == ["0 + 0", "1 + 1"]


def test_two_draws_of_one_prompt_differ_and_are_named_the_same_again() -> None:
    """Draws are honest within an evaluation, and reproducible between two."""
    executor = FakeExecutor()
    twice = ASKS.replace("    return", ASKS.split("\n")[1] + "\n    return")
    for _ in range(2):
        asyncio.run(
            run_problem(
                twice,
                adder_splits().private[0],
                benchmark=AdderBenchmark(),
                workbench=fake_workbench(executor),
                draw="a",
            )
        )
    draws = [draw for _, draw in executor.asked]
    assert draws == ["a/private-100/0", "a/private-100/1"] * 2
    seeds = [request.seed for request, _ in executor.asked]
    assert seeds[:2] == seeds[2:]
    assert seeds[0] != seeds[1]


def test_a_task_of_ones_own_is_asked_under_its_own_name() -> None:
    """The record and the costs know a call's benchmark by the second part of its address."""
    executor = FakeExecutor()
    environment = adder_proposer([], executor=executor).environment
    own = replace(environment, benchmark=AdderBenchmark("my tasks/pens/task.yaml"))
    asyncio.run(own.example(ASKS, seed=0))
    assert {draw.rpartition("/s0/")[0] for _, draw in executor.asked} == {"example/pens"}


def test_asking_for_more_replies_than_allowed_is_a_failure_and_a_violation() -> None:
    """A limit is data on the result."""
    result = asyncio.run(
        run_problem(
            ASKS,
            adder_splits().private[0],
            benchmark=AdderBenchmark(),
            workbench=fake_workbench(calls=1),
            draw="a",
        )
    )
    assert result.failure is not None
    assert result.failure.kind is FailureKind.CALLS
    assert result.violations == 1


class _Refusing:
    def __init__(self, error: Exception) -> None:
        self.error = error

    async def chat(self, request: ChatRequest, *, draw: str) -> ChatReply:
        raise self.error


def test_a_call_without_reply_is_an_executor_failure() -> None:
    """Trouble of the endpoint is told apart from a bug of the workflow."""
    result = asyncio.run(
        run_problem(
            ASKS,
            adder_splits().private[0],
            benchmark=AdderBenchmark(),
            workbench=fake_workbench(_Refusing(CallFailed("timed out"))),
            draw="a",
        )
    )
    assert result.failure is not None
    assert result.failure.kind is FailureKind.EXECUTOR


def test_a_fatal_endpoint_error_ends_the_evaluation_as_itself() -> None:
    """The command line shows one EndpointError, not a group of them."""
    with pytest.raises(EndpointError, match="no such model"):
        asyncio.run(
            evaluate(
                ASKS,
                adder_splits(),
                benchmark=AdderBenchmark(),
                workbench=fake_workbench(_Refusing(EndpointError("no such model"))),
                draw="d",
            )
        )


def test_the_best_candidate_moves_the_state_on_and_all_are_kept() -> None:
    """m candidates: rewards against the state, the most accurate is chosen."""
    _, (trajectory,) = collect([reply_with(c) for c in (WRONG, RIGHT, HALF)])
    (turn,) = trajectory.turns
    assert turn.chosen == 1
    assert [candidate.reward for candidate in turn.candidates] == [0.0, 1.0, 1.0]


def test_the_second_turn_extends_the_first_by_the_chosen_action() -> None:
    """The chosen reply and its feedback are the next state's last two messages."""
    replies = [reply_with(HALF), reply_with(WRONG), reply_with(RIGHT), reply_with(WRONG)]
    _, (trajectory,) = collect(replies, turns=2, candidates=2)
    first, second = trajectory.turns
    assert second.state[: len(first.state)] == first.state
    assert second.state[len(first.state)].content == reply_with(HALF)
    assert "up from 0.00" in second.state[-1].content
    assert second.candidates[0].reward == 1.0


def test_a_broken_candidate_is_corrected_with_its_error() -> None:
    """The policy sees type, message and line, and answers again."""
    made, (trajectory,) = collect([reply_with(BROKEN), reply_with(RIGHT)], candidates=1)
    candidate = trajectory.turns[0].candidates[0]
    assert candidate.valid
    assert [failure.kind for failure in candidate.failures] == [FailureKind.RUNTIME]
    assert isinstance(made.policy, ScriptedPolicy)
    assert "ZeroDivisionError" in made.policy.states[1][-1].content


def test_a_candidate_still_broken_after_three_corrections_is_skipped_and_counted() -> None:
    """It has no reward and no action, and all its failures are on the turn."""
    _, (trajectory,) = collect(["nothing"] * 4, candidates=1)
    (turn,) = trajectory.turns
    assert turn.chosen is None
    assert turn.candidates[0].reward is None
    assert len(turn.candidates[0].failures) == 4


def test_no_private_text_reaches_the_policy() -> None:
    """Every state of a whole episode, searched for every private question and answer."""
    replies = [reply_with(c) for c in (HALF, WRONG, BROKEN, RIGHT)] * 4
    made, _ = collect(replies, turns=2, candidates=2, windows=2)
    assert isinstance(made.policy, ScriptedPolicy)
    shown = "\n".join(m.content for state in made.policy.states for m in state)
    for problem in adder_splits().private:
        assert problem.question not in shown
        assert problem.answer not in shown


def test_trajectories_read_back_equal(tmp_path) -> None:
    """What is written is what was collected, and one line a trajectory."""
    _, trajectories = collect([reply_with(RIGHT)] * 8, turns=2, candidates=2, windows=2)
    path = tmp_path / "t.jsonl"
    write_trajectories(path, trajectories)
    assert read_trajectories(path) == trajectories
    assert len(path.read_text().splitlines()) == 2


def test_equal_addresses_give_equal_trajectories() -> None:
    """Collecting twice with the same replies gives the same, field by field."""
    replies = [reply_with(c) for c in (HALF, RIGHT)] * 2
    assert collect(replies, turns=2, candidates=2)[1] == collect(replies, turns=2, candidates=2)[1]


def test_search_returns_the_best_workflow_by_validation_accuracy() -> None:
    """A later, worse workflow does not replace it."""
    made = adder_proposer([reply_with(c) for c in (HALF, RIGHT, WRONG)], corrections=3)
    plan = SearchPlan(iterations=3, turns=2)
    result = asyncio.run(search(made, example=WRONG, plan=plan, draw=DRAW))
    assert (result.accuracy, result.found) == (1.0, 1)
    assert result.code.strip() == RIGHT
    assert [iteration.accuracy for iteration in result.iterations] == [0.5, 1.0, 0.0]
    assert [iteration.best for iteration in result.iterations] == [0.5, 1.0, 1.0]


def test_the_best_of_an_iterations_candidates_moves_a_search_on() -> None:
    """The paper's one candidate an iteration is the plan's default, not its limit."""
    made = adder_proposer([reply_with(c) for c in (HALF, RIGHT, WRONG, "nothing")], corrections=3)
    plan = SearchPlan(iterations=1, turns=2, candidates=3)
    result = asyncio.run(search(made, example=WRONG, plan=plan, draw=DRAW))
    assert (result.accuracy, result.found) == (1.0, 0)
    assert [iteration.accuracy for iteration in result.iterations] == [1.0]
    assert result.iterations[0].code is not None
    assert result.iterations[0].code.strip() == RIGHT


def test_a_search_that_finds_nothing_better_returns_the_example() -> None:
    """The example stays the answer, and the result says so."""
    made = adder_proposer(["nothing"] * 8, corrections=3)
    plan = SearchPlan(iterations=2, turns=2)
    result = asyncio.run(search(made, example=HALF, plan=plan, draw=DRAW))
    assert result.found is None
    assert result.code == HALF
    assert len(result.iterations[0].failures) == 4


def test_other_seeds_ask_other_draws() -> None:
    """A second search seed is an independent search."""
    paths = {replace(DRAW, seed=seed).path for seed in range(3)}
    assert len(paths) == 3
