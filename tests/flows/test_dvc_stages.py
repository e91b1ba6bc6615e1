"""dvc.yaml against the cache keys and the imports: what a change runs again, no more, no less.

No model is asked: DVC's status of a project with made-up outputs, and the keys that tasks compute.
"""

import contextlib
import copy
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import grimp
import pytest
import yaml
from dvc.repo import Repo

from tasks import collect, evaluate, examples, prepare, search, training, variants
from tasks.collect import episode_key
from tasks.context import Context
from tasks.evaluate import candidates_key, final_test_key
from tasks.examples import example_key
from tasks.policies import searching_policies, starting_policy
from tasks.prepare import prepare_key
from tasks.search import search_key
from tasks.training import clone_key, train_key
from tasks.workspace import Workspace
from w4s.benchmarks.registry import get_benchmark
from w4s.benchmarks.splits import make_splits, write_splits
from w4s.config import load_params
from w4s.workflow import builtin_workflow

PROJECT = Path(__file__).resolve().parents[2]
PIPELINE = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]

PARAMS = yaml.safe_load((PROJECT / "params.yaml").read_text())
PARAMS["benchmarks"] |= {"seen": ["gcd"], "unseen": ["lcm"], "private": 2, "public": 1, "test": 2}

# modules that carry values about or show them: what they pass on is in the keys by value
WIRING = {
    "tasks.cached",
    "tasks.commit",
    "tasks.context",
    "tasks.data_sets",
    "tasks.database",
    "tasks.drawn",
    "tasks.keys",
    "tasks.killed",
    "tasks.opening",
    "tasks.options",
    "tasks.progress",
    "tasks.registry",
    "tasks.replies",
    "tasks.resources",
    "tasks.settings",
    "tasks.spending",
    "tasks.sending",
    "tasks.spread",
    "tasks.store",
    "tasks.told",
    "tasks.tracking",
    "tasks.workers",
    "tasks.workspace",
}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("flows", "tasks", exclude_type_checking_imports=True, cache_dir=None)


@pytest.mark.parametrize("stage", PIPELINE)
def test_every_task_module_behind_a_stage_is_its_dependency(
    stage: str, graph: grimp.ImportGraph
) -> None:
    """Wiring apart: a new module of a stage cannot be forgotten in dvc.yaml."""
    reached, due = set[str](), [f"flows.{stage}"]
    while due:
        module = due.pop()
        reached.add(module)
        found = graph.find_modules_directly_imported_by(module)
        due += [m for m in found if m.startswith("tasks") and m not in reached | WIRING]
    needed = {f"{m.replace('.', '/')}.py" for m in reached if m.startswith("tasks.")}
    assert needed <= set(PIPELINE[stage]["deps"])


# what the keys of a stage's tasks see of the code
CODE = {
    "prepare": (prepare.CODE,),
    "warm_start": (training.CLONE_CODE,),
    "collect": (collect.CODE,),
    "train": (training.TRAIN_CODE,),
    "search": (examples.CODE, search.CODE, ("searches",)),
    "evaluate": (evaluate.TEST_CODE, evaluate.CANDIDATES_CODE, variants.ALONE_CODE),
}


@pytest.mark.parametrize("stage", CODE)
def test_code_that_makes_old_results_stale_makes_dvc_run_the_stage(stage: str) -> None:
    """Else the cache would compute anew what DVC takes for done."""
    for name in {name for names in CODE[stage] for name in names}:
        path = name.replace(".", "/") if name.startswith("tasks.") else f"w4s/{name}"
        assert {path, f"{path}.py"} & set(PIPELINE[stage]["deps"]), name


def test_an_experiment_depends_on_every_parameter_of_the_stages_that_it_runs() -> None:
    """Some of its variants take over what they do not vary."""
    experiments = yaml.safe_load((PROJECT / "experiments/dvc.yaml").read_text())["stages"]
    known = set(experiments["experiment"]["params"])
    for stage in CODE:
        for name in PIPELINE[stage]["params"]:
            assert {name, name.partition(".")[0]} & known, name


@pytest.mark.parametrize("stage", PIPELINE)
def test_what_a_stage_reads_of_others_is_their_output(stage: str) -> None:
    """No dependency on a file that no stage makes: DVC would call it missing."""
    made = {path for one in PIPELINE.values() for path in outputs(one)}
    for dependency in PIPELINE[stage]["deps"]:
        if dependency.startswith("outputs/"):
            assert dependency in made


def outputs(stage: Mapping[str, Any]) -> list[str]:
    """Return the paths of outs, metrics and plots."""
    entries = [e for kind in ("outs", "metrics", "plots") for e in stage.get(kind, ())]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def test_the_replies_are_copied_again_after_whatever_asked_for_some() -> None:
    """Another clone lacks none of those behind the results that it pulls."""
    asked = {"collect": "trajectories", "search": "searches", "evaluate": "results"}
    found = PIPELINE["replies"]["deps"]
    for stage, folder in asked.items():
        made = [path for path in outputs(PIPELINE[stage]) if f"outputs/{folder}/" in path]
        assert set(made) & set(found)
    assert "outputs/results/first_candidates.json" in found  # sampled beside the scores


# parameters that stages spell out one by one, and those of them that no result depends on
SPELT_OUT = {
    "policy": ("warm_start", "collect", "train", "search", "evaluate"),
    "collect": ("collect",),
}
LEFT_OUT = {"policy.device", "collect.min_accuracy"}


@pytest.mark.parametrize("section", SPELT_OUT)
def test_a_new_parameter_of_a_section_that_is_spelt_out_is_not_forgotten(section: str) -> None:
    """Whoever adds a key to the section adds it to dvc.yaml, or here with the reason above."""
    known = {f"{section}.{key}" for key in PARAMS[section]}
    for stage in SPELT_OUT[section]:
        assert known - LEFT_OUT <= set(PIPELINE[stage]["params"])


# what no result depends on: how fast, where, how much at most, and what is told of it
WITHOUT_RESULTS = {
    "workspace",
    "executor.concurrency",
    "executor.request_timeout",
    "executor.connect_timeout",
    "executor.retries",
    "executor.requests_per_minute",
    "executor.tokens_per_minute",
    "executor.outage_seconds",
    "executor.replay",
    "embedded.slots",
    "embedded.threads",
    "embedded.port",
    "budget",
    "sandbox",
    "policy.device",
    "experiments",
    "spread",
    "tracking",
}


def test_every_parameter_is_some_stages_or_without_results() -> None:
    """A new key of params.yaml is forgotten nowhere, and none stands in both lists."""
    tracked = {name for one in PIPELINE.values() for name in one.get("params", ())}
    for section, values in PARAMS.items():
        keys = [f"{section}.{key}" for key in values] if isinstance(values, dict) else [section]
        for key in keys:
            names = {section, key}
            assert bool(names & tracked) != bool(names & WITHOUT_RESULTS), key


# ------------------------------------------------------------ one parameter at a time

# what happens to a parameter's stages: a changed value, and which stages it touches at once
COLLECT, SEARCH, TEST = {"collect"}, {"search"}, {"evaluate"}
EXECUTOR = COLLECT | SEARCH | TEST
POLICY = EXECUTOR | {"warm_start", "train"}
CHANGES: dict[str, tuple[Any, set[str]]] = {
    "seed": (7, {"prepare"} | POLICY),
    "benchmarks.private": (3, {"prepare"}),
    "benchmarks.seen": (["lcm"], {"prepare", "warm_start"} | EXECUTOR),
    "benchmarks.unseen": ([], {"prepare"} | SEARCH | TEST),
    "executor.model": ("other", EXECUTOR),
    "executor.max_tokens": (64, EXECUTOR),
    "executor.concurrency": (2, set()),
    "executor.retries": (1, set()),
    "executor.prices": ({"other": {"prompt": 1, "completion": 1}}, SEARCH | {"report"}),
    "embedded.context": (2048, EXECUTOR),
    "embedded.slots": (2, set()),
    "budget.calls": (10_000, set()),
    "limits.wall_seconds": (5, EXECUTOR),
    "sandbox.workers": (2, set()),
    "policy.model": ("some/model", POLICY),
    "policy.prompt_tokens": (1000, POLICY),
    "policy.device": ("cpu", set()),
    "warm_start.samples": (10, {"warm_start"}),
    "warm_start.rank": (8, {"warm_start"}),
    "examples": (["direct"], EXECUTOR),
    "collect.episodes": (4, COLLECT),
    "collect.turns": (3, {"warm_start"} | COLLECT),
    "collect.candidates": (2, COLLECT),
    "collect.min_accuracy": (None, {"train"}),
    "reward.kind": ("continuous", COLLECT | SEARCH),
    "train.objectives": (["rwr", "sft"], {"train"} | SEARCH | TEST),
    "train.temperature": (0.7, {"train"}),
    "train.epochs": (1, {"train"}),
    "search.iterations": (7, SEARCH),
    "search.candidates": (3, SEARCH),
    "search.seeds": ([0, 1], SEARCH),
    "search.turns": (3, SEARCH | TEST),
    "evaluate.first_candidates": (2, TEST),
    "evaluate.baselines": (["direct"], TEST),
    "tracking.experiment": ("other", set()),
}
# prices decide where `search.budget.usd` ends a search: without it the tasks find all finished
FOUND = {"executor.prices": SEARCH | {"report"}}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose outputs are made up and locked: DVC has nothing to do."""
    folder = tmp_path_factory.mktemp("project")
    for package in ("flows", "tasks", "w4s"):
        shutil.copytree(PROJECT / package, folder / package, ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copy(PROJECT / "dvc.yaml", folder)
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    write_params(folder, PARAMS)
    for stage in PIPELINE.values():
        for path in outputs(stage):
            target = folder / path
            target = target if target.suffix else target / "content"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("{}" if target.suffix == ".json" else "x,y\n")
    with contextlib.chdir(folder), Repo() as repo:
        repo.commit(force=True)
        assert repo.status() == {}
    return folder


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Splits, adapters and trajectories for the keys; their contents stay as they are."""
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    for name in ("gcd", "lcm"):
        splits = make_splits(get_benchmark(name), private=2, public=1, test=2, seed=0)
        write_splits(splits, workspace.splits)
    for adapter in ("warm_start/adapter", "adapters/rwr", "adapters/sft"):
        (workspace.root / adapter).mkdir(parents=True)
        (workspace.root / adapter / "weights").write_text(adapter)
    workspace.trajectories.mkdir()
    (workspace.trajectories / "trajectories.jsonl").write_text("")
    return workspace


def write_params(folder: Path, params: Mapping[str, Any]) -> None:
    (folder / "params.yaml").write_text(yaml.safe_dump(dict(params), sort_keys=False))


def changed(name: str, value: Any) -> dict[str, Any]:
    """Return the parameters with one of them changed."""
    params = copy.deepcopy(PARAMS)
    *sections, last = name.split(".")
    node = params
    for section in sections:
        node = node[section]
    assert node[last] != value
    node[last] = value
    return params


@pytest.fixture
def lent(project: Path) -> Iterator[Path]:
    """The project, put back afterwards."""
    yield project
    write_params(project, PARAMS)


@pytest.mark.parametrize("name", CHANGES)
def test_a_parameter_touches_its_stages_and_no_others(name: str, lent: Path) -> None:
    """What `dvc repro` would begin with; later stages follow if what they read has changed."""
    value, expected = CHANGES[name]
    write_params(lent, changed(name, value))
    with contextlib.chdir(lent), Repo() as repo:
        assert set(repo.status()) == expected


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory, workspace: Workspace) -> dict[str, list[str]]:
    """The keys of unchanged parameters."""
    return keys(PARAMS, tmp_path_factory.mktemp("before"), workspace)


@pytest.mark.parametrize("name", CHANGES)
def test_a_stage_computes_anew_exactly_where_dvc_runs_it(
    name: str, tmp_path: Path, workspace: Workspace, before: dict[str, list[str]]
) -> None:
    """DVC and the tasks' cache agree: keys change in the stages that DVC runs, in no others."""
    value, expected = CHANGES[name]
    after = keys(changed(name, value), tmp_path, workspace)
    different = {stage for stage in before if before[stage] != after[stage]}
    assert different == expected - FOUND.get(name, set())


def keys(values: Mapping[str, Any], folder: Path, workspace: Workspace) -> dict[str, list[str]]:
    """Return what each stage computes with these parameters: its tasks' keys, in its order."""
    write_params(folder, values)
    params = load_params(folder / "params.yaml")
    context = cast(Context, SimpleNamespace(params=params, workspace=workspace))
    start, policies = starting_policy(params, workspace), searching_policies(params, workspace)
    benchmarks, example = params.benchmarks.all, params.examples[0]
    return {
        "prepare": [prepare_key(context, benchmark) for benchmark in benchmarks],
        "warm_start": [clone_key(context)],
        "collect": [
            episode_key(context, benchmark=benchmark, episode=episode, policy=start)
            for benchmark in params.benchmarks.seen
            for episode in range(params.collect.episodes)
        ],
        "train": [
            train_key(context, objective=objective, start=start)
            for objective in params.train.objectives
        ],
        "search": [
            *(
                example_key(context, benchmark=benchmark, example=name)
                for benchmark in benchmarks
                for name in params.examples
            ),
            *(
                search_key(context, benchmark=benchmark, policy=policy, seed=seed, example=example)
                for benchmark in benchmarks
                for policy in policies
                for seed in params.search.seeds
            ),
        ],
        "evaluate": [
            *(
                final_test_key(context, benchmark=benchmark, code=builtin_workflow(name).code)
                for benchmark in benchmarks
                for name in (*params.evaluate.baselines, *params.examples)
            ),
            *(
                candidates_key(context, benchmark=benchmark, policy=policy, example=example)
                for benchmark in benchmarks
                for policy in policies
            ),
        ],
    }
