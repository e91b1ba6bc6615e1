"""The expensive things of a command: executor, sandbox, policy. Opened when first used.

A run whose every result is cached opens none of them.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tasks.spending import current_totals
from w4s.config import Params
from w4s.evaluation import Workbench
from w4s.llm.open import refuse_without_record
from w4s.llm.record import Record
from w4s.policy.base import Policy
from w4s.policy.load import load_policy
from w4s.policy.recorded import RECORD_FILE, RecordedPolicy
from w4s.runtime import open_workbench


class Resources:
    """Holds at most one workbench and one policy. Use it with `async with`."""

    def __init__(self, params: Params, *, workspace: Path) -> None:
        self._params = params
        self._workspace = workspace
        self._stack = AsyncExitStack()
        self._lock = asyncio.Lock()
        self._workbench: Workbench | None = None
        self._policy: Policy | None = None
        self._adapter: Path | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._policy = None
        await self._stack.aclose()

    async def workbench(self) -> Workbench:
        """Return the workbench. Raises SandboxError, WeightsError, EndpointError."""
        async with self._lock:
            if self._workbench is None:
                opening = open_workbench(
                    self._params, workspace=self._workspace, totals=current_totals()
                )
                self._workbench = await self._stack.enter_async_context(opening)
            return self._workbench

    async def policy(self, adapter: Path | None) -> Policy:
        """Return the policy with `adapter`; another one that was loaded is let go.

        Raises ConfigError or WeightsError.
        """
        async with self._lock:
            if self._policy is None or self._adapter != adapter:
                self._policy = None
                loaded = await asyncio.to_thread(load_policy, self._params.policy, adapter=adapter)
                self._policy = self._recorded(loaded)
                self._adapter = adapter
            return self._policy

    def _recorded(self, policy: Policy) -> Policy:
        """Return a policy behind an endpoint with its record; a local one as it is."""
        if self._params.policy.base_url is None:
            return policy
        path, replay = self._workspace / RECORD_FILE, self._params.executor.replay
        if replay:
            refuse_without_record(path)
        return RecordedPolicy(
            policy,
            self._stack.enter_context(Record(path)),
            action_tokens=self._params.policy.action_tokens,
            replay=replay,
        )

    def drop_policy(self) -> None:
        """Let the policy go, to make room for training."""
        self._policy = None
