"""`w4s experiment` as a person meets it, against a scripted endpoint for executor and policy."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from mlflow import MlflowClient

from flows.experiment import _executors
from tests.endpoint import ScriptedEndpoint
from tests.flows.scripted import PROJECT, scripted_endpoint, w4s, write_project
from w4s.config import load_params
from w4s.experiments.plan import EXPERIMENTS


@pytest.fixture
def endpoint() -> Iterator[ScriptedEndpoint]:
    with scripted_endpoint() as running:
        yield running


def test_the_list_says_what_each_experiment_asks(tmp_path: Path) -> None:
    """Names and questions; nothing is read or written."""
    done = w4s(tmp_path, "experiment", "--list")
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(EXPERIMENTS)
    assert not list(tmp_path.iterdir())


def test_an_unknown_experiment_is_one_message(tmp_path: Path, endpoint: ScriptedEndpoint) -> None:
    """Exit code 2, before anything starts."""
    done = w4s(write_project(tmp_path, endpoint), "experiment", "tunes")
    assert done.returncode == 2
    assert "unknown experiment 'tunes'. Did you mean 'turns'?" in done.stderr
    assert not (tmp_path / "outputs").exists()


def test_other_executors_are_the_business_of_transfer_alone() -> None:
    """The others need no key, address or price of theirs."""
    given = load_params(PROJECT / "params.yaml", settings=("experiments.executors=[big,embedded]",))
    context: Any = SimpleNamespace(params=given)
    asked = {name: _executors(context, one) for name, one in EXPERIMENTS.items()}
    assert asked.pop("transfer") == ["embedded", "big"]
    assert set(map(tuple, asked.values())) == {("embedded",)}


def test_dvc_has_every_experiment_and_real_parameters() -> None:
    """One stage for each name; every parameter that stages name is in params.yaml."""
    stages = yaml.safe_load((PROJECT / "experiments" / "dvc.yaml").read_text())["stages"]
    params = yaml.safe_load((PROJECT / "params.yaml").read_text())
    assert stages["experiment"]["matrix"]["name"] == list(EXPERIMENTS)
    for name in (*stages["experiment"]["params"], *stages["search"]["params"]):
        value = params
        for key in name.split("."):
            assert key in value, name
            value = value[key]


@pytest.mark.slow
@pytest.mark.usefixtures("shared_server")
@pytest.mark.timeout(600)
def test_an_experiment_shares_what_a_run_computed(
    tmp_path: Path, endpoint: ScriptedEndpoint
) -> None:
    """After a run `unseen` and a single search ask nobody; `main-table` asks for what is missing.

    Every line of its table leads to runs in MLflow with the same accuracy.
    """
    folder = write_project(tmp_path, endpoint)
    params = folder / "params.yaml"
    smaller = yaml.safe_load(params.read_text())
    smaller["benchmarks"] |= {"seen": ["chain_sum"], "unseen": ["gcd"]}
    params.write_text(yaml.safe_dump(smaller))
    assert w4s(folder, "run").returncode == 0
    asked = endpoint.counters.calls
    done = w4s(folder, "one-search", "chain_sum", "endpoint", "0")
    assert done.returncode == 0, done.stderr
    whole = json.loads((folder / "outputs/searches/searches.json").read_text())
    alone = folder / "outputs/searches_one_by_one/chain_sum-endpoint-0/searches.json"
    assert json.loads(alone.read_text())["searches"][0] in whole["searches"]
    done = w4s(folder, "one-search", "chain_sum", "rwr", "0")
    assert "no policy is called 'rwr'. There are: endpoint." in done.stderr
    done = w4s(folder, "experiment", "unseen")
    assert done.returncode == 0, done.stderr
    assert endpoint.counters.calls == asked
    done = w4s(folder, "experiment", "main-table")
    assert done.returncode == 0, done.stderr
    assert endpoint.counters.calls > asked
    assert "small model alone" in done.stdout
    out = folder / "outputs" / "experiments" / "main-table"
    assert (out / "picture.png").is_file()
    with (out / "table.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if " " not in row["runs"]]
    assert len(rows) == 2 * (10 + 1 + 4)  # benchmarks; baselines, best example, searches
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    for row in rows:
        logged = client.get_run(row["runs"]).data
        assert logged.metrics["test/accuracy"] == float(row["accuracy"])
        assert logged.tags["benchmark"] == row["benchmark"]
    run = json.loads((folder / "outputs/results/table.json").read_text())
    same = {(one["benchmark"], one["method"]): one["accuracy"] for one in run}
    found = {(row["benchmark"], row["label"]): float(row["accuracy"]) for row in rows}
    assert same.items() <= found.items()
