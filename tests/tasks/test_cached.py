"""Cached tasks against a real Prefect server of their own."""

import asyncio
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from flows.server import prefect_server
from tasks.context import Context
from w4s.errors import BudgetError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One server for the module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PREFECT_API_URL", raising=False)
        home = tmp_path_factory.mktemp("prefect")
        patch.setenv("PREFECT_HOME", str(home))
        with prefect_server(home) as ready:
            ready()
            yield


class Work:
    """Counts what is computed and fails as told."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.computed = 0


def _run(
    folder: Path,
    work: Work,
    *keys: str,
    again: bool | None = None,
    replay: bool = False,
    at_once: bool = False,
) -> list[tuple[Any, bool]]:
    from prefect import flow

    from tasks.cached import cached_task, run_task
    from tasks.workspace import Workspace

    @cached_task("double")
    async def double(context: Any, *, key: str, value: int) -> dict[str, Any]:
        del key
        context.work.computed += 1
        await asyncio.sleep(0.05 if at_once else 0)
        if context.work.errors:
            raise context.work.errors.pop(0)
        return {"value": 2 * value}

    body = double.with_options(retry_delay_seconds=[0, 0])
    params = SimpleNamespace(executor=SimpleNamespace(replay=replay))
    fake = SimpleNamespace(
        workspace=Workspace(folder),
        work=work,
        params=params,
        spread=None,
        tracker=SimpleNamespace(open=lambda: None),
    )
    context = cast(Context, fake)

    @flow
    async def stage() -> list[tuple[Any, bool]]:
        async def one(key: str) -> tuple[Any, bool]:
            outcome = await run_task(
                body, context, item=f"{{{key}}}", key=f"double/{key}", again=again, value=len(key)
            )
            return outcome.value["value"], outcome.cached

        if at_once:
            return await asyncio.gather(*map(one, keys))
        return [await one(key) for key in keys]

    return asyncio.run(stage())


def test_a_finished_task_is_found_and_not_computed_again(tmp_path: Path) -> None:
    """The result lies in the workspace, so that another process finds it too."""
    work = Work()
    assert _run(tmp_path, work, "a") == [(2, False)]
    assert _run(tmp_path, work, "a", "bb") == [(2, True), (4, False)]
    assert work.computed == 2
    assert sorted(f.name for f in (tmp_path / ".cache/tasks/double").iterdir()) == ["a", "bb"]


def test_a_result_that_was_cut_off_is_computed_again(tmp_path: Path) -> None:
    """A machine that died while writing costs one task, not the run."""
    work = Work()
    _run(tmp_path, work, "a")
    file = tmp_path / ".cache/tasks/double/a"
    file.write_bytes(file.read_bytes()[:50])
    assert _run(tmp_path, work, "a") == [(2, False)]
    assert _run(tmp_path, work, "a") == [(2, True)]


def test_of_two_equal_tasks_at_once_only_one_is_computed(tmp_path: Path) -> None:
    """Two methods with the same workflow: no work twice, and no two writers of one file.

    Neither was finished before this run.
    """
    work = Work()
    found = _run(tmp_path, work, "a", "a", "bb", at_once=True)
    assert found == [(2, False), (2, False), (4, False)]
    assert work.computed == 2


def test_a_result_that_cannot_be_written_whole_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk costs the result and not the run; no file is left that only looks finished."""

    def fill(*_: Any) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("w4s.files.os.fsync", fill)
        assert _run(tmp_path, Work(), "a") == [(2, False)]
    assert list((tmp_path / ".cache/tasks/double").iterdir()) == []
    assert _run(tmp_path, Work(), "a", "a") == [(2, False), (2, True)]


def test_a_found_result_asks_for_no_place_under_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A place is for those that compute; asking takes a request, seconds on a busy database."""
    asked: list[Any] = []
    service = "prefect.concurrency.services.ConcurrencySlotAcquisitionWithLeaseService"
    send = import_module("prefect.concurrency.services").FutureQueueService.send

    def count(self: Any, item: Any) -> Any:
        asked.append(item)
        return send(self, item)

    monkeypatch.setattr(f"{service}.send", count)
    work = Work()
    assert _run(tmp_path, work, "a") == [(2, False)]
    assert len(asked) == 1
    assert _run(tmp_path, work, "a") == [(2, True)]
    assert len(asked) == 1


def test_a_result_can_be_computed_anew(tmp_path: Path) -> None:
    """Where something beside the result was lost."""
    work = Work()
    _run(tmp_path, work, "a")
    assert _run(tmp_path, work, "a", again=True) == [(2, False)]
    assert work.computed == 2


def test_a_replay_computes_everything_and_touches_no_finished_result(tmp_path: Path) -> None:
    """A cached result can neither hide what is replayed nor be replaced by it."""
    work = Work()
    _run(tmp_path, work, "a")
    before = (tmp_path / ".cache/tasks/double/a").read_bytes()
    for _ in range(2):
        assert _run(tmp_path, work, "a", replay=True) == [(2, False)]
    assert work.computed == 3
    assert (tmp_path / ".cache/tasks/double/a").read_bytes() == before
    assert _run(tmp_path, work, "a", again=False, replay=True) == [(2, True)]


def test_an_error_for_the_person_is_raised_as_itself_and_not_retried(tmp_path: Path) -> None:
    """No minutes of retries before a message that only a person can act on."""
    work = Work(BudgetError("5 USD are spent"))
    with pytest.raises(BudgetError, match="5 USD"):
        _run(tmp_path, work, "a")
    assert work.computed == 1


def test_a_trouble_of_the_machine_is_retried(tmp_path: Path) -> None:
    """A full disk or a lost socket may pass."""
    work = Work(OSError("no space"), ConnectionResetError("gone"))
    assert _run(tmp_path, work, "a") == [(2, False)]
    assert work.computed == 3


def test_a_bug_is_raised_at_once(tmp_path: Path) -> None:
    """Retrying a bug only hides it."""
    work = Work(KeyError("bug"))
    with pytest.raises(KeyError, match="bug"):
        _run(tmp_path, work, "a")
    assert work.computed == 1
