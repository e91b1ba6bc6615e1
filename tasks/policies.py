"""The policies of a run by name, and the adapters behind them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tasks.keys import file_sha256
from tasks.workspace import Workspace
from w4s.config import Params
from w4s.errors import DataError

UNTRAINED = "untrained"
WARM_START = "warm_start"
ENDPOINT = "endpoint"


@dataclass(frozen=True, slots=True)
class PolicyChoice:
    """A policy by its name in tables: the base model with an adapter, or alone."""

    name: str
    adapter: Path | None

    def sha256(self) -> str:
        """Return the adapter's content hash, "none" where there is none."""
        return file_sha256(self.adapter) if self.adapter else "none"


def trained_on(params: Params, benchmark: str) -> bool | None:
    """Return whether training sees `benchmark`, None where nothing is trained.

    A policy behind an endpoint was trained elsewhere: the parameters say on what.
    """
    return benchmark in params.benchmarks.seen if params.train.objectives else None


def starting_policy(params: Params, workspace: Workspace) -> PolicyChoice:
    """Return the policy that collects: the endpoint's, the warm-started or the untrained one."""
    if params.policy.base_url is not None:
        return PolicyChoice(ENDPOINT, None)
    if not params.warm_start.enabled:
        return PolicyChoice(UNTRAINED, None)
    return PolicyChoice(WARM_START, _present(workspace.warm_start / "adapter", "w4s warm-start"))


def trained_policy(objective: str, workspace: Workspace) -> PolicyChoice:
    """Return the policy trained by `objective`. Raises DataError where it is not trained yet."""
    return PolicyChoice(objective, _present(workspace.adapters / objective, "w4s train"))


def searching_policies(params: Params, workspace: Workspace) -> list[PolicyChoice]:
    """Return the policies that search: the starting one, then one for each objective.

    A policy behind an endpoint searches alone: its weights are not here to be trained.
    """
    if params.policy.base_url is not None:
        return [starting_policy(params, workspace)]
    trained = [trained_policy(objective, workspace) for objective in params.train.objectives]
    return [starting_policy(params, workspace), *trained]


def _present(folder: Path, command: str) -> Path:
    if not folder.is_dir():
        raise DataError(f"{folder}: no adapter here. Make it first (`{command}`).")
    return folder
