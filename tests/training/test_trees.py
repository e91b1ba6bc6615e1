"""Trees and batches lose nothing of their paths."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from w4s.training.examples import Example
from w4s.training.packing import plan_batches, tree_batch
from w4s.training.trees import build_tree, tree_size

PATHS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12), min_size=1, max_size=8)


@given(PATHS, st.integers(1, 6))
@settings(deadline=None)
def test_paths_read_back_exactly(paths: list[list[int]], min_shared: int) -> None:
    """Tokens at a path's places are the path; their depths count from nought."""
    tree = build_tree(paths, min_shared=min_shared)
    for path, places in zip(paths, tree.places, strict=True):
        assert [tree.tokens[place] for place in places] == path
        assert [tree.depths[place] for place in places] == list(range(len(path)))


@given(PATHS, st.integers(1, 6))
@settings(deadline=None)
def test_each_token_attends_to_its_path_and_nothing_else(
    paths: list[list[int]], min_shared: int
) -> None:
    """What the runs let a path's token see is the path before it."""
    tree = build_tree(paths, min_shared=min_shared)
    seen = {}
    for run in tree.runs:
        before = [place for start, end in run.context for place in range(start, end)]
        for place in range(run.start, run.end):
            seen[place] = {*before, *range(run.start, place + 1)}
    assert len(seen) == len(tree.tokens)
    for places in tree.places:
        for depth, place in enumerate(places):
            assert seen[place] == set(places[: depth + 1])


def test_common_beginning_is_held_once() -> None:
    """Two branches of a shared state: its tokens, and the branches'."""
    state = list(range(30))
    tree = build_tree([[*state, 50, 51], [*state, 60], state])
    assert len(tree.tokens) == 33
    assert len(tree.runs) == 2


def test_short_common_beginning_is_not_worth_a_run() -> None:
    """It is repeated instead."""
    assert tree_size([[1, 2, 3, *[4] * 20], [1, 2, 3, *[5] * 20]]) == 46


def example(tree: int, prompt: int, action: int) -> Example:
    return Example((tree,) * prompt, tuple(range(action)), 1.0, 0.0, str(tree))


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(1, 30), st.integers(1, 20)), min_size=1),
    st.integers(20, 120),
    st.integers(0, 3),
)
@settings(deadline=None)
def test_plan_holds_every_example_once_within_the_budget(
    shapes: list[tuple[int, int, int]], budget: int, seed: int
) -> None:
    """Only an example that is over the budget by itself passes it, and then alone."""
    examples = [example(*shape) for shape in shapes]
    batches = plan_batches(examples, budget=budget, seed=seed)
    planned = [e for batch in batches for e in batch]
    assert sorted(planned, key=repr) == sorted(examples, key=repr)
    for batch in batches:
        assert tree_batch(batch).tokens.numel() <= budget or len(batch) == 1


def test_plan_depends_on_the_seed_alone() -> None:
    """The same seed gives the same plan, another seed another order."""
    examples = [example(tree, 10, 5) for tree in range(12)]
    assert plan_batches(examples, budget=20, seed=1) == plan_batches(examples, budget=20, seed=1)
    assert plan_batches(examples, budget=20, seed=1) != plan_batches(examples, budget=20, seed=2)
