"""The record: durable, shared, validated; and what `w4s calls` does with it."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.llm.engine_parts import question
from w4s.config import Price
from w4s.errors import DataError
from w4s.llm.calls import CallFilter, list_calls, measure_calls, prune_calls
from w4s.llm.record import Record, RecordedReply
from w4s.llm.request import ResolvedRequest, resolve
from w4s.llm.totals import Group

pytestmark = pytest.mark.anyio


def wanted(text: str = "q", *, draw: str = "collect/gsm/s0/0", n: int = 1) -> ResolvedRequest:
    return resolve(question(text, n=n), draw=draw, model="m", max_tokens=20)


def reply(choice: int = 0, text: str = "a") -> RecordedReply:
    return RecordedReply(choice, text, "stop", 10, 5, 0.5)


async def test_what_is_written_is_read_by_another_process(tmp_path: Path) -> None:
    """A written reply is in the file when `write` returns, not only when the record closes."""
    path = tmp_path / "r.sqlite"
    with Record(path) as record:
        await record.write(wanted(), [reply()])
        query = "SELECT text FROM replies"
        code = f"import sqlite3; print(*sqlite3.connect({str(path)!r}).execute({query!r}))"
        seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert seen.strip() == "('a',)"


async def test_the_first_writer_of_a_draw_wins(tmp_path: Path) -> None:
    """Two processes that asked the same get one reply."""
    with Record(tmp_path / "r.sqlite") as one, Record(tmp_path / "r.sqlite") as two:
        assert [r.text for r in await one.write(wanted(), [reply(text="first")])] == ["first"]
        assert [r.text for r in await two.write(wanted(), [reply(text="second")])] == ["first"]
        assert [r.text for r in two.read(wanted())] == ["first"]


async def test_many_replies_share_few_flushes(tmp_path: Path) -> None:
    """Well over the needed 1,300 replies a second become durable."""
    with Record(tmp_path / "r.sqlite") as record:
        requests = [wanted(f"q{i}") for i in range(3000)]
        begun = time.perf_counter()
        await asyncio.gather(*[record.write(request, [reply()]) for request in requests])
        assert time.perf_counter() - begun < 2.3


async def test_several_processes_write_at_once(tmp_path: Path) -> None:
    """Nothing is lost and nobody fails on a locked file."""

    def write_some(worker: int) -> None:
        async def work() -> None:
            with Record(tmp_path / "r.sqlite") as record:
                for i in range(30):
                    await record.write(wanted(f"{worker}-{i}"), [reply()])

        asyncio.run(work())

    threads = [threading.Thread(target=write_some, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    costs = measure_calls(tmp_path / "r.sqlite", CallFilter(), prices={})
    assert sum(cost.usage.calls for cost in costs) == 120


async def test_a_closed_record_is_one_file(tmp_path: Path) -> None:
    """Nothing is left beside it, so that it can be versioned."""
    with Record(tmp_path / "r.sqlite") as record:
        await record.write(wanted(), [reply()])
    assert [file.name for file in tmp_path.iterdir()] == ["r.sqlite"]


def test_a_file_that_is_no_record_is_refused(tmp_path: Path) -> None:
    """Another file, another SQLite file and another version each give one clear message."""
    text, other, newer = (tmp_path / name for name in ("text", "other", "newer"))
    text.write_text("no database at all, but long enough to have a header" * 100)
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    Record(newer).close()
    connection = sqlite3.connect(newer)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    for path, message in ((text, "cannot be read"), (other, "no record"), (newer, "version 99")):
        with pytest.raises(DataError, match=message):
            Record(path)
    with pytest.raises(DataError, match="no record of calls here"):
        list_calls(tmp_path / "missing", CallFilter())


def test_the_key_of_a_request_covers_all_but_the_seed() -> None:
    """Whatever changes the distribution of replies changes the key."""
    base = wanted()
    assert resolve(question("q", seed=9), draw="x/y", model="m", max_tokens=20).key == base.key
    others = [
        resolve(question("q2"), draw="x", model="m", max_tokens=20),
        resolve(question("q"), draw="x", model="m2", max_tokens=20),
        resolve(question("q"), draw="x", model="m", max_tokens=21),
        resolve(question("q", n=2), draw="x", model="m", max_tokens=20),
        resolve(question("q", temperature=0.5), draw="x", model="m", max_tokens=20),
        resolve(question("q", json_keys=("a",)), draw="x", model="m", max_tokens=20),
        resolve(question("q"), draw="x", model="m", max_tokens=20, reasoning_effort="low"),
    ]
    assert len({base.key, *(other.key for other in others)}) == 8


def test_a_prompt_with_broken_unicode_can_be_asked_and_kept() -> None:
    """Generated programs make lone surrogates; neither HTTP nor SQLite takes them."""
    request = wanted("bad \ud800 text")
    assert request.messages[0].content == "bad ? text"
    request.canonical.encode()


async def test_calls_are_listed_measured_and_pruned(tmp_path: Path) -> None:
    """By stage, benchmark, model and the beginning of a draw."""
    path = tmp_path / "r.sqlite"
    with Record(path) as record:
        await record.write(wanted("one", n=2), [reply(0), reply(1)])
        await record.write(wanted("two", draw="search/svamp/s0/0"), [reply()])
    listed = list_calls(path, CallFilter(stage="search"))
    assert [(call.question, call.group) for call in listed] == [
        ("two", Group("search", "svamp", "m"))
    ]
    prices = {"m": Price(prompt=1.0, completion=2.0)}
    costs = measure_calls(path, CallFilter(), prices=prices)
    assert [(cost.group.stage, cost.usage.calls) for cost in costs] == [
        ("collect", 2),
        ("search", 1),
    ]
    assert costs[1].usd == pytest.approx(20 / 1e6)
    assert measure_calls(path, CallFilter(), prices={})[0].usd is None
    assert prune_calls(path, CallFilter(draw="collect/gsm")) == 2
    assert [cost.group.stage for cost in measure_calls(path, CallFilter(), prices={})] == ["search"]
    assert sqlite3.connect(path).execute("SELECT count(*) FROM requests").fetchone() == (1,)


async def test_a_reply_that_cannot_be_written_fails_and_stops_no_other(tmp_path: Path) -> None:
    """Whoever waits for the write gets the error; the writer goes on."""
    with Record(tmp_path / "r.sqlite") as record:
        unwritable = RecordedReply(0, "a", "stop", 2**80, 5, 0.5)
        with pytest.raises(OverflowError):
            await asyncio.wait_for(record.write(wanted("huge"), [unwritable]), 10)
        assert await asyncio.wait_for(record.write(wanted("next"), [reply()]), 10) == [reply()]


async def test_a_record_damaged_behind_its_head_is_one_clear_error(tmp_path: Path) -> None:
    """The damage shows at the first read: a message, no traceback of SQLite's."""
    path = tmp_path / "r.sqlite"
    with Record(path) as record:
        await record.write(wanted(), [reply()])
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * len(data[4096:])
    path.write_bytes(data)
    with Record(path) as record, pytest.raises(DataError, match=r"r\.sqlite: .* cannot be read"):
        record.read(wanted())


def fill_disk(path: Path) -> None:
    """Let every write into the record fail as on a full disk."""
    connection = sqlite3.connect(path)
    for table in ("replies", "failures", "facts"):
        connection.execute(
            f"CREATE TRIGGER full_{table} BEFORE INSERT ON {table}"
            " BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
        )
    connection.close()


async def test_a_full_disk_is_one_clear_error_whatever_is_written(tmp_path: Path) -> None:
    """Replies, failures and facts: a message with the file, no traceback of SQLite's."""
    path = tmp_path / "r.sqlite"
    told = r"r\.sqlite: it cannot be written: .*full.* Free some disk space"
    with Record(path) as record:
        fill_disk(path)
        with pytest.raises(DataError, match=told):
            await record.write(wanted(), [reply()])
        with pytest.raises(DataError, match=told):
            record.note_failure(wanted(), "no reply in time")
        with pytest.raises(DataError, match=told):
            record.remember("abilities", {})


async def test_a_closed_record_refuses_to_write(tmp_path: Path) -> None:
    """Nobody is left to answer, so waiting would never end."""
    record = Record(tmp_path / "r.sqlite")
    record.close()
    with pytest.raises(RuntimeError, match="record is closed"):
        await asyncio.wait_for(record.write(wanted(), [reply()]), 10)
