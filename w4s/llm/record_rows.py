"""The rows of a record: replies as they are read and inserted, many at a time.

Knows nothing of threads and files.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

from w4s.llm.request import ResolvedRequest

_ROWS = (64, 16, 4, 1)  # of one statement: each one is a switch of threads
_SELECT = (
    "SELECT choice, text, finish_reason, prompt_tokens, completion_tokens, seconds"
    " FROM replies WHERE key = ? AND endpoint = ? AND draw = ? ORDER BY choice"
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


class Written(Protocol):
    """Replies to be recorded."""

    @property
    def request(self) -> ResolvedRequest:
        """What they answer."""
        ...

    @property
    def replies(self) -> Sequence[RecordedReply]:
        """Some or all of its choices."""
        ...


def read(connection: sqlite3.Connection, request: ResolvedRequest) -> list[RecordedReply]:
    """Return the recorded texts of a request's draw, in order of choice. Raises sqlite3.Error."""
    return [RecordedReply(*row) for row in connection.execute(_SELECT, address(request))]


def insert(connection: sqlite3.Connection, batch: Sequence[Written]) -> list[list[RecordedReply]]:
    """Record replies in one transaction; return what the record then holds of those choices.

    Raises sqlite3.Error and OverflowError; nothing of the batch is recorded then.
    """
    now = time.time()
    requests = [(write.request.key, write.request.canonical) for write in batch]
    rows = [_row(write.request, reply, now) for write in batch for reply in write.replies]
    connection.execute("BEGIN IMMEDIATE")
    try:
        _insert_rows(connection, "requests", requests)
        if _insert_rows(connection, "replies", rows) == len(rows):
            held = [list(write.replies) for write in batch]
        else:
            held = [_held(connection, write) for write in batch]
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return held


def _insert_rows(
    connection: sqlite3.Connection, table: str, rows: Sequence[tuple[Any, ...]]
) -> int:
    """Insert the rows whose key is new, many with each statement; return how many those are."""
    inserted = start = 0
    while start < len(rows):
        count = next(size for size in _ROWS if size <= len(rows) - start)
        some = rows[start : start + count]
        row = f"({','.join('?' * len(some[0]))})"
        statement = f"INSERT OR IGNORE INTO {table} VALUES {','.join([row] * count)}"
        inserted += connection.execute(statement, list(chain.from_iterable(some))).rowcount
        start += count
    return inserted


def _held(connection: sqlite3.Connection, write: Written) -> list[RecordedReply]:
    """Return what the record holds of the choices that were to be written."""
    wanted = {reply.choice for reply in write.replies}
    return [reply for reply in read(connection, write.request) if reply.choice in wanted]


def address(request: ResolvedRequest) -> tuple[str, str, str]:
    """Return the columns that find a request's replies."""
    return request.key, request.endpoint, request.draw


def group(request: ResolvedRequest) -> tuple[str, str, str]:
    """Return the columns that replies are counted by."""
    return request.stage, request.benchmark, request.model


def _row(request: ResolvedRequest, reply: RecordedReply, now: float) -> tuple[Any, ...]:
    return (
        *address(request),
        reply.choice,
        *group(request),
        reply.text,
        reply.finish_reason,
        reply.prompt_tokens,
        reply.completion_tokens,
        reply.seconds,
        now,
    )
