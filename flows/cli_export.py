"""`w4s export` and `w4s serve`: take a finished workflow home, or put it behind a port."""

from __future__ import annotations

import asyncio
import shlex
import signal
import socket
import sys
from pathlib import Path

from flows.cli_tools import PortBusy, tell_other_executor
from tasks.options import Options
from w4s.errors import ConfigError
from w4s.workflow import builtin_workflows, load_workflow

_LAST_SECONDS = 5  # that requests in flight have after Ctrl-C


def export_folder(workflow: str, out: str, *, options: Options) -> None:
    """Write the stand-alone folder and say how to use it. Raises ConfigError, DataError."""
    from w4s.export.card import read_facts
    from w4s.export.folder import export_workflow
    from w4s.export.notes import found_with

    path = workflow_file(workflow)
    loaded, facts = load_workflow(path), read_facts(path)
    # the figures beside the workflow are of the executor that it was found with
    executor = found_with(facts.notes, options.load().executor)
    export_workflow(loaded, Path(out), facts=facts, executor=executor)
    sys.stdout.write(
        f"Wrote {out}: it needs only the openai package (see {out}/README.md).\n"
        f"Try it: cd {shlex.quote(out)} && pip install -r requirements.txt "
        '&& python answer.py "QUESTION"\n'
    )


def serve_workflow(workflow: str, *, host: str, port: int, options: Options) -> None:
    """Serve until Ctrl-C. Raises PortBusy, and what opening executor and sandbox raises."""
    import uvicorn

    from w4s.runtime import open_workbench
    from w4s.serving import make_app

    params = options.load()
    file = workflow_file(workflow)
    loaded = load_workflow(file)
    tell_other_executor(file, params.executor)
    listening = _listen(host, port)

    async def serve() -> None:
        folder = options.workspace(params).root
        async with open_workbench(params, workspace=folder) as workbench:
            app = make_app(loaded, workbench=workbench)
            listening.listen()  # from here on connections wait for the server
            sys.stderr.write(
                f"w4s serve: model {loaded.name!r} at http://{host}:{port}/v1 (Ctrl-C stops it)\n"
            )
            config = uvicorn.Config(
                app,
                log_level="warning",
                lifespan="off",
                timeout_graceful_shutdown=_LAST_SECONDS,
            )
            await uvicorn.Server(config).serve(sockets=[listening])

    with listening:
        # a service manager's way to say Ctrl-C, which shells keep from what runs in the background
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            asyncio.run(serve())
        except KeyboardInterrupt:  # uvicorn has ended what was running and passes it on
            sys.stderr.write("w4s serve: stopped\n")


def workflow_file(workflow: str) -> Path:
    """Return the file of a workflow: a path, or a built-in name.

    Raises ConfigError where it is neither.
    """
    path = Path(workflow)
    if path.is_file():
        return path
    if workflow in builtin_workflows():
        import w4s

        return Path(w4s.__file__).parent / "workflows" / f"{workflow}.py"
    known = ", ".join(builtin_workflows())
    raise ConfigError(f"{workflow}: no such workflow file. Built in: {known}.")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise PortBusy(
            f"port {port} on {host} cannot be used ({error.strerror}). "
            "Name another one: w4s serve --port 8001."
        ) from error
    return listening
