from pathlib import Path

import pytest
from mlflow import MlflowClient

from tasks.tracking import Point, Tracker


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
    ids = [run.__enter__() for run in left]
    assert own.end_stale() == 2
    client = MlflowClient(tracking_uri=_uri(store))
    assert [client.get_run(run_id).info.status for run_id in ids] == ["KILLED", "KILLED", "RUNNING"]


def test_an_adapter_becomes_a_model_without_the_base_weights(
    store: Path, tracker: Tracker, tmp_path: Path
) -> None:
    """A few megabytes are logged, not the whole model."""
    (tmp_path / "adapter_model.safetensors").write_bytes(b"weights")
    with tracker.run("train") as run_id:
        tracker.adapter(run_id, tmp_path, name="rwr", params={"rank": 16})
    client = MlflowClient(tracking_uri=_uri(store))
    (model,) = client.search_logged_models([tracker.experiment_id])
    assert (model.name, model.source_run_id, model.params) == ("rwr", run_id, {"rank": "16"})
    assert [Path(f.path).name for f in client.list_logged_model_artifacts(model.model_id)] == [
        "adapter_model.safetensors"
    ]
