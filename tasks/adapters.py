"""From trained adapters in the cache to their places, with figures and a model in MLflow."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tasks.context import Context
from tasks.drawn import draw_once
from tasks.keys import file_sha256
from tasks.policies import WARM_START
from tasks.told import DataSet, Point
from tasks.trajectories import FILE
from w4s.files import atomic_folder, atomic_write_text
from w4s.report.pictures import draw_histogram, draw_lines

_LOGGED = ("loss", "log_likelihood", "log_likelihood_high", "log_likelihood_low", "kl")
_LOGGED_TOO = ("mean_reward", "mean_weight", "effective_samples", "truncated_share")
_LOGGED_OF_STEPS = ("learning_rate", "gradient_norm", "tokens_per_second")


def place_warm_start(context: Context, source: Path | None, figures: Mapping[str, Any]) -> None:
    """Write the folder of the warm start: the adapter at `source`, if any, and the figures."""
    target = context.workspace.warm_start
    with atomic_folder(target) as folder:
        if source is not None:
            shutil.copytree(source, folder / "adapter")
        summary = {name: value for name, value in figures.items() if name not in _LONG}
        atomic_write_text(folder / "summary.json", json.dumps(summary, indent=2) + "\n")
    if source is not None:
        _log(context, WARM_START, target / "adapter", figures)


def place_adapters(context: Context, trained: Mapping[str, tuple[Path, Mapping[str, Any]]]) -> None:
    """Write one adapter folder for each objective, and the trainings' figures beside them."""
    with atomic_folder(context.workspace.adapters) as folder:
        for objective, (source, _) in trained.items():
            shutil.copytree(source, folder / objective)
    with atomic_folder(context.workspace.training) as folder:
        summary = {
            objective: {name: value for name, value in figures.items() if name not in _LONG}
            for objective, (_, figures) in trained.items()
        }
        atomic_write_text(folder / "summary.json", json.dumps(summary, indent=2) + "\n")
        atomic_write_text(folder / "losses.csv", _losses(trained))
        for objective, (_, figures) in trained.items():
            _draw(context, folder / objective, figures)
    for objective, (_, figures) in trained.items():
        _log(context, objective, context.workspace.adapters / objective, figures)


_LONG = ("rows", "rewards")
_CURVES = {
    "loss": "loss",
    "log_likelihood_high": "log-likelihood, high rewards",
    "log_likelihood_low": "log-likelihood, low rewards",
}


def _draw(context: Context, folder: Path, figures: Mapping[str, Any]) -> None:
    """Draw a training's curves and the rewards of its samples."""
    lines = {
        label: [(row["step"], row[name]) for row in figures["rows"] if row[name] is not None]
        for name, label in _CURVES.items()
    }
    draw_once(context, folder / "curves.png", partial(draw_lines, label="nats a token"), lines)
    draw_once(
        context, folder / "rewards.png", partial(draw_histogram, label="reward"), figures["rewards"]
    )


def _losses(trained: Mapping[str, tuple[Path, Mapping[str, Any]]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["objective", "step", "loss"])
    for objective, (_, figures) in trained.items():
        writer.writerows([objective, row["step"], row["loss"]] for row in figures["rows"])
    return text.getvalue()


def _log(context: Context, name: str, folder: Path, figures: Mapping[str, Any]) -> None:
    rows = figures.get("rows", ())
    points = [
        Point(f"train/{figure}", row[figure], row["step"])
        for row in rows
        for figure in (*_LOGGED, *_LOGGED_TOO, *_LOGGED_OF_STEPS)
        if row.get(figure) is not None
    ]
    facts = {key: value for key, value in figures.items() if key not in _LONG}
    stage = WARM_START if name == WARM_START else "train"
    with context.tracker.run(
        f"train {name}", stage=stage, parent=context.run_id, tags={"policy": name}
    ) as run_id:
        context.tracker.params(run_id, {**context.params.model_dump(mode="json"), "trained": facts})
        context.tracker.metrics(run_id, points)
        if stage != WARM_START:
            read = context.workspace.trajectories / FILE
            data = DataSet("trajectories", file_sha256(read), read)
            context.tracker.datasets(run_id, [data], context="training")
            context.tracker.artifact(run_id, context.workspace.training / name, "pictures")

        def register(own: str) -> None:
            from tasks.registry import Registry

            registry = Registry(context.tracker, context.params.policy.model)
            registry.register(own, folder, policy=name, facts=facts)

        context.tracker.then(run_id, register, about=file_sha256(folder))
