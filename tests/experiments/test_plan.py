"""The experiments by name: known names, valid variants, budgets that stay comparable."""

from pathlib import Path

import pytest

from tasks.opening import check_names
from w4s.benchmarks.registry import PAPER_NAMES
from w4s.config import Params, load_params
from w4s.errors import ConfigError
from w4s.experiments.plan import (
    BASELINES,
    EXPERIMENTS,
    check_experiment,
    get_experiment,
    vary,
)
from w4s.small_model import SMALL_MODEL_ALONE
from w4s.workflow import builtin_workflows

PROJECT = Path(__file__).resolve().parents[2]
PROFILES = [None, *sorted(path.stem for path in (PROJECT / "profiles").glob("*.yaml"))]


def params(profile: str | None = None, *settings: str) -> Params:
    overlays = (PROJECT / "profiles" / f"{profile}.yaml",) if profile else ()
    return load_params(PROJECT / "params.yaml", overlays=overlays, settings=settings)


def test_the_papers_experiments_are_there() -> None:
    """All seven, each with a question that it answers."""
    assert set(EXPERIMENTS) == {
        *("main-table", "unseen", "rlao-vs-sft", "transfer", "learning-curve", "turns", "cost"),
    }
    assert all(one.question.endswith("?") for one in EXPERIMENTS.values())


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_profile_can_run_every_experiment(name: str, profile: str | None) -> None:
    """Its names are known, and each variant makes valid parameters."""
    given = params(profile)
    check_names(given)
    experiment = get_experiment(name)
    check_experiment(experiment, given)
    for variant in experiment.variants(given):
        check_names(vary(given, variant.changes))


def test_the_papers_profile_names_the_eleven_benchmarks() -> None:
    """Each once, trained on two."""
    assert sorted(params("paper").benchmarks.all) == sorted(PAPER_NAMES)
    assert len(PAPER_NAMES) == 11


def test_every_built_in_workflow_is_a_baseline_and_so_is_the_small_model() -> None:
    """Nine workflow files, and the policy's model as its own executor."""
    assert {*BASELINES} == {*builtin_workflows(), SMALL_MODEL_ALONE}
    assert len(BASELINES) == 10


def test_longer_windows_play_about_as_many_turns_and_get_room() -> None:
    """Windows become fewer; the prompt grows by an action and its feedback for each turn more."""
    given = params(None, "collect.windows=6", "collect.turns=2", "search.turns=2")
    made = [vary(given, v.changes) for v in EXPERIMENTS["turns"].variants(given)]
    assert [(one.collect.windows, one.collect.turns) for one in made] == [
        *((12, 1), (6, 2), (4, 3), (3, 4)),
    ]
    assert [one.search.turns for one in made] == [1, 2, 3, 4]
    assert made[0].policy == made[1].policy == given.policy
    step = given.policy.action_tokens + 200
    assert made[3].policy.prompt_tokens == given.policy.prompt_tokens + 2 * step
    assert {one.search.iterations for one in made} == {given.search.iterations}


@pytest.mark.parametrize(("episodes", "windows"), [(2, 1), (20, 5), (3, 2)])
def test_every_window_length_collects_about_as_many_turns(episodes: int, windows: int) -> None:
    """Where a window is an episode already, there are fewer episodes: no T sees twice the data."""
    sizes = (f"collect.episodes={episodes}", f"collect.windows={windows}", "collect.turns=2")
    given = params(None, *sizes)
    made = [vary(given, v.changes).collect for v in EXPERIMENTS["turns"].variants(given)]
    turns = {one.turns: one.episodes * one.windows * one.turns for one in made}
    assert turns[2] == episodes * windows * 2
    assert all(abs(count - turns[2]) < turn for turn, count in turns.items())


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("experiments.turns=[0]", "greater than 0"),
        ("experiments.turns=[2,2]", "experiments.turns: 2 is there more than once"),
        ("experiments.seeds=[1,0,1]", "1 is there more than once"),
        ("search.seeds=[0,0]", "0 is there more than once"),
        ("search.rivals=[adas,adas]", "'adas' is there more than once"),
        ("evaluate.baselines=[direct,direct]", "'direct' is there more than once"),
        ("train.objectives=[rwr,rwr]", "'rwr' is there more than once"),
    ],
)
def test_what_is_named_twice_is_refused(setting: str, said: str) -> None:
    """One search that is told as two has no spread; a T of 0 is no window."""
    with pytest.raises(ConfigError, match=said):
        params(None, setting)


def test_experiments_differ_from_a_run_only_where_they_say() -> None:
    """So that what a run has computed is found: the rest of the parameters is untouched."""
    given = params()
    (table,) = EXPERIMENTS["main-table"].variants(given)
    varied = vary(given, table.changes)
    assert varied.model_copy(update={"search": given.search, "evaluate": given.evaluate}) == given
    assert varied.search.model_copy(update={"rivals": ()}) == given.search


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("unseen", ["benchmarks.unseen=[]"], "benchmarks.unseen is empty"),
        ("rlao-vs-sft", ["policy.base_url=http://x/v1"], "cannot be trained from here"),
    ],
)
def test_an_experiment_with_nothing_to_compare_is_refused(
    name: str, settings: list[str], said: str
) -> None:
    """Before anything is spent, with what to change."""
    with pytest.raises(ConfigError, match=said):
        check_experiment(get_experiment(name), params(None, *settings))


def test_an_unknown_experiment_is_refused_with_the_known_names() -> None:
    """And with the one that was probably meant."""
    with pytest.raises(ConfigError, match=r"'maintable'\. Did you mean 'main-table'\? Known: main"):
        get_experiment("maintable")
