"""A policy's replies on record: paid for once, replayed without the policy."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.fakes import ScriptedPolicy
from w4s.errors import DataError, ReplayError
from w4s.llm.record import Record
from w4s.policy.recorded import RecordedPolicy
from w4s.types import Message

pytestmark = pytest.mark.anyio
STATE = (Message("user", "Design."),)


async def test_the_same_state_and_seed_are_asked_once(tmp_path: Path) -> None:
    """Another seed, state or temperature is another draw."""
    inner = ScriptedPolicy([f"reply {i}" for i in range(9)])
    with Record(tmp_path / "policy.sqlite") as record:
        policy = RecordedPolicy(inner, record, action_tokens=50)
        first = await policy.sample(STATE, n=3, temperature=0.7, seed=1)
        again = await policy.sample(STATE, n=3, temperature=0.7, seed=1)
        other = await policy.sample(STATE, n=3, temperature=0.7, seed=2)
    assert again == first
    assert [reply.text for reply in first + other] == [f"reply {i}" for i in range(6)]
    assert len(inner.states) == 2


async def test_a_replay_asks_nothing(tmp_path: Path) -> None:
    """What is not on record is an error that shows the difference."""
    path = tmp_path / "policy.sqlite"
    with Record(path) as record:
        policy = RecordedPolicy(ScriptedPolicy(["a", "b"]), record, action_tokens=50)
        asked = await policy.sample(STATE, n=2, temperature=0.7, seed=1)
    with Record(path) as record:
        replayed = RecordedPolicy(ScriptedPolicy([]), record, action_tokens=50, replay=True)
        assert await replayed.sample(STATE, n=2, temperature=0.7, seed=1) == asked
        with pytest.raises(ReplayError, match=r"- draw: 'policy//1'\n\+ draw: 'policy//2'"):
            await replayed.sample(STATE, n=2, temperature=0.7, seed=2)


async def test_replies_that_cannot_be_kept_are_a_message(tmp_path: Path) -> None:
    """As on a full disk: the file is named, and SQLite's error does not get through."""
    path = tmp_path / "policy.sqlite"
    with Record(path) as record:
        with sqlite3.connect(path) as connection:
            connection.execute(
                "CREATE TRIGGER full BEFORE INSERT ON replies"
                " BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
            )
        policy = RecordedPolicy(ScriptedPolicy(["a"]), record, action_tokens=50)
        with pytest.raises(DataError, match=r"policy\.sqlite: it cannot be written"):
            await policy.sample(STATE, n=1, temperature=0.7, seed=1)
