"""The rival searches with fakes: what the policy sees, what is chosen, what it costs."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import (
    HALF,
    RIGHT,
    WRONG,
    FakeExecutor,
    adder_proposer,
    reply_with,
    shown_states,
)
from w4s.errors import ConfigError
from w4s.prompts.state import Attempt, PromptBudget
from w4s.search import SearchPlan, SearchResult
from w4s.searches.archive import archive_state
from w4s.searches.registry import SEARCHES, get_search
from w4s.searches.tree import POOL, Node, mixed_probabilities, select
from w4s.types import Draw, Feedback, Message, Usage

DRAW = Draw(seed=0, stage="search", benchmark="adder", policy="p")
RIVALS = [name for name in SEARCHES if name != "w4s"]


def run(name: str, replies: Sequence[str], *, iterations: int) -> tuple[SearchResult, list[str]]:
    """Return the result and the last message of every state that the policy saw."""
    proposer = adder_proposer(replies)
    result = asyncio.run(
        get_search(name)(proposer, example=WRONG, plan=SearchPlan(iterations, 2), draw=DRAW)
    )
    return result, [state[-1].content for state in shown_states(proposer)]


@pytest.mark.parametrize("name", list(SEARCHES))
def test_every_search_has_the_same_budget_and_returns_its_best(name: str) -> None:
    """As many candidates as iterations; the best by validation, and when it was found."""
    replies = [reply_with(code) for code in (HALF, RIGHT, WRONG)]
    result, states = run(name, [*replies, "never asked for"], iterations=3)
    assert len(states) == 3
    assert (result.accuracy, result.found, result.example_accuracy) == (1.0, 1, 0.0)
    assert result.code.strip() == RIGHT
    assert [step.accuracy for step in result.iterations] == [0.5, 1.0, 0.0]
    assert [step.best for step in result.iterations] == [0.5, 1.0, 1.0]


@pytest.mark.parametrize("name", list(SEARCHES))
def test_a_candidate_that_never_runs_uses_up_its_iteration(name: str) -> None:
    """It is a failure on the iteration; the example stays the answer."""
    result, _ = run(name, ["nothing", "nothing"], iterations=2)
    assert result.found is None
    assert result.code == WRONG
    assert [step.accuracy for step in result.iterations] == [None, None]
    assert all(step.failures for step in result.iterations)


@pytest.mark.parametrize("name", list(SEARCHES))
def test_equal_replies_give_equal_searches(name: str) -> None:
    """Nothing depends on time or chance outside the draws."""
    replies = [reply_with(code) for code in (HALF, RIGHT, WRONG)]
    assert run(name, replies, iterations=3) == run(name, replies, iterations=3)


def test_random_sampling_never_learns() -> None:
    """All candidates are written in one and the same state."""
    _, states = run("random", [reply_with(c) for c in (HALF, RIGHT, WRONG)], iterations=3)
    assert len(set(states)) == 1


def test_the_archive_grows_by_every_workflow_that_ran() -> None:
    """Code and accuracy of all of them, oldest first; failures do not enter."""
    _, states = run("adas", [reply_with(HALF), "nothing", reply_with(RIGHT), "x"], iterations=4)
    assert "## Workflow 1: validation accuracy 0.00" in states[0]
    assert "Workflow 2" not in states[0]
    assert states[1] == states[2]
    last = states[3]
    first, second, third = (last.index(f"## Workflow {number}") for number in (1, 2, 3))
    assert first < second < third
    assert RIGHT in last[third:]


def _words(messages: Sequence[Message]) -> int:
    return sum(len(message.content.split()) for message in messages)


def attempt(accuracy: float, code: str = WRONG) -> Attempt:
    return Attempt(code, Feedback(accuracy, 4, (), {}, 0.0, Usage()))


def test_an_archive_that_is_too_long_loses_its_worst_workflows() -> None:
    """The most accurate ones stay, with their numbers."""
    archive = [attempt(0.5), attempt(0.25), attempt(0.75)]
    budget = PromptBudget(10_000, _words, "compact")
    whole = _words(archive_state(description="Add.", archive=archive, budget=budget))
    state = archive_state(
        description="Add.", archive=archive, budget=replace(budget, tokens=whole - 1)
    )
    assert "Workflow 1:" in state[-1].content
    assert "Workflow 2:" not in state[-1].content
    assert "Workflow 3:" in state[-1].content
    with pytest.raises(ConfigError, match=r"more than policy\.prompt_tokens"):
        archive_state(description="Add.", archive=archive, budget=replace(budget, tokens=5))


def test_the_tree_tells_what_became_of_earlier_changes() -> None:
    """A node chosen again shows its children's changes with the accuracies before and after."""
    replies = [reply_with(WRONG, analysis=f"Change {i}.") for i in range(8)]
    _, states = run("aflow", replies, iterations=8)
    assert "Changes tried" not in states[0]
    told = [state for state in states if "Changes tried" in state]
    assert told
    assert "- not better, 0.00 -> 0.00: Change" in told[0]
    assert all(state.endswith(states[0][-40:]) for state in told)


def test_a_tree_with_little_room_tells_of_the_newest_changes_alone() -> None:
    """Where even those do not fit the policy sees the workflow, and the search goes on."""
    replies = [reply_with(WRONG, analysis=f"Change{i} " + 30 * "very ") for i in range(8)]

    def told(tokens: int) -> list[tuple[Message, ...]]:
        proposer = adder_proposer(replies)
        budget = replace(proposer.environment.budget, tokens=tokens)
        proposer = replace(proposer, environment=replace(proposer.environment, budget=budget))
        asyncio.run(get_search("aflow")(proposer, example=WRONG, plan=SearchPlan(8, 2), draw=DRAW))
        return shown_states(proposer)

    with_room = told(10_000)
    assert max(state[-1].content.count("- not better") for state in with_room) > 1
    tight = told(_words(with_room[0]) + 30)
    assert len(tight) == 8
    assert {state[-1].content.count("- not better") for state in tight} == {0, 1}


def test_the_selection_follows_the_papers_rule() -> None:
    """λ = 0.2 of uniform, the rest softmax with α = 0.4 of percentages."""
    even = mixed_probabilities([0.5, 0.5])
    assert even == pytest.approx([0.5, 0.5])
    first, second = mixed_probabilities([0.50, 0.55])  # e^(-0.4 * 5) = 0.1353
    assert first == pytest.approx(0.1 + 0.8 * 0.1353 / 1.1353, abs=1e-4)
    assert first + second == pytest.approx(1)
    with pytest.raises(ValueError, match="nothing to select"):
        mixed_probabilities([])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_probabilities_are_probabilities_and_follow_the_accuracies(values: list[float]) -> None:
    """They sum to one, none is below the uniform share, and better is never less likely."""
    found = mixed_probabilities(values)
    assert sum(found) == pytest.approx(1)
    assert min(found) >= 0.2 / len(values) - 1e-12
    pairs = sorted(zip(values, found, strict=True))
    assert all(a[1] <= b[1] + 1e-12 for a, b in pairwise(pairs))


def test_the_pool_is_the_initial_workflow_and_the_best_others() -> None:
    """The initial one can always be chosen, the worst of many never."""
    tree = [Node(attempt(a)) for a in (0.0, 0.3, 0.9, 0.8, 0.1, 0.89, 0.2)]
    chosen = {select(tree, seed=seed) for seed in range(400)}
    assert chosen == {0, 2, 3, 5}
    assert len(chosen) == POOL


def test_an_unknown_search_is_refused_with_the_known_names() -> None:
    """And with the name that was probably meant."""
    with pytest.raises(ConfigError, match=r"'adaz'. Did you mean 'adas'\? Known: w4s, random"):
        get_search("adaz")


def test_searches_with_one_policy_are_independent_draws() -> None:
    """The name is part of the address; the example's evaluation is shared."""
    executors = {}
    for name in RIVALS:
        executor = FakeExecutor(answer=lambda request, draw: "0")
        executors[name] = executor
        proposer = adder_proposer([reply_with(_ASKS)], executor=executor)
        asyncio.run(get_search(name)(proposer, example=_ASKS, plan=SearchPlan(1, 1), draw=DRAW))
    draws = {name: {draw for _, draw in found.asked} for name, found in executors.items()}
    shared = set.intersection(*draws.values())
    assert shared
    assert all(draw.startswith("example/adder/") for draw in shared)
    assert all(any(f"/p+{name}/" in draw for draw in found) for name, found in draws.items())


_ASKS = (
    "def workflow(agent, task):\n"
    '    messages = [{"role": "user", "content": task}]\n'
    '    return {"answer": agent.call_llm(messages=messages, temperature=0.5)[0]}'
)
