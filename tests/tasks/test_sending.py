"""A context that goes to another process."""

import asyncio
import pickle
from pathlib import Path

from tasks.context import Context
from tasks.progress import Silent
from tasks.resources import Resources
from tasks.sending import SentContext
from tasks.tracking import Tracker
from tasks.workspace import Workspace
from w4s.config import load_params

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"


def test_a_context_survives_the_way_and_takes_its_share_of_what_may_be_asked(
    tmp_path: Path,
) -> None:
    """Same folders and run; of the limits of the endpoint one worker's part, none below one."""
    settings = (
        "executor.concurrency=9",
        "executor.requests_per_minute=3",
        "executor.tokens_per_minute=null",
    )
    params = load_params(PARAMS, settings=settings)
    context = Context(
        params=params,
        project=tmp_path,
        workspace=Workspace(tmp_path / "outputs"),
        resources=Resources(params, workspace=tmp_path / "outputs"),
        tracker=Tracker(
            uri=f"sqlite:///{tmp_path / 'm.db'}",
            experiment="w4s",
            artifacts=tmp_path,
            workspace=tmp_path,
        ),
        run_id="abc",
        started=1.0,
        progress=Silent(),
    )
    sent = pickle.loads(pickle.dumps(SentContext(context, workers=4)))

    async def open_there() -> Context:
        async with sent.opened() as own:
            return own

    there = asyncio.run(open_there())
    executor = there.params.executor
    assert (executor.concurrency, executor.requests_per_minute) == (2, 1)
    assert executor.tokens_per_minute is None
    assert (there.workspace, there.run_id, there.spread) == (context.workspace, "abc", None)
    assert there.tracker.uri == context.tracker.uri
