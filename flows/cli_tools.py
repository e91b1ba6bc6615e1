"""Commands beside the stages: solve one question; the command of the pages that show runs."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

from tasks.database import make_database
from tasks.options import Options, tracking_uri
from tasks.replies import require_record
from tasks.settings import child_environment
from w4s.config import ExecutorParams
from w4s.errors import ConfigError, W4SError

LOOPBACK = "127.0.0.1"


class PortBusy(W4SError):
    """A port is in use."""


def solve_question(workflow: str, question: str, *, options: Options) -> str:
    """Return a workflow's answer. Raises W4SError where there is none."""
    from w4s.runtime import open_workbench, solve
    from w4s.workflow import builtin_workflow, builtin_workflows, load_workflow

    params = options.load()
    named = not workflow.endswith(".py") and workflow in builtin_workflows()
    loaded = builtin_workflow(workflow) if named else load_workflow(workflow)
    if not named:
        tell_other_executor(Path(workflow), params.executor)
    if params.executor.replay:
        require_record(options.workspace(params))

    async def answer() -> str:
        folder = options.workspace(params).root
        async with open_workbench(params, workspace=folder) as workbench:
            return await solve(loaded, question, workbench=workbench)

    return asyncio.run(answer())


def tell_other_executor(workflow: Path, executor: ExecutorParams) -> None:
    """Say on stderr where a workflow is not asked of the executor that it was found with."""
    from w4s.export.notes import found_with, read_notes

    found = found_with(read_notes(workflow), executor)
    known, asked = ((one.model, one.max_tokens) for one in (found, executor))
    if known != asked:
        sys.stderr.write(
            f"w4s: {workflow} was found with the executor {known[0]}, {known[1]} tokens a reply; "
            f"{asked[0]}, {asked[1]} tokens, is asked now. --profile and --set name another one.\n"
        )


def pages_command(port: int, *, options: Options) -> tuple[list[str], dict[str, str]]:
    """Return the command that serves MLflow's pages on loopback, and its environment.

    Makes MLflow's database where there is none: the command would make it beside a run's. Raises
    ConfigError where the store is a server.
    """
    uri = tracking_uri(options.load(), options.project)
    if uri.startswith(("http://", "https://")):
        from tasks.tracking import without_password

        raise ConfigError(
            f"tracking.uri (MLFLOW_TRACKING_URI): {without_password(uri)} is a server with pages "
            "of its own. Open that address in a browser."
        )
    make_database(uri, artifacts=options.project / "mlartifacts")
    command = [sys.executable, "-m", "mlflow", "ui"]
    command += ["--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    environment = {
        "MLFLOW_BACKEND_STORE_URI": uri,  # every user of the machine sees a command's arguments
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # a quarter of the memory
    }
    return command, child_environment(environment)


def refuse_busy(port: int, instead: str) -> None:
    """Raise PortBusy where nothing can listen on `port` of loopback; `instead` is what to type."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise PortBusy(
                f"port {port} on {LOOPBACK} cannot be used ({error.strerror}). "
                f"Name another one: {instead}."
            ) from error
