"""The training task, with a tiny policy: what it hands on beside the adapter."""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tasks.context import Context
from tasks.policies import PolicyChoice
from tasks.progress import Silent
from tasks.training import train_objective, training_note
from tasks.workspace import Workspace
from tests.training.tiny_models import tiny_policy
from tests.training.trajectory_fakes import candidate, windows
from w4s.config import load_params
from w4s.trajectories import write_trajectories

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"


class FakeResources:
    """Holds no policy."""

    def drop_policy(self) -> None:
        pass


@pytest.fixture
def context(tmp_path: Path) -> Context:
    policy = tiny_policy(tmp_path / "tiny", context=8192)
    settings = ("train.epochs=1", "train.rank=2", "policy.prompt_tokens=4096")
    params = load_params(PARAMS, settings=settings)
    own = policy.model_copy(update={"prompt_tokens": 4096, "action_tokens": 256})
    workspace = Workspace(tmp_path / "out")
    base = windows(1)[0]
    equal = tuple(candidate(i, f"reply {i}", 0.5) for i in range(3))
    turn = replace(base.turns[0], candidates=equal)
    write_trajectories(
        workspace.trajectories / "trajectories.jsonl", [replace(base, turns=(turn,))]
    )
    fake = SimpleNamespace(
        params=params.model_copy(update={"policy": own}),
        workspace=workspace,
        resources=FakeResources(),
        progress=Silent(),
    )
    return cast(Context, fake)


def test_a_training_hands_on_its_warnings_and_its_divergence_on_unseen_states(
    context: Context, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Equal rewards are said in the line that ends the training, not in the log alone."""
    import w4s.training.train as training

    probes: list[Any] = []
    fit = training.fit

    def watched(*arguments: Any, probe: Any, **others: Any) -> Any:
        probes.extend(probe)
        return fit(*arguments, probe=probe, **others)

    monkeypatch.setattr(training, "fit", watched)
    caplog.set_level(logging.CRITICAL)  # of the root: as Prefect sets it
    start = PolicyChoice("untrained", None)
    figures = asyncio.run(train_objective.fn(context, key="k", objective="rwr", start=start))
    assert "the weights do nothing" in training_note(figures)
    assert "3 samples" in training_note(figures)
    assert figures["rows"][-1]["kl"] >= 0
    assert len({probe.prompt for probe in probes}) == 4
