"""Cached Prefect tasks: one decorator, and one way to run them.

A task's key is computed by its stage (`tasks.keys`) and passed in; its result is JSON in the
workspace, so that a run that was killed goes on after its last finished task.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from prefect import Task, task

from tasks.context import Context
from w4s.errors import W4SError

CachedTask = Task[..., Coroutine[Any, Any, dict[str, Any]]]
Body = Callable[..., Coroutine[Any, Any, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A task's result, and whether it was found rather than computed."""

    value: dict[str, Any]
    cached: bool


def cached_task(stage: str) -> Callable[[Body], CachedTask]:
    """Make an async function `(context, *, key, …) -> JSON object` a cached task of `stage`.

    Troubles of the machine (disk, sockets) are worth two more tries; everything that the person
    must mend, and every bug, is raised at once.
    """
    return task(
        name=stage,
        tags=["w4s", stage],
        cache_key_fn=lambda _, arguments: str(arguments["key"]),
        persist_result=True,
        result_serializer="json",
        retries=2,
        retry_delay_seconds=[2, 20],
        retry_condition_fn=_worth_retrying,
    )


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
    configured = body.with_options(
        task_run_name=item.replace("{", "{{").replace("}", "}}"),
        result_storage=context.workspace.replayed if replayed else context.workspace.cache,
        refresh_cache=replayed or bool(again),
    )
    state = await configured(context, key=key, return_state=True, **arguments)
    value = await state.aresult()
    return Outcome(value, cached=state.name == "Cached")


async def _worth_retrying(_task: Any, _run: Any, state: Any) -> bool:
    error = await state.aresult(raise_on_failure=False)
    return isinstance(error, OSError) and not isinstance(error, W4SError)
