"""The record: every reply of the executor, durable before anybody sees it.

One SQLite file, safe for several processes. It holds requests and replies, never a key or an
address with one. Listing, measuring and pruning are in `w4s.llm.calls`.
"""

from __future__ import annotations

import asyncio
import contextlib
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

from w4s.llm.record_file import UNKNOWN_ENDPOINT, connect, damaged, writing
from w4s.llm.record_rows import RecordedReply, address, group, insert, read
from w4s.llm.request import ResolvedRequest

__all__ = ["NearRequest", "Record", "RecordedReply"]

_GATHER_SECONDS = 0.002  # replies of this time share a flush and a switch of threads


@dataclass(frozen=True, slots=True)
class NearRequest:
    """A recorded request in canonical form, and where its reply is from."""

    canonical: str
    endpoint: str
    draw: str


@dataclass(frozen=True, slots=True)
class _Write:
    request: ResolvedRequest
    replies: Sequence[RecordedReply]
    done: asyncio.Future[list[RecordedReply]]


class Record:
    """Reads replies, and writes them in groups: one flush to disk serves many replies.

    Use it as a context manager, within one event loop. `write` returns when the replies are on
    the disk.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = connect(path)
        self._due: list[_Write] = []
        self._queue: queue.SimpleQueue[list[_Write] | None] = queue.SimpleQueue()
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
        """Write what is due and fold the log into the one file. Does nothing the second time.

        Raises DataError where the disk refuses the folding; nothing is lost then.
        """
        if self._closed:
            return
        self._closed = True
        self._hand_over()
        self._queue.put(None)
        self._thread.join()
        try:
            with writing(self.path):
                self._reader.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self._reader.close()

    def read(self, request: ResolvedRequest) -> list[RecordedReply]:
        """Return the recorded texts of a request's draw, in order of choice.

        Raises DataError where the file is damaged.
        """
        try:
            return read(self._reader, request)
        except sqlite3.DatabaseError as error:
            raise damaged(self.path, error) from error

    async def write(
        self, request: ResolvedRequest, replies: Sequence[RecordedReply]
    ) -> list[RecordedReply]:
        """Record replies and return, when they are durable, what the record now holds.

        That differs from `replies` where another process recorded the same draw first. Where
        it is cancelled, it ends when they are durable.
        Raises DataError where the disk refuses, RuntimeError after `close`.
        """
        if self._closed:  # nobody would answer
            raise RuntimeError(f"{self.path}: the record is closed")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[list[RecordedReply]] = loop.create_future()
        self._due.append(_Write(request, replies, done))
        if len(self._due) == 1:
            loop.call_later(_GATHER_SECONDS, self._hand_over)
        with writing(self.path):
            try:
                return await asyncio.shield(done)
            except asyncio.CancelledError:
                await asyncio.wait([done])
                raise

    def _hand_over(self) -> None:
        due, self._due = self._due, []
        if due:
            self._queue.put(due)

    def fact(self, name: str) -> Any:
        """Return what was found out once about an endpoint (a JSON value), or None."""
        row = self._reader.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def remember(self, name: str, value: Any) -> None:
        """Keep a JSON value under `name`. Raises DataError where the disk refuses."""
        row = (name, json.dumps(value, sort_keys=True))
        with writing(self.path):
            self._reader.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", row)

    # ------------------------------------------------------------ for replays

    def endpoints(self, model: str) -> list[str]:
        """Return the names of the endpoints whose replies of `model` are recorded."""
        query = (
            "SELECT endpoint FROM replies WHERE model = ?1"
            " UNION SELECT endpoint FROM failures WHERE model = ?1 ORDER BY 1"
        )
        return [row[0] for row in self._reader.execute(query, (model,))]

    def adopt(self, endpoint: str, *, model: str) -> None:
        """Take what is recorded of `model` without an endpoint for replies of `endpoint`."""
        if UNKNOWN_ENDPOINT in self.endpoints(model):
            with writing(self.path):
                self._reader.execute(
                    "UPDATE OR IGNORE replies SET endpoint = ? WHERE endpoint = ? AND model = ?",
                    (endpoint, UNKNOWN_ENDPOINT, model),
                )

    def note_failure(self, request: ResolvedRequest, text: str) -> None:
        """Keep that a request's draw got no reply, so that a replay meets the same failure.

        Raises DataError where the disk refuses.
        """
        with writing(self.path):
            self._reader.execute(
                "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*address(request), *group(request), text, time.time()),
            )
            self._reader.execute(
                "INSERT OR IGNORE INTO requests VALUES (?, ?)", (request.key, request.canonical)
            )

    def failure(self, request: ResolvedRequest) -> str | None:
        """Return why a request's draw got no reply, or None where that is not recorded."""
        query = "SELECT text FROM failures WHERE key = ? AND endpoint = ? AND draw = ?"
        row = self._reader.execute(query, address(request)).fetchone()
        return None if row is None else str(row[0])

    def requests_near(self, request: ResolvedRequest, *, most: int = 2000) -> list[NearRequest]:
        """Return what to compare a missing request with: its own other draws first."""
        rows = self._reader.execute(
            "SELECT q.request, r.endpoint, r.draw FROM replies r JOIN requests q USING (key)"
            " WHERE (r.stage = ? AND r.benchmark = ?) OR r.key = ?"
            " ORDER BY r.key = ? DESC, r.draw = ? DESC LIMIT ?",
            (request.stage, request.benchmark, *[request.key] * 2, request.draw, most),
        ).fetchall()
        return [NearRequest(*row) for row in rows]

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
                outcome: list[list[RecordedReply]] | Exception = insert(connection, batch)
            except Exception as error:  # noqa: BLE001  # handed on to whoever waits for the write
                outcome = error
            _answer(batch, outcome)
        if connection is not None:
            connection.close()

    def _next_batch(self) -> tuple[list[_Write], bool]:
        """Wait for what is due; take along what became due meanwhile. True is the end."""
        batch: list[_Write] = []
        item = self._queue.get()
        while item is not None:
            batch += item
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True


def _answer(batch: Sequence[_Write], outcome: list[list[RecordedReply]] | Exception) -> None:
    """Settle the futures of a batch, each loop woken once."""
    loops = {write.done.get_loop() for write in batch}
    for loop in loops:
        with contextlib.suppress(RuntimeError):  # it is closed, and nobody waits any more
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
