from pathlib import Path

import pytest
from mlflow import MlflowClient

from tasks.registry import CHAMPION, Registry
from tasks.tracking import DataSet, Point, Tracker


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture
def tracker(store: Path) -> Tracker:
    return _tracker(store, store / "here")


def _tracker(store: Path, workspace: Path) -> Tracker:
    return Tracker(
        uri=_uri(store), experiment="w4s", artifacts=store / "artifacts", workspace=workspace
    )


def _uri(store: Path) -> str:
    return f"sqlite:///{store / 'mlflow.db'}"


def test_a_run_holds_nested_parameters_metrics_by_step_and_artifacts(
    store: Path, tracker: Tracker
) -> None:
    """What the MLflow pages compare is all there, below the parent run."""
    with tracker.run("all") as parent, tracker.run("search", parent=parent) as child:
        tracker.params(child, {"search": {"seeds": [0, 1], "turns": 2}, "seed": 7})
        tracker.metrics(child, [Point("accuracy", 0.25, 0), Point("accuracy", 0.75, 1)])
        tracker.text(child, "def workflow(): ...", "workflow.py")
    client = MlflowClient(tracking_uri=_uri(store))
    run = client.get_run(child)
    assert run.data.params == {"search.seeds": "[0, 1]", "search.turns": "2", "seed": "7"}
    assert run.data.tags["mlflow.parentRunId"] == parent
    assert [m.value for m in client.get_metric_history(child, "accuracy")] == [0.25, 0.75]
    assert [file.path for file in client.list_artifacts(child)] == ["workflow.py"]
    assert run.info.status == "FINISHED"


def test_a_failed_and_an_interrupted_run_say_so(store: Path, tracker: Tracker) -> None:
    """No run stays open behind an error."""
    ids = []

    def fail(error: type[BaseException]) -> None:
        with tracker.run("train") as run_id:
            ids.append(run_id)
            raise error

    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error):
            fail(error)
    client = MlflowClient(tracking_uri=_uri(store))
    assert [client.get_run(run_id).info.status for run_id in ids] == ["FAILED", "KILLED"]


def test_runs_left_open_by_a_kill_are_ended(store: Path, tmp_path: Path) -> None:
    """Parents and children, but only those of the same workspace, whose holder we are."""
    own, other = _tracker(store, tmp_path / "a"), _tracker(store, tmp_path / "b")
    left = [
        own.run("all"),
        own.run("search", parent="0" * 32),
        other.run("all"),
    ]
    left.insert(1, own.run("x", stage="search"))
    ids = [run.__enter__() for run in left]
    assert own.end_stale() == 3
    client = MlflowClient(tracking_uri=_uri(store))
    assert [client.get_run(run_id).info.status for run_id in ids] == [
        *["KILLED"] * 3,
        "RUNNING",
    ]


def _adapter(folder: Path, content: bytes) -> Path:
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(content)
    return folder


def test_an_adapter_becomes_a_model_without_the_base_weights(
    store: Path, tracker: Tracker, tmp_path: Path
) -> None:
    """A few megabytes are logged, not the whole model; the same content is one version."""
    registry = Registry(tracker, "hub/model-7b")
    ids = []
    for _ in range(2):
        with tracker.run("train", stage="train") as run_id:
            ids.append(run_id)
            folder = tmp_path / "adapter"
            folder = folder if folder.exists() else _adapter(folder, b"weights")
            assert registry.register(run_id, folder, policy="rwr", facts={"rank": 16}) == "1"
    client = MlflowClient(tracking_uri=_uri(store), registry_uri=_uri(store))
    (model,) = client.search_logged_models([tracker.experiment_id("train")])
    assert (model.name, model.source_run_id, model.params) == ("rwr", ids[0], {"rank": "16"})
    assert [Path(f.path).name for f in client.list_logged_model_artifacts(model.model_id)] == [
        "adapter_model.safetensors"
    ]
    version = client.get_model_version_by_alias("w4s-policy-hub-model-7b", "rwr")
    assert (str(version.version), version.run_id) == ("1", ids[0])


def test_the_champion_is_compared_only_with_what_was_measured_alike(
    tracker: Tracker, tmp_path: Path
) -> None:
    """Its accuracies come back for the same measurement, and not for another one."""
    registry = Registry(tracker, "crowned")
    assert registry.champion("a") is None
    with tracker.run("train") as run_id:
        folder = _adapter(tmp_path / "adapter", b"other weights")
        version = registry.register(run_id, folder, policy="rwr", facts={})
    registry.crown(version, [0.5, 1.0], measured="a")
    assert registry.champion("a") == (version, [0.5, 1.0])
    assert registry.champion("b") == (version, None)
    assert CHAMPION == "champion"


def test_a_stage_has_its_own_experiment_and_says_what_it_read(
    store: Path, tracker: Tracker, tmp_path: Path
) -> None:
    """Runs of a stage are compared with each other; the data set carries the content's hash."""
    with (
        tracker.run("run") as parent,
        tracker.run("search", stage="search", parent=parent) as child,
    ):
        tracker.datasets(child, [DataSet("gcd", "ab" * 32, tmp_path)], context="validation")
    client = MlflowClient(tracking_uri=_uri(store))
    run = client.get_run(child)
    assert client.get_experiment(run.info.experiment_id).name == "w4s/search"
    (read,) = run.inputs.dataset_inputs
    assert (read.dataset.name, read.dataset.digest) == ("gcd", ("ab" * 32)[:36])
    assert read.tags[0].value == "validation"
    assert tracker.link(child).endswith(f"/experiments/{run.info.experiment_id}/runs/{child}")


def test_passwords_in_addresses_never_reach_the_store(store: Path, tracker: Tracker) -> None:
    """Not in parameters, however deep, nor in the store's files."""
    values = {
        "executor": {"base_url": "https://user:hunter2@host/v1?api_key=hunter2"},
        "list": ["http://a:hunter2@b", "http://a:x@hunter2@b"],
    }
    with tracker.run("run") as run_id:
        tracker.params(run_id, values)
    run = MlflowClient(tracking_uri=_uri(store)).get_run(run_id)
    assert run.data.params["executor.base_url"] == "https://host/v1"
    files = [file.read_bytes() for file in store.rglob("*") if file.is_file()]
    assert not any(b"hunter2" in content for content in files)
