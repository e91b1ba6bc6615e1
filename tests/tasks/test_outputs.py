"""What stages write of their results: figures, searches, table, best workflows."""

import csv
import io
import json
import re
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tasks.context import Context
from tasks.experiments import entries
from tasks.methods import finished_methods
from tasks.report import write_report
from tasks.results import compare_policies, make_row, write_results
from tasks.searches import (
    ExampleScore,
    FinishedSearch,
    Searches,
    read_searches,
    write_one_search,
    write_searches,
)
from tasks.trajectories import best_accuracy, summarise, write_collection
from tasks.workspace import Workspace
from w4s import load_workflow
from w4s.benchmarks.registry import get_benchmark
from w4s.benchmarks.splits import make_splits, write_splits
from w4s.config import load_params
from w4s.errors import DataError
from w4s.final_test import TestResult
from w4s.first_candidates import FirstCandidates
from w4s.search import Iteration, SearchResult
from w4s.statistics import wilson_interval
from w4s.trajectories import read_trajectories
from w4s.types import Action, Candidate, Failure, FailureKind, Feedback, Trajectory, Turn, Usage

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"
CODE = 'def workflow(agent, task):\n    return {"answer": "2"}\n'


class FakeTracker:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.logged: dict[str, list[Any]] = {}

    @contextmanager
    def run(self, name: str, **_: Any) -> Any:
        yield name

    def __getattr__(self, method: str) -> Any:
        def keep(*arguments: Any, **_: Any) -> None:
            self.logged.setdefault(method, []).append(arguments)

        return keep


@pytest.fixture
def context(tmp_path: Path) -> Context:
    settings = ("benchmarks.seen=[chain_sum]", "benchmarks.unseen=[gcd]")
    for name in ("chain_sum", "gcd"):
        splits = make_splits(get_benchmark(name), private=2, public=1, test=2, seed=0)
        write_splits(splits, Workspace(tmp_path).splits)
    fake = SimpleNamespace(
        params=load_params(PARAMS, settings=settings),
        workspace=Workspace(tmp_path),
        tracker=FakeTracker(),
        run_id="run",
    )
    return cast(Context, fake)


def _search(
    benchmark: str, policy: str, accuracy: float, *, seed: int = 0, code: str = CODE
) -> FinishedSearch:
    steps = (
        Iteration(0, accuracy, accuracy, 1.0, (), code),
        Iteration(1, None, accuracy, None, (Failure(FailureKind.SYNTAX, "bad"),), None),
    )
    usage = Usage(10, 100, 50)
    result = SearchResult(benchmark, "model+1", seed, code, accuracy, 0, 0.25, steps, usage)
    return FinishedSearch(policy, result, 3.0)


def _searches() -> Searches:
    return Searches(
        searches=tuple(
            _search(benchmark, policy, accuracy)
            for policy, accuracy in (("warm_start", 0.5), ("rwr", 0.75))
            for benchmark in ("chain_sum", "gcd")
        ),
        examples=tuple(
            ExampleScore(benchmark, example, accuracy)
            for benchmark in ("chain_sum", "gcd")
            for example, accuracy in (("chain_of_thought", 0.25), ("direct", 0.0))
        ),
    )


def test_searches_come_back_as_they_were_written(context: Context) -> None:
    """The evaluation, another process, reads what the search stage found."""
    write_searches(context, _searches())
    assert read_searches(context.workspace.searches) == _searches()
    text = (context.workspace.searches / "curves.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["accuracy"] for row in rows[:2]] == ["0.5", ""]
    summary = json.loads((context.workspace.searches / "summary.json").read_text())
    assert summary["rwr"] == {"validation": {"chain_sum": 0.75, "gcd": 0.75}, "failed_share": 0.5}


@pytest.mark.parametrize("benchmark", ["gcd", "my tasks/task.yaml", "{}/my tasks/task.yaml"])
def test_a_search_by_itself_stays_in_the_workspace(
    context: Context, tmp_path_factory: pytest.TempPathFactory, benchmark: str
) -> None:
    """Also where the benchmark is a task file by its whole path: where its DVC stage looks."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    own = benchmark.format(elsewhere)
    found = _search(own, "rwr", 0.5)
    write_one_search(context, Searches((found,), ()))
    output = f"{context.workspace.root}/searches_one_by_one/{own}-rwr-0"
    assert read_searches(Path(output)).searches == (found,)
    assert list(elsewhere.iterdir()) == []


def test_missing_and_broken_searches_are_data_errors(tmp_path: Path) -> None:
    """With the command that makes them."""
    with pytest.raises(DataError, match="w4s search"):
        read_searches(tmp_path)
    (tmp_path / "searches.json").write_text('{"searches": [')
    with pytest.raises(DataError, match=r"searches\.json: cannot be read"):
        read_searches(tmp_path)


def test_of_several_seeds_the_best_validation_is_tested() -> None:
    """The choice never looks at the test split."""
    first, second = _search("gcd", "rwr", 0.5), _search("gcd", "rwr", 0.75, seed=1)
    assert Searches((first, second), ()).of("gcd", "rwr") is second


def test_the_table_compares_baselines_examples_and_every_policy(context: Context) -> None:
    """The methods of the table, in its order, for seen and unseen benchmarks."""
    methods = finished_methods(context.params, _searches())
    assert [method.name for method in methods[:5]] == [
        "direct answer",
        "chain of thought",
        "best example",
        "search, warm-started policy",
        "search, trained policy (rwr)",
    ]
    assert [method.benchmark for method in methods] == ["chain_sum"] * 5 + ["gcd"] * 5
    assert [method.validation for method in methods[:5]] == [0.0, 0.25, 0.25, 0.5, 0.75]
    assert methods[4].code == CODE


def test_an_experiment_shows_the_gap_of_baselines_that_are_examples(context: Context) -> None:
    """They were measured on the validation problems; nothing more is asked for it."""
    found = entries(context, _searches())
    assert [(one.key, one.method.validation) for one in found[:3]] == [
        ("direct", 0.0),
        ("chain_of_thought", 0.25),
        ("best_example", 0.25),
    ]


def test_a_policys_search_costs_what_all_its_seeds_cost(context: Context) -> None:
    """Not only the one whose workflow was chosen; the best example costs what all examples do."""
    found = _searches()
    again = tuple(_search(b, "rwr", 0.25, seed=1) for b in ("chain_sum", "gcd"))
    measured = tuple(replace(example, usage=Usage(3, 30, 10)) for example in found.examples)
    methods = finished_methods(context.params, Searches((*found.searches, *again), measured))
    assert [method.search_usage.calls for method in methods[:5]] == [0, 0, 6, 10, 20]


def test_results_are_written_with_intervals_costs_and_runnable_workflows(
    context: Context,
) -> None:
    """Table, metrics, pictures, and one readable workflow file for each benchmark."""
    methods = finished_methods(context.params, _searches())
    tests = [
        TestResult(
            method.benchmark,
            method.name,
            0.5,
            wilson_interval(2, 4),
            4,
            0,
            Usage(4, 40, 20),
            (1.0, 0.0, 1.0, 0.0),
        )
        for method in methods
    ]
    rows = [
        make_row(method, test, seen=method.benchmark == "chain_sum", seconds=1.5)
        for method, test in zip(methods, tests, strict=True)
    ]
    told = {"notes": ["gcd: 1 of 4 test problems was shown."]}
    write_results(context, rows=rows, tests=tests, searches=_searches(), candidates={}, **told)
    folder = context.workspace.results
    assert (
        (folder / "table.md").read_text().endswith(" |\n\ngcd: 1 of 4 test problems was shown.\n")
    )
    table = json.loads((folder / "table.json").read_text())
    assert table[4] | {"low": 0, "high": 0} == {
        "benchmark": "chain_sum",
        "seen": True,
        "method": "search, trained policy (rwr)",
        "accuracy": 0.5,
        "low": 0,
        "high": 0,
        "problems": 4,
        "validation": 0.75,
        "calls": 4,
        "tokens": 60,
        "search_calls": 10,
        "search_tokens": 150,
        "seconds": 1.5,
        "failures": 0,
    }
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["test"]["gcd"]["search_trained_policy_rwr"] == 0.5
    assert load_workflow(folder / "workflows" / "gcd.py").code.endswith(CODE)
    assert {"table.csv", "table.md", "accuracy.png", "searches.png", "scores.json"} <= {
        file.name for file in folder.iterdir()
    }


@pytest.mark.filterwarnings("ignore:No artists with labels")  # the table is empty
def test_a_picture_of_the_same_figures_is_drawn_once(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that finds everything finished does not load the drawing library for its pictures."""
    write_results(context, rows=[], tests=[], searches=_searches(), candidates={})
    first = (context.workspace.results / "searches.png").read_bytes()
    monkeypatch.setattr("tasks.results.draw_searches", _refuse)
    write_results(context, rows=[], tests=[], searches=_searches(), candidates={})
    assert (context.workspace.results / "searches.png").read_bytes() == first
    others = Searches(_searches().searches[:1], _searches().examples)
    with pytest.raises(AssertionError):
        write_results(context, rows=[], tests=[], searches=others, candidates={})


def _refuse(*_: Any) -> None:
    raise AssertionError("drawn again")


def test_policies_are_compared_by_their_first_candidates() -> None:
    """Trained minus starting policy, with an interval."""
    found = compare_policies(
        {
            "warm_start": [FirstCandidates("gcd", "a", (0.0, 0.25, 0.0, 0.25), 1)],
            "rwr": [FirstCandidates("gcd", "b", (0.75, 1.0, 1.0, 0.75), 0)],
        },
        seed=0,
    )
    assert found["mean"]["rwr"]["estimate"] == 0.875
    gain = found["minus warm_start"]["rwr"]
    assert gain["estimate"] == 0.75
    assert gain["low"] > 0.4
    assert found["broken"] == {"warm_start": 1, "rwr": 0}
    assert compare_policies({"warm_start": [], "rwr": []}, seed=0) == {}


def test_first_candidates_are_those_of_the_searches_where_they_suffice() -> None:
    """Nothing is sampled twice: a search's first iteration is what a policy writes at once."""
    step = Iteration(0, 0.5, 0.5, 1.0, (), CODE, sampled=(0.5, None, 0.25))
    later = Iteration(1, 1.0, 1.0, 1.0, (), CODE, sampled=(1.0, 1.0, 1.0))
    result = SearchResult("gcd", "model", 0, CODE, 1.0, 1, 0.25, (step, later), Usage())
    searches = Searches((FinishedSearch("rwr", result, 1.0),), ())
    found = searches.first_candidates("gcd", "rwr", count=3)
    assert found == FirstCandidates("gcd", "model", (0.5, 0.0, 0.25), 1)
    assert searches.first_candidates("gcd", "rwr", count=4) is None
    assert searches.first_candidates("lcm", "rwr", count=1) is None


def _trajectory() -> Trajectory:
    feedback = Feedback(0.5, 4, (), {}, 0.0, Usage(4, 40, 20))
    failure = Failure(FailureKind.RUNTIME, "NameError")
    candidates = (
        Candidate(0, Action("", CODE, CODE), (), feedback, 1.0),
        Candidate(1, Action("", CODE, CODE), (failure,), feedback, 0.0),
        Candidate(2, None, (failure, failure), None, None),
        Candidate(3, None, (failure, failure), None, None),
    )
    return Trajectory("gcd", 0, 0, 0, "model", (Turn(0, (), candidates, 0),))


def test_a_collection_is_summed_up(context: Context) -> None:
    """Skipped candidates are counted, and leave neither accuracy nor reward."""
    write_collection(context, [_trajectory()])
    assert read_trajectories(context.workspace.trajectories / "trajectories.jsonl") == [
        _trajectory()
    ]
    figures = summarise([_trajectory()])["benchmarks"]["gcd"]
    assert figures == {
        "candidates": 4,
        "failed_share": 0.5,
        "corrected_share": 0.25,
        "mean_accuracy": 0.5,
        "best_accuracy": 0.5,
        "mean_reward": 0.5,
        "rewarded_share": 0.5,
        "raced_out_share": 0.0,
        "saved_calls": 0.0,
    }


def test_what_a_race_stopped_early_is_not_the_best() -> None:
    """Its accuracy is that of fewer problems; the calls that it saved are counted."""
    action = Action("", CODE, CODE)
    full = Feedback(0.5, 8, (), {}, 0.0, Usage(8, 80, 40))
    stopped = Feedback(1.0, 2, (), {}, 0.0, Usage(4, 20, 10), skipped=6)
    candidates = (
        Candidate(0, action, (), full, 1.0),
        Candidate(1, action, (), stopped, 0.0),
    )
    raced = [Trajectory("gcd", 0, 0, 0, "model", (Turn(0, (), candidates, 0),))]
    assert best_accuracy(raced) == 0.5
    figures = summarise(raced)["all"]
    assert figures["best_accuracy"] == 0.5
    assert figures["raced_out_share"] == 0.5
    assert figures["saved_calls"] == 12.0


LOSSES = (
    b"objective,step,loss\nrwr,1\n",
    b"objective,step,loss\nrwr,1,low\n",
    b"step\n1\n",
    b"\xff\n",
)
# also JSON of another make, as of another version
FIRST_CANDIDATES = (b"[]", b'{"mean": 3}', b'{"mean": {"rwr": 1}}', b"{")


@pytest.mark.parametrize(
    ("file", "stage", "content"),
    [("training/losses.csv", "train", content) for content in LOSSES]
    + [("results/first_candidates.json", "evaluate", content) for content in FIRST_CANDIDATES],
)
def test_a_file_that_cannot_be_read_is_a_message(
    tmp_path: Path, file: str, stage: str, content: bytes
) -> None:
    """Named with the file and what to do, whatever is damaged."""
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{re.escape(path.name)}: cannot be read .*w4s {stage}"):
        write_report(load_params(PARAMS), Workspace(tmp_path), project=tmp_path)
