"""A workflow file as something that answers questions, for notebooks and programs.

Each call opens what the parameters describe (executor, sandbox, record) and closes it again; a
program with many questions asks them together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from w4s.concurrency import gather
from w4s.config import Params, load_params
from w4s.runtime import open_workbench, solve
from w4s.workflow import Workflow
from w4s.workflow import load_workflow as read_workflow

_RECORDS = "solve"


@dataclass(frozen=True, slots=True)
class Solver:
    """A workflow with the parameters of its executor, and the folder that keeps its calls."""

    workflow: Workflow
    params: Params
    folder: Path

    @property
    def code(self) -> str:
        """The workflow's source."""
        return self.workflow.code

    def solve(self, question: str) -> str:
        """Answer one question. Raises WorkflowFailed where the workflow gives no answer."""
        return self.solve_all([question])[0]

    def solve_all(self, questions: Sequence[str]) -> list[str]:
        """Answer several questions together, in order. Raises WorkflowFailed for any without.

        Not for use inside a running event loop: await `w4s.runtime.solve` there.
        """
        return asyncio.run(self._solve_all(questions))

    async def _solve_all(self, questions: Sequence[str]) -> list[str]:
        async with open_workbench(self.params, workspace=self.folder) as workbench:
            return await gather(
                solve(self.workflow, question, workbench=workbench) for question in questions
            )


def load_workflow(
    path: str | Path, *, params: str | Path = "params.yaml", profile: str | None = None
) -> Solver:
    """Read a workflow file, and the parameters that say which executor it calls and how.

    `profile` names a file in `profiles/` beside the parameter file, as `--profile` does. Calls are
    recorded in the workspace, which lies relative to the parameter file.
    Raises DataError for a file that is no workflow, ConfigError for wrong parameters.
    """
    file = Path(params)
    overlays = () if profile is None else (file.parent / "profiles" / f"{profile}.yaml",)
    loaded = load_params(file, overlays=overlays)
    workspace = file.resolve().parent / loaded.workspace.expanduser()
    return Solver(read_workflow(path), loaded, workspace / _RECORDS)
