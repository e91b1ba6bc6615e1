"""A context that goes to another process."""

import asyncio
import pickle
from pathlib import Path

from tasks.context import Context
from tasks.progress import Silent
from tasks.resources import Resources
from tasks.sending import SentContext
from tasks.tracking import Tracker
from tasks.variants import small_model_alone
from tasks.workers import Spread
from tasks.workspace import Workspace
from w4s.config import load_params
from w4s.policy.recorded import RECORD_FILE

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"


def make_context(tmp_path: Path, *settings: str, shared: Path | None = None) -> Context:
    params = load_params(PARAMS, settings=settings)
    return Context(
        params=params,
        project=tmp_path,
        workspace=Workspace(tmp_path / "outputs", shared),
        resources=Resources(params, workspace=tmp_path / "outputs"),
        tracker=Tracker(
            uri=f"sqlite:///{tmp_path / 'm.db'}",
            experiment="w4s",
            artifacts=tmp_path,
            workspace=tmp_path,
        ),
        run_id="abc",
        progress=Silent(),
    )


def test_a_context_survives_the_way_and_takes_its_share_of_what_may_be_asked(
    tmp_path: Path,
) -> None:
    """Same folders and run; of the limits of the endpoint one worker's part, none below one."""
    context = make_context(
        tmp_path,
        "executor.concurrency=9",
        "executor.requests_per_minute=3",
        "executor.tokens_per_minute=null",
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


def test_a_variant_asks_over_the_record_of_its_run_in_another_process_too(tmp_path: Path) -> None:
    """What workers ask for an experiment's variant is in the one record that replays it."""
    context = make_context(tmp_path, "policy.base_url=http://host/v1", shared=tmp_path / "run")

    async def ask_there() -> None:
        async with SentContext(context, workers=1).opened() as own:
            await own.resources.policy(None)

    asyncio.run(ask_there())
    assert (tmp_path / "run" / RECORD_FILE).exists()
    assert not (tmp_path / "outputs" / RECORD_FILE).exists()


def test_the_small_model_is_asked_where_it_is_loaded(tmp_path: Path) -> None:
    """Workers have no such executor: its items stay in the command's process."""
    context = make_context(tmp_path, "policy.model=some/model")
    context.spread = Spread(None, workers=2)

    async def spread_of_the_baseline() -> Spread | None:
        async with small_model_alone(context) as own:
            return own.spread

    assert asyncio.run(spread_of_the_baseline()) is None
    assert context.spread is not None


def test_answers_of_a_loaded_small_model_are_told_apart_by_what_made_them(tmp_path: Path) -> None:
    """The model, and the numbers that it computes in: the executor's name is in the cache keys."""

    async def name_with(*settings: str) -> str:
        async with small_model_alone(make_context(tmp_path, *settings)) as own:
            return own.params.executor.model

    names = [
        asyncio.run(name_with(f"policy.model={model}", f"policy.dtype={dtype}"))
        for model in ("some/model", "other/model")
        for dtype in ("float32", "bfloat16")
    ]
    assert len(set(names)) == len(names)


def test_a_loaded_small_model_is_known_by_its_weights(tmp_path: Path) -> None:
    """A model that was trained on in its folder is another executor, under the same path."""
    names = []
    for weights in (b"before", b"after"):
        folder = tmp_path / f"run-{weights.decode()}" / "model"
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(weights)
        names.append(asyncio.run(_name_of_the_small_model(tmp_path, folder)))
    assert names[0].split()[-1] != names[1].split()[-1]


async def _name_of_the_small_model(tmp_path: Path, folder: Path) -> str:
    async with small_model_alone(make_context(tmp_path, f"policy.model={folder}")) as own:
        return own.params.executor.model
