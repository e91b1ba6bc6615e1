"""Variants of a command's context: other parameters or another executor, the same cache and record.

What a variant writes on the way to a table (searches, adapters) lies in the workspace's cache.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from tasks.context import Context
from tasks.keys import code_version, own_weights, text_sha256
from tasks.resources import Resources
from tasks.transfer import POLICY, ExecutorChoice, choose_executor, with_executor
from tasks.workspace import Workspace
from w4s.config import Params
from w4s.evaluation import Workbench
from w4s.llm.endpoint import EMBEDDED_MODEL
from w4s.policy.load import load_local_policy
from w4s.small_model import SmallModel, SmallModelExecutor

_FOLDER = Path(".cache") / "variants"
ALONE_CODE = ("policy", "small_model")
"""What a small model that is loaded into this program goes through, besides `EVALUATION_CODE`."""


@asynccontextmanager
async def open_variant(context: Context, name: str, params: Params) -> AsyncIterator[Context]:
    """Yield a context with `params`, a run called `name` below the command's, and own resources."""
    own = copy.copy(context)
    own.params = params
    own.workspace = _workspace(context, params)
    with context.tracker.run(name, parent=context.run_id, tags={"variant": name}) as run_id:
        own.run_id = run_id
        context.tracker.params(run_id, params.model_dump(mode="json"))
        async with Resources(params, workspace=_shared(context)) as own.resources:
            yield own


@asynccontextmanager
async def with_other_executor(context: Context, executor: ExecutorChoice) -> AsyncIterator[Context]:
    """Yield the context with another executor; with the same one it is the context itself."""
    params = with_executor(context.params, executor)
    if params.executor == context.params.executor:
        yield context
        return
    own = copy.copy(context)
    own.params = params
    async with Resources(params, workspace=_shared(context)) as own.resources:
        yield own


@asynccontextmanager
async def small_model_alone(context: Context) -> AsyncIterator[Context]:
    """Yield the context in which the policy's own model, untrained, is the executor."""
    policy = context.params.policy
    if policy.base_url is not None or policy.model == EMBEDDED_MODEL:
        async with with_other_executor(context, choose_executor(POLICY, context.params)) as own:
            yield own
        return
    own = copy.copy(context)
    own.spread = None  # the model is loaded into this program, and not into workers
    # the name stands in cache keys: what this model answers is not what another one did, nor
    # what it answered with other weights, in other numbers or by other code
    version = text_sha256(f"{code_version(ALONE_CODE)} {own_weights(policy)}")[:8]
    name = f"{POLICY} {policy.model} {policy.dtype} {version}"
    own.params = with_executor(context.params, ExecutorChoice(POLICY, name, None))
    async with _LocalModel(context.params, workspace=_shared(context)) as own.resources:
        yield own


class _LocalModel(Resources):
    """Resources whose executor is the policy's model, loaded into this program when first used."""

    def __init__(self, params: Params, *, workspace: Path) -> None:
        super().__init__(params, workspace=workspace)
        self._loading = asyncio.Lock()
        self._loaded: SmallModel | None = None

    async def workbench(self) -> Workbench:
        """Return the workbench with the small model in the executor's place."""
        workbench = await super().workbench()
        async with self._loading:
            if self._loaded is None:
                params = self._params
                changes = {"action_tokens": params.executor.max_tokens}
                policy = params.policy.model_copy(update=changes)
                self._loaded = await asyncio.to_thread(load_local_policy, policy)
        alone = SmallModelExecutor(self._loaded, judges=workbench.executor)
        return replace(workbench, executor=alone)


def _shared(context: Context) -> Path:
    return context.workspace.shared or context.workspace.root


def _workspace(context: Context, params: Params) -> Workspace:
    text = json.dumps(params.model_dump(mode="json"), sort_keys=True)
    shared = _shared(context)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Workspace(shared / _FOLDER / digest, shared)
