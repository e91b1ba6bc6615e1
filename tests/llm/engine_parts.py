"""What the tests of the executor engine share: parameters, requests, engines."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

from w4s.config import BudgetParams, ExecutorParams, Price
from w4s.llm.base import ChatReply, ChatRequest
from w4s.llm.budget import Budget
from w4s.llm.caller import Timing
from w4s.llm.endpoint import Address, RemoteEndpoint
from w4s.llm.engine import Engine
from w4s.llm.record import Record
from w4s.llm.replay import replayed_endpoint
from w4s.types import Message

KEY = "sk-planted-3141592653589793"
_BACKOFF_SCALE = 0.02  # waits of the engine, shortened


class HasAddress(Protocol):
    """Anything with an OpenAI-compatible address."""

    @property
    def base_url(self) -> str: ...


def executor_params(**changes: Any) -> ExecutorParams:
    """Return parameters of a quick executor."""
    values: dict[str, Any] = {
        "model": "m",
        "max_tokens": 20,
        "concurrency": 16,
        "request_timeout": 1.0,
        "connect_timeout": 1.0,
        "retries": 6,
        "outage_seconds": 5.0,
        "prices": {"m": Price(prompt=1.0, completion=2.0)},
    }
    return ExecutorParams(**{**values, **changes})


def question(text: str, **changes: Any) -> ChatRequest:
    """Return a request with one message."""
    values: dict[str, Any] = {"temperature": 0.7, "seed": 1}
    return ChatRequest((Message("user", text),), **{**values, **changes})


async def _shortened(seconds: float) -> None:
    await asyncio.sleep(seconds * _BACKOFF_SCALE)


@asynccontextmanager
async def open_test_engine(
    endpoint: HasAddress | None,
    *,
    record: Record | None = None,
    budget: BudgetParams | None = None,
    sleep: Callable[[float], Awaitable[None]] = _shortened,
    **changes: Any,
) -> AsyncIterator[Engine]:
    """Yield an engine over a scripted endpoint, whose waits between tries are short."""
    params = executor_params(**changes)
    remote = None if endpoint is None else RemoteEndpoint(Address(endpoint.base_url, KEY))
    replayed = ""
    if record is not None and endpoint is None:
        replayed = replayed_endpoint(record, configured="", model="m")
    timing = Timing(time.monotonic, sleep, random.Random(0))
    limits = Budget(budget, prices=params.prices)
    async with Engine(
        params, remote, record=record, budget=limits, timing=timing, replayed=replayed
    ) as engine:
        yield engine


async def ask_all(
    engine: Engine, requests: list[ChatRequest], *, draw: str = "collect/gsm/s0/w0/t0/c0"
) -> list[ChatReply]:
    """Ask for all requests at once, each with its own draw."""
    calls = [engine.chat(r, draw=f"{draw}/p{i}/0") for i, r in enumerate(requests)]
    return list(await asyncio.gather(*calls))
