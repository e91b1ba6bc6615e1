"""Which searches count as the same one, and how they are named."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tasks.keys as keys_module
from tasks.methods import finished_methods
from tasks.policies import PolicyChoice
from tasks.search import search_key, search_label
from tasks.searches import ExampleScore, FinishedSearch, Searches
from tasks.workspace import Workspace
from tests.fakes import AdderBenchmark
from w4s.benchmarks.splits import make_splits, write_splits
from w4s.config import Params, load_params
from w4s.search import SearchResult
from w4s.types import Usage

PROJECT = Path(__file__).resolve().parents[2]
POLICY = PolicyChoice("untrained", None)


def params(*settings: str) -> Params:
    return load_params(PROJECT / "params.yaml", settings=settings)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace with the splits of one benchmark."""
    made = Workspace(tmp_path)
    splits = make_splits(AdderBenchmark(), private=3, public=2, test=3, seed=0)
    write_splits(splits, made.splits)
    return made


def key(workspace: Workspace, *settings: str, **changes: Any) -> str:
    context: Any = SimpleNamespace(params=params(*settings), workspace=workspace)
    arguments = {"benchmark": "adder", "policy": POLICY, "seed": 0, "example": "direct"}
    return search_key(context, **{**arguments, **changes})


def test_rivals_leave_the_other_searches_as_they_are(workspace: Workspace) -> None:
    """Adding one makes no finished search run again."""
    assert key(workspace) == key(workspace, "search.rivals=[adas]", "search.seeds=[0, 1]")


def test_every_way_to_search_has_results_of_its_own(workspace: Workspace) -> None:
    """Method, seed and length of a search are part of the key."""
    keys = [key(workspace, method=method) for method in ("w4s", "random", "adas", "aflow")]
    keys += [key(workspace, seed=1), key(workspace, "search.iterations=7")]
    assert len(set(keys)) == len(keys)


def test_prices_count_where_they_end_a_search(workspace: Workspace) -> None:
    """With a budget in dollars another price is another search; without, none runs again."""
    dear, cheap = (f"executor.prices.m={{prompt: {usd}, completion: 1}}" for usd in (9, 1))
    assert key(workspace, dear) == key(workspace, cheap)
    budget = "search.budget.usd=1"
    assert key(workspace, budget, dear) != key(workspace, budget, cheap)


def test_other_weights_under_the_same_path_are_another_policy(
    workspace: Workspace, tmp_path: Path
) -> None:
    """A model of one's own that was trained on is not taken for what it was."""
    weights = tmp_path / "my-model" / "model.safetensors"
    weights.parent.mkdir()
    keys = []
    for content in ("before", "after"):
        weights.write_text(content)
        keys_module._folder_sha256.cache_clear()  # as in another command
        keys.append(key(workspace, f"policy.model={weights.parent}"))
    assert keys[0] != keys[1]


def test_an_unknown_rival_is_refused() -> None:
    """With the names that are known."""
    with pytest.raises(Exception, match="'random', 'adas' or 'aflow'"):
        params("search.rivals=[adaz]")


def test_rivals_have_names_of_their_own() -> None:
    """In the progress lines and in the table."""
    assert search_label("adder", POLICY, 0, "w4s") == "adder, untrained, seed 0"
    assert search_label("adder", POLICY, 1, "adas") == "adder, adas with untrained, seed 1"
    result = SearchResult("adder", "p", 0, "code", 0.5, None, 0.5, (), Usage())
    found = Searches(
        tuple(FinishedSearch(name, result, 1.0) for name in ("aflow", "rwr")),
        (ExampleScore("adder", "direct", 0.5),),
    )
    chosen = params("benchmarks.seen=[adder]", "benchmarks.unseen=[]")
    names = [method.name for method in finished_methods(chosen, found)]
    assert names[-2:] == ["search, tree (AFlow)", "search, trained policy (rwr)"]
