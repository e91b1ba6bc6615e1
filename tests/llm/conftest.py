"""Fixtures of the tests of the executor engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from w4s.llm.record import Record


@pytest.fixture
def anyio_backend() -> str:
    """Coroutine tests run on asyncio alone."""
    return "asyncio"


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    """A fresh record."""
    with Record(tmp_path / "executor.sqlite") as opened:
        yield opened
