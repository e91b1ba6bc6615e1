"""What an experiment leaves behind, for every experiment: tables, a picture, cells."""

import csv
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tasks.context import Context
from tasks.experiments import write_experiment
from tasks.workspace import Workspace
from tests.experiments.cell_fakes import cell
from w4s.config import load_params
from w4s.experiments.cells import Cell
from w4s.experiments.plan import EXPERIMENTS

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"
_MEAN = {"estimate": 0.2, "low": 0.1, "high": 0.3, "level": 0.95}
FIRST = {
    "mean": {"warm_start": _MEAN, "rwr": _MEAN},
    "minus warm_start": {"rwr": {**_MEAN, "p_value": 0.0001}},
    "broken": {"warm_start": 1, "rwr": 0},
}


def fake_context(folder: Path) -> tuple[Context, list[Path]]:
    """A context that writes into `folder` and keeps what is logged."""
    logged: list[Path] = []
    fake: Any = SimpleNamespace(
        params=load_params(PARAMS),
        workspace=Workspace(folder),
        run_id="run",
        tracker=SimpleNamespace(artifact=lambda run_id, path, name: logged.append(path)),
    )
    return cast(Context, fake), logged


def cells(variants: list[str]) -> list[Cell]:
    """A baseline and a search of two seeds on two benchmarks, in each variant."""
    made = []
    for variant in variants:
        for place in ("sums", "words"):
            seen = place == "sums"
            made.append(
                cell("chain_of_thought", (0.0, 1.0), benchmark=place, variant=variant, seen=seen)
            )
            for seed in (0, 1):
                scores = (1.0, float(seed))
                made.append(
                    cell(
                        *("rwr", scores),
                        benchmark=place,
                        variant=variant,
                        seen=seen,
                        seed=seed,
                        validation=1.0,
                        curve=(0.0, 0.5, 1.0),
                    )
                )
    return made


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_leaves_tables_a_picture_and_its_cells(tmp_path: Path, name: str) -> None:
    """Readable, and with the runs behind every line of the table."""
    context, logged = fake_context(tmp_path)
    experiment = EXPERIMENTS[name]
    variants = [variant.label for variant in experiment.variants(context.params)]
    made = cells(variants)
    first = {"": FIRST} if experiment.first_candidates else {}
    folder = write_experiment(context, experiment, made, comparisons=first)
    assert folder == tmp_path / "experiments" / name
    assert logged == [folder]
    assert (folder / "picture.png").read_bytes().startswith(b"\x89PNG")
    table = list(csv.DictReader(io.StringIO((folder / "table.csv").read_text())))
    assert len(table) == len(variants) * 2 * 3  # two benchmarks and their pool
    known = {one.run_id for one in made}
    assert all(set(row["runs"].split()) <= known for row in table)
    assert len(json.loads((folder / "cells.json").read_text())) == len(made)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics[variants[0] or "all"]["sums"]["rwr"] == 0.75
    text = (folder / "table.md").read_text()
    assert experiment.question in text
    assert ("First candidates" in text) == experiment.first_candidates
    assert ("+0.200 [+0.100, +0.300] | <0.001 |" in text) == experiment.first_candidates
    assert (folder / "curves.csv").exists() == (name == "learning-curve")
    assert ("experiments.executors is empty" in text) == (name == "transfer")
