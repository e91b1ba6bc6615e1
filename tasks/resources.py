"""The expensive things of a command: executor, sandbox, policy. Opened when first used.

A run whose every result is cached opens none of them.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from w4s.config import Params
from w4s.evaluation import Workbench
from w4s.policy.base import Policy
from w4s.policy.load import load_policy
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
                opening = open_workbench(self._params, workspace=self._workspace)
                self._workbench = await self._stack.enter_async_context(opening)
            return self._workbench

    async def policy(self, adapter: Path | None) -> Policy:
        """Return the policy with `adapter`; another one that was loaded is let go.

        Raises ConfigError or WeightsError.
        """
        async with self._lock:
            if self._policy is None or self._adapter != adapter:
                self._policy = None
                self._policy = await asyncio.to_thread(
                    load_policy, self._params.policy, adapter=adapter
                )
                self._adapter = adapter
            return self._policy

    def drop_policy(self) -> None:
        """Let the policy go, to make room for training."""
        self._policy = None
