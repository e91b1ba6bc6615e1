"""Runs in MLflow: one for a command, child runs below it. The only module that knows MLflow.

Every call names its run by id, so that concurrent tasks never write into each other's.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

logging.getLogger("mlflow").setLevel(logging.ERROR)
logging.getLogger("alembic").setLevel(logging.ERROR)

_PARAM_LENGTH = 6000  # MLflow refuses longer values
_BATCH = 1000  # metrics of one request


@dataclass(frozen=True, slots=True)
class Point:
    """A metric's value at a step."""

    name: str
    value: float
    step: int = 0


class Tracker:
    """Writes runs of one experiment."""

    def __init__(self, *, uri: str, experiment: str, artifacts: Path, workspace: Path) -> None:
        """Open or make the experiment at `uri`; a new one keeps its artifacts in `artifacts`.

        Every run carries `workspace` as a tag.
        """
        self._workspace = {"workspace": str(workspace)}
        self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        found = self._client.get_experiment_by_name(experiment)
        self.experiment_id: str = (
            found.experiment_id
            if found
            else self._client.create_experiment(
                experiment, artifact_location=artifacts.resolve().as_uri()
            )
        )

    @contextmanager
    def run(
        self, name: str, *, parent: str | None = None, tags: Mapping[str, str] | None = None
    ) -> Iterator[str]:
        """Yield the id of a new run that ends with the block: finished, failed or killed."""
        parents = {"mlflow.parentRunId": parent} if parent else {}
        run = self._client.create_run(
            self.experiment_id, run_name=name, tags={**self._workspace, **(tags or {}), **parents}
        )
        run_id: str = run.info.run_id
        try:
            yield run_id
        except Exception:
            self._client.set_terminated(run_id, "FAILED")
            raise
        except BaseException:
            self._client.set_terminated(run_id, "KILLED")
            raise
        self._client.set_terminated(run_id, "FINISHED")

    def end_stale(self) -> int:
        """End the runs of the workspace that a killed process left open; return how many.

        To be called by the process that holds the workspace.
        """
        stale = self._client.search_runs(
            [self.experiment_id],
            f"tags.workspace = '{self._workspace['workspace']}' and attributes.status = 'RUNNING'",
        )
        for run in stale:
            self._client.set_terminated(run.info.run_id, "KILLED")
        return len(stale)

    def params(self, run_id: str, values: Mapping[str, Any]) -> None:
        """Log nested parameters under dotted names."""
        flat = _flatten(values)
        params = [Param(name, text[:_PARAM_LENGTH]) for name, text in flat.items()]
        for start in range(0, len(params), 100):
            self._client.log_batch(run_id, params=params[start : start + 100])

    def metrics(self, run_id: str, points: Sequence[Point]) -> None:
        """Log metrics by step."""
        now = int(time.time() * 1000)
        metrics = [Metric(p.name, float(p.value), now, p.step) for p in points]
        for start in range(0, len(metrics), _BATCH):
            self._client.log_batch(run_id, metrics=metrics[start : start + _BATCH])

    def tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags."""
        self._client.log_batch(run_id, tags=[RunTag(name, text) for name, text in tags.items()])

    def text(self, run_id: str, text: str, file: str) -> None:
        """Log `text` as an artifact named `file`."""
        self._client.log_text(run_id, text, file)

    def artifact(self, run_id: str, path: Path, folder: str | None = None) -> None:
        """Log a file, or a folder's files, as artifacts."""
        if path.is_dir():
            self._client.log_artifacts(run_id, str(path), folder)
        else:
            self._client.log_artifact(run_id, str(path), folder)

    def adapter(self, run_id: str, folder: Path, *, name: str, params: Mapping[str, Any]) -> None:
        """Log the adapter in `folder` as a model of the run, without the base model's weights."""
        model = self._client.create_logged_model(
            self.experiment_id,
            name=name,
            source_run_id=run_id,
            params=_flatten(params),
            model_type="lora",
        )
        try:
            self._client.log_model_artifacts(model.model_id, str(folder))
        except BaseException:
            self._client.finalize_logged_model(model.model_id, "FAILED")
            raise
        self._client.finalize_logged_model(model.model_id, "READY")


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value)
    return flat
