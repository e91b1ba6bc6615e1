"""The record: every reply of the executor, durable before anybody sees it.

One SQLite file, safe for several processes. It holds requests and replies, never a key or an
address with one. Listing, measuring and pruning are in `w4s.llm.calls`.
"""

from __future__ import annotations

import asyncio
import json
import queue
import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from w4s.errors import DataError
from w4s.llm.request import ResolvedRequest

APPLICATION_ID = 0x57345331  # "W4S1"
SCHEMA_VERSION = 1
_BUSY_SECONDS = 60.0
_LARGEST_BATCH = 2000

_SCHEMA = """
CREATE TABLE requests (
    key TEXT PRIMARY KEY,
    request TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE replies (
    key TEXT NOT NULL,
    draw TEXT NOT NULL,
    choice INTEGER NOT NULL,
    stage TEXT NOT NULL,
    benchmark TEXT NOT NULL,
    model TEXT NOT NULL,
    text TEXT NOT NULL,
    finish_reason TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    seconds REAL NOT NULL,
    created REAL NOT NULL,
    PRIMARY KEY (key, draw, choice)
) WITHOUT ROWID;
CREATE INDEX replies_by_group ON replies (stage, benchmark, model);
CREATE INDEX replies_by_draw ON replies (draw);
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
"""
_INSERT = "INSERT OR IGNORE INTO replies VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"
_SELECT = (
    "SELECT choice, text, finish_reason, prompt_tokens, completion_tokens, seconds"
    " FROM replies WHERE key = ? AND draw = ? ORDER BY choice"
)


@dataclass(frozen=True, slots=True)
class RecordedReply:
    """One text of a reply. The prompt's tokens stand on the first text of a request alone."""

    choice: int
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Write:
    request: ResolvedRequest
    replies: Sequence[RecordedReply]
    done: asyncio.Future[list[RecordedReply]]


def connect(path: Path, *, readonly: bool = False) -> sqlite3.Connection:
    """Open a record and check that it is one, making an empty one where there is none.

    Raises DataError where the file is something else, damaged, or of another version.
    """
    if readonly and not path.exists():
        raise DataError(f"{path}: there is no record of calls here.")
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = None
    try:
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        _prepare(connection, path)
    except sqlite3.DatabaseError as error:
        if connection is not None:
            connection.close()
        raise DataError(
            f"{path}: the record of calls cannot be read: {error}. "
            "Restore it (`dvc checkout`), or move it away to start a new one."
        ) from error
    except BaseException:
        if connection is not None:
            connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN IMMEDIATE")  # of two processes at once, one makes the tables
    try:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not tables:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif application != APPLICATION_ID:
            raise DataError(f"{path}: this SQLite file is no record of calls. Move it away.")
        elif version != SCHEMA_VERSION:
            raise DataError(
                f"{path}: the record of calls has schema version {version}; this program reads "
                f"version {SCHEMA_VERSION}. Use the program that wrote it, or move the file away."
            )
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


class Record:
    """Reads replies, and writes them in groups: one flush to disk serves many replies.

    Use it as a context manager. `write` returns when the replies are on the disk.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = connect(path)
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="w4s-record", daemon=True)
        self._thread.start()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write what is due and fold the log into the one file. Does nothing the second time."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        self._thread.join()
        self._reader.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._reader.close()

    def read(self, key: str, draw: str) -> list[RecordedReply]:
        """Return the recorded texts of a request's draw, in order of choice."""
        return [RecordedReply(*row) for row in self._reader.execute(_SELECT, (key, draw))]

    async def write(
        self, request: ResolvedRequest, replies: Sequence[RecordedReply]
    ) -> list[RecordedReply]:
        """Record replies and return, when they are durable, what the record now holds.

        That differs from `replies` where another process recorded the same draw first.
        Raises OSError or sqlite3.Error where the disk refuses.
        """
        done: asyncio.Future[list[RecordedReply]] = asyncio.get_running_loop().create_future()
        self._queue.put(_Write(request, replies, done))
        return await done

    def fact(self, name: str) -> Any:
        """Return what was found out once about an endpoint (a JSON value), or None."""
        row = self._reader.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def remember(self, name: str, value: Any) -> None:
        """Keep a JSON value under `name`."""
        self._reader.execute(
            "INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value, sort_keys=True))
        )

    def requests_near(self, request: ResolvedRequest, *, most: int = 2000) -> list[str]:
        """Return canonical requests to compare a missing one with: those of its draw first."""
        rows = self._reader.execute(
            "SELECT DISTINCT q.request FROM replies r JOIN requests q USING (key)"
            " WHERE r.stage = ? AND r.benchmark = ? ORDER BY r.draw = ? DESC LIMIT ?",
            (request.stage, request.benchmark, request.draw, most),
        ).fetchall()
        return [row[0] for row in rows]

    # ------------------------------------------------------------ the writer's thread

    def _write_all(self) -> None:
        connection: sqlite3.Connection | None = None
        ending = False
        while not ending:
            batch, ending = self._next_batch()
            if not batch:
                continue
            try:
                connection = connection or connect(self.path)
                outcome: list[list[RecordedReply]] | Exception = _insert(connection, batch)
            except (sqlite3.Error, OSError, DataError) as error:
                outcome = error
            _answer(batch, outcome)
        if connection is not None:
            connection.close()

    def _next_batch(self) -> tuple[list[_Write], bool]:
        """Wait for one write and take along everything that is due already."""
        batch: list[_Write] = []
        item = self._queue.get()
        while item is not None:
            batch.append(item)
            if len(batch) >= _LARGEST_BATCH:
                return batch, False
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True


def _insert(connection: sqlite3.Connection, batch: Sequence[_Write]) -> list[list[RecordedReply]]:
    now = time.time()
    held: list[list[RecordedReply]] = []
    connection.execute("BEGIN IMMEDIATE")
    try:
        for write in batch:
            request = write.request
            connection.execute(
                "INSERT OR IGNORE INTO requests VALUES (?, ?)", (request.key, request.canonical)
            )
            new = connection.executemany(_INSERT, [_row(request, r, now) for r in write.replies])
            if new.rowcount == len(write.replies):
                held.append(list(write.replies))
            else:
                stored = connection.execute(_SELECT, (request.key, request.draw))
                wanted = {reply.choice for reply in write.replies}
                rows = [RecordedReply(*row) for row in stored]
                held.append([reply for reply in rows if reply.choice in wanted])
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return held


def _row(request: ResolvedRequest, reply: RecordedReply, now: float) -> tuple[Any, ...]:
    return (
        request.key,
        request.draw,
        reply.choice,
        request.stage,
        request.benchmark,
        request.model,
        reply.text,
        reply.finish_reason,
        reply.prompt_tokens,
        reply.completion_tokens,
        reply.seconds,
        now,
    )


def _answer(batch: Sequence[_Write], outcome: list[list[RecordedReply]] | Exception) -> None:
    """Settle the futures of a batch, each loop woken once."""
    loops = {write.done.get_loop() for write in batch}
    for loop in loops:
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, loop, batch, outcome)


def _settle(
    loop: asyncio.AbstractEventLoop,
    batch: Sequence[_Write],
    outcome: list[list[RecordedReply]] | Exception,
) -> None:
    for index, write in enumerate(batch):
        if write.done.get_loop() is not loop or write.done.done():
            continue
        if isinstance(outcome, Exception):
            write.done.set_exception(outcome)
        else:
            write.done.set_result(outcome[index])
