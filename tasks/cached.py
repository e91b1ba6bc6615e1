"""Cached Prefect tasks: one decorator, and one way to run them.

A task's key is computed by its stage (`tasks.keys`) and passed in; its result is JSON in the
workspace, so that a run that was killed goes on after its last finished task.

A result that is there is fetched by a task run without tags: it needs no place under Prefect's
limits, and asking for one costs a request, seconds of retries where the server's SQLite is busy.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from prefect import Task, task
from prefect.filesystems import LocalFileSystem

from tasks.context import Context
from tasks.sending import SentContext
from w4s.errors import W4SError
from w4s.files import atomic_write_bytes

CachedTask = Task[..., Coroutine[Any, Any, dict[str, Any]]]
Body = Callable[..., Coroutine[Any, Any, dict[str, Any]]]


_GPU = "gpu"
_HERE = frozenset({"prepare", "train", "warm_start"})  # never sent: files and progress are here

# tags for Prefect's concurrency limits: `prefect concurrency-limit create executor 8`
_USES = {
    "collect": ("executor", "policy"),
    "search": ("executor", "policy"),
    "candidates": ("executor", "policy"),
    "example": ("executor",),
    "test": ("executor",),
    "train": (_GPU,),
    "warm_start": (_GPU,),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """A task's result, and whether it was found rather than computed by this run."""

    value: dict[str, Any]
    cached: bool


def cached_task(stage: str) -> Callable[[Body], CachedTask]:
    """Make an async function `(context, *, key, …) -> JSON object` a cached task of `stage`.

    Troubles of the machine (disk, sockets) are worth two more tries; everything that the person
    must mend, and every bug, is raised at once.
    """

    def make(body: Body) -> CachedTask:
        @functools.wraps(body)
        async def run(context: Context | SentContext, **arguments: Any) -> dict[str, Any]:
            if not isinstance(context, SentContext):
                return await body(context, **arguments)
            async with context.opened() as own:  # this is another process
                return await body(own, **arguments)

        made: CachedTask = task(
            name=stage,
            tags=["w4s", stage, *_USES.get(stage, ())],
            cache_key_fn=_given_key,
            persist_result=True,
            result_serializer="json",
            retries=2,
            retry_delay_seconds=[2, 20],
            retry_condition_fn=_worth_retrying,
        )(run)
        return made

    return make


async def run_task(
    body: CachedTask,
    context: Context,
    *,
    item: str,
    key: str,
    again: bool | None = None,
    **arguments: Any,
) -> Outcome:
    """Run a cached task or find its result; with `again` it is computed in any case.

    Where `again` is not said, a replay computes everything, from the record, and keeps its
    results apart: neither can finished tasks hide what is replayed, nor does it touch them.

    Raises what the task raises.
    """
    replayed = again is None and context.params.executor.replay
    anew = replayed or bool(again)
    storage = context.workspace.replayed if replayed else context.workspace.cache
    configured = body.with_options(
        task_run_name=item.replace("{", "{{").replace("}", "}}"), refresh_cache=anew
    )
    # not by `with_options`, which takes only storage that Prefect's server knows
    configured.result_storage = WholeFiles(basepath=str(storage))
    turn = _turns.setdefault(storage / key, _Turn())
    async with turn.lock:
        found = not anew and await asyncio.to_thread(_is_whole, storage / key)
        if found:
            configured.tags = set()  # `with_options` takes an empty set for none given
        else:
            await asyncio.to_thread(context.tracker.open)  # there is something to tell
        if found or context.spread is None or body.name in _HERE:
            state = await configured(context, key=key, return_state=True, **arguments)
        else:
            sent = SentContext(context, workers=context.spread.workers)
            given = {"context": sent, "key": key, **arguments}
            state = await context.spread.submit(configured, given)
        turn.computed |= state.name != "Cached"
    value = await state.aresult()
    return Outcome(value, cached=not turn.computed)


class WholeFiles(LocalFileSystem):
    """A folder of results in which each is written whole or not at all."""

    _block_type_name = "Whole files"  # Prefect knows storage by its name

    async def awrite_path(self, path: str, content: bytes) -> str:
        """Write a result and return its file."""
        file = self._resolve_path(path)
        await asyncio.to_thread(atomic_write_bytes, file, content)
        return str(file)


class _Turn:
    """Of several items with the same key, at once, the others wait for the first's result."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.computed = False


_turns: WeakValueDictionary[Path, _Turn] = WeakValueDictionary()


def _is_whole(result: Path) -> bool:
    try:
        return isinstance(json.loads(result.read_bytes()), dict)
    except (FileNotFoundError, ValueError):  # a machine that died while writing cut it off
        return False


def _given_key(_run: Any, arguments: dict[str, Any]) -> str:
    return str(arguments["key"])


async def _worth_retrying(_task: Any, _run: Any, state: Any) -> bool:
    error = await state.aresult(raise_on_failure=False)
    return isinstance(error, OSError) and not isinstance(error, W4SError)
