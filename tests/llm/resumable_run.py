"""A run of many calls, to be killed and started again: `resumable_run.py URL RECORD COUNT`.

Prints one digest of all its replies at the end.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.llm.engine_parts import ask_all, open_test_engine, question
from w4s.llm.record import Record


@dataclass(frozen=True)
class _At:
    """The address of an endpoint in another process."""

    base_url: str


async def _run(base_url: str, path: Path, count: int) -> str:
    requests = [question(f"q{i}", seed=i, n=1 + i % 3) for i in range(count)]
    with Record(path) as record:
        async with open_test_engine(
            _At(base_url),
            record=record,
            concurrency=8,
            request_timeout=60.0,  # a busy endpoint might count a call late that was asked again
        ) as engine:
            replies = await ask_all(engine, requests)
    return hashlib.sha256(repr([reply.texts for reply in replies]).encode()).hexdigest()


if __name__ == "__main__":
    digest = asyncio.run(_run(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
    sys.stdout.write(digest + "\n")
