"""Runs in MLflow: one for a command, child runs below it, an experiment for each kind of stage.

Every call names its run by id, so that concurrent tasks never write into each other's. Addresses
lose their passwords on the way. Models and traces are in `tasks.registry` and `tasks.traces`.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

logging.getLogger("mlflow").setLevel(logging.ERROR)
logging.getLogger("alembic").setLevel(logging.ERROR)

PAGES = "W4S_MLFLOW_PAGES"
"""The environment variable with the address of MLflow's pages, where the store has none."""

STORE_ERRORS = (MlflowException, OSError)
"""What a store that is away, full or locked raises."""

_LOCAL_PAGES = "http://127.0.0.1:5000"  # where `w4s ui` and `w4s up` serve them
_PARAM_LENGTH = 6000  # MLflow refuses longer values
_DIGEST_LENGTH = 36
_BATCH = 1000  # metrics of one request
_SAMPLING_SECONDS = 30
_PASSWORD = re.compile(r"(?<=://)[^/\s]+@")
_QUERY = re.compile(r"(://[^\s?#\"']*)[?#][^\s\"'\]},]*")


@dataclass(frozen=True, slots=True)
class DataSet:
    """What a run read: a name, the content's hash, and where it lies."""

    name: str
    sha256: str
    path: Path


@dataclass(frozen=True, slots=True)
class Point:
    """A metric's value at a step."""

    name: str
    value: float
    step: int = 0


class Tracker:
    """Writes the runs of commands into `experiment`, those of a stage into `experiment/stage`."""

    def __init__(self, *, uri: str, experiment: str, artifacts: Path, workspace: Path) -> None:
        """Open the store at `uri`; new experiments keep their artifacts in `artifacts`.

        Every run carries `workspace` as a tag.
        """
        self.uri = uri
        self.client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        self._experiment = experiment
        self._artifacts = artifacts
        self._workspace = {"workspace": str(workspace)}
        self._ids: dict[str, str] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Be opened anew in another process."""
        workspace = Path(self._workspace["workspace"])
        return _open, (self.uri, self._experiment, self._artifacts, workspace)

    def experiment_id(self, stage: str | None = None) -> str:
        """Return the id of the experiment of `stage`, or of the commands; made where missing."""
        name = f"{self._experiment}/{stage}" if stage else self._experiment
        if name not in self._ids:
            found = self.client.get_experiment_by_name(name)
            location = self._artifacts.resolve().as_uri()
            self._ids[name] = (
                found.experiment_id
                if found
                else self.client.create_experiment(name, artifact_location=location)
            )
        return self._ids[name]

    @contextmanager
    def run(
        self,
        name: str,
        *,
        stage: str | None = None,
        parent: str | None = None,
        tags: Mapping[str, str] | None = None,
        monitored: bool = False,
    ) -> Iterator[str]:
        """Yield the id of a new run that ends with the block: finished, failed or killed.

        A `monitored` run logs what the machine does meanwhile: processors, memory, disk, GPU.
        """
        parents = {"mlflow.parentRunId": parent} if parent else {}
        run = self.client.create_run(
            self.experiment_id(stage),
            run_name=name,
            tags={**self._workspace, **(tags or {}), **parents},
        )
        run_id: str = run.info.run_id
        try:
            with self._monitor(run_id) if monitored else nullcontext():
                yield run_id
        except Exception:
            self.client.set_terminated(run_id, "FAILED")
            raise
        except BaseException:
            self.client.set_terminated(run_id, "KILLED")
            raise
        self.client.set_terminated(run_id, "FINISHED")

    def end_stale(self) -> int:
        """End the runs of the workspace that a killed process left open; return how many.

        To be called by the process that holds the workspace.
        """
        own = re.compile(re.escape(self._experiment) + "(/.*)?")
        experiments = self.client.search_experiments()
        ids = [one.experiment_id for one in experiments if own.fullmatch(one.name)]
        workspace = self._workspace["workspace"]
        chosen = f"tags.workspace = '{workspace}' and attributes.status = 'RUNNING'"
        stale = self.client.search_runs(ids, chosen) if ids else []
        for run in stale:
            self.client.set_terminated(run.info.run_id, "KILLED")
        return len(stale)

    def params(self, run_id: str, values: Mapping[str, Any]) -> None:
        """Log nested parameters under dotted names."""
        flat = flatten(values)
        params = [Param(name, text[:_PARAM_LENGTH]) for name, text in flat.items()]
        for start in range(0, len(params), 100):
            self.client.log_batch(run_id, params=params[start : start + 100])

    def metrics(self, run_id: str, points: Sequence[Point]) -> None:
        """Log metrics by step."""
        now = int(time.time() * 1000)
        metrics = [Metric(p.name, float(p.value), now, p.step) for p in points]
        for start in range(0, len(metrics), _BATCH):
            self.client.log_batch(run_id, metrics=metrics[start : start + _BATCH])

    def tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags."""
        self.client.log_batch(run_id, tags=[RunTag(name, text) for name, text in tags.items()])

    def text(self, run_id: str, text: str, file: str) -> None:
        """Log `text` as an artifact named `file`."""
        self.client.log_text(run_id, text, file)

    def artifact(self, run_id: str, path: Path, folder: str | None = None) -> None:
        """Log a file, or a folder's files, as artifacts."""
        if path.is_dir():
            self.client.log_artifacts(run_id, str(path), folder)
        else:
            self.client.log_artifact(run_id, str(path), folder)

    def datasets(self, run_id: str, found: Sequence[DataSet], *, context: str) -> None:
        """Say what a run read; `context` says what for: training, validation, test."""
        inputs = [
            DatasetInput(
                Dataset(
                    name=one.name,
                    digest=one.sha256[:_DIGEST_LENGTH],
                    source_type="local",
                    source=json.dumps({"uri": one.path.resolve().as_uri()}),
                    profile=json.dumps({"sha256": one.sha256}),
                ),
                tags=[InputTag("mlflow.data.context", context)],
            )
            for one in found
        ]
        if inputs:
            self.client.log_inputs(run_id, datasets=inputs)

    def link(self, run_id: str) -> str:
        """Return the address of the run's page."""
        pages = self.uri if self.uri.startswith("http") else os.environ.get(PAGES, _LOCAL_PAGES)
        experiment = self.client.get_run(run_id).info.experiment_id
        return f"{without_password(pages)}/#/experiments/{experiment}/runs/{run_id}"

    @contextmanager
    def _monitor(self, run_id: str) -> Iterator[None]:
        make: Any = SystemMetricsMonitor  # MLflow gives it no types
        monitor = make(run_id, sampling_interval=_SAMPLING_SECONDS, tracking_uri=self.uri)
        monitor.start()
        try:
            yield
        finally:
            monitor.finish()


def _open(uri: str, experiment: str, artifacts: Path, workspace: Path) -> Tracker:
    return Tracker(uri=uri, experiment=experiment, artifacts=artifacts, workspace=workspace)


def without_password(text: str) -> str:
    """Return `text` with every `user:password@` and every query taken out of its addresses."""
    return _QUERY.sub(r"\1", _PASSWORD.sub("", text))


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested values as texts under dotted names, without passwords."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            flat[f"{prefix}{name}"] = without_password(text)
    return flat
