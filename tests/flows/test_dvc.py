"""`dvc repro` of the pipeline, against a scripted endpoint for executor and policy."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.endpoint import ScriptedEndpoint
from tests.flows.scripted import PROJECT, environment, scripted_endpoint, write_project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.usefixtures("shared_server"),
]


@pytest.fixture
def endpoint() -> Iterator[ScriptedEndpoint]:
    with scripted_endpoint() as running:
        yield running


def dvc(folder: Path, *arguments: str) -> str:
    """Run DVC in `folder`; return what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=folder,
        env={**environment(), "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def clone(folder: Path, endpoint: ScriptedEndpoint) -> Path:
    """Copy what the pipeline needs into a project folder without git."""
    write_project(folder, endpoint)
    for package in ("flows", "tasks", "w4s"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / package, folder / package, ignore=ignored)
    pipeline = (PROJECT / "dvc.yaml").read_text()
    (folder / "dvc.yaml").write_text(pipeline.replace(".venv/bin/python", sys.executable))
    (folder / ".dvc").mkdir()
    config = (PROJECT / ".dvc" / "config").read_text()
    (folder / ".dvc" / "config").write_text(config.replace("[core]", "[core]\n    no_scm = true"))
    shutil.copy(PROJECT / ".dvcignore", folder)
    return folder


def stages(output: str) -> list[str]:
    """Return the stages that were run."""
    return re.findall(r"Running stage '(\w+)'", output)


def test_repro_runs_every_stage_once_and_then_only_what_a_parameter_touches(
    tmp_path: Path, endpoint: ScriptedEndpoint
) -> None:
    """The second repro does nothing; more iterations of search leave the collection alone.

    Going back to the first parameters brings the first results back without a call.
    """
    folder = clone(tmp_path / "project", endpoint)
    everything = ["prepare", "warm_start", "collect", "train", "search", "evaluate"]
    last = ["replies", "report"]  # in any order
    ran = stages(dvc(folder, "repro"))
    assert (ran[:-2], sorted(ran[-2:])) == (everything, last)
    table = (folder / "outputs/results/table.json").read_text()
    assert stages(dvc(folder, "repro")) == []
    params = folder / "params.yaml"
    first = params.read_text()
    params.write_text(first.replace("iterations: 2", "iterations: 3"))
    ran = stages(dvc(folder, "repro"))
    assert (ran[:-2], sorted(ran[-2:])) == (["search", "evaluate"], last)
    asked = endpoint.counters.calls
    params.write_text(first)
    dvc(folder, "repro")
    assert endpoint.counters.calls == asked
    assert (folder / "outputs/results/table.json").read_text() == table
