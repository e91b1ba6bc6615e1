"""The file of a record: its tables, and opening it with a check that it is one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from w4s.errors import DataError

APPLICATION_ID = 0x57345331  # "W4S1"
SCHEMA_VERSION = 2
UNKNOWN_ENDPOINT = ""  # of replies that were recorded before version 2, which kept no endpoint
_BUSY_SECONDS = 60.0

_REPLIES = """
CREATE TABLE replies (
    key TEXT NOT NULL,
    endpoint TEXT NOT NULL,
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
    PRIMARY KEY (key, endpoint, draw, choice)
) WITHOUT ROWID;
CREATE INDEX replies_by_group ON replies (stage, benchmark, model);
CREATE INDEX replies_by_draw ON replies (draw);
CREATE TABLE failures (
    key TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    draw TEXT NOT NULL,
    stage TEXT NOT NULL,
    benchmark TEXT NOT NULL,
    model TEXT NOT NULL,
    text TEXT NOT NULL,
    created REAL NOT NULL,
    PRIMARY KEY (key, endpoint, draw)
) WITHOUT ROWID;
"""
_SCHEMA = f"""
CREATE TABLE requests (
    key TEXT PRIMARY KEY,
    request TEXT NOT NULL
) WITHOUT ROWID;
{_REPLIES}
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
"""
_FROM_VERSION_1 = f"""
DROP INDEX replies_by_group;
DROP INDEX replies_by_draw;
ALTER TABLE replies RENAME TO replies_1;
{_REPLIES}
INSERT INTO replies
    SELECT key, CASE model WHEN 'embedded' THEN model ELSE '{UNKNOWN_ENDPOINT}' END,
    draw, choice, stage, benchmark, model, text, finish_reason, prompt_tokens,
    completion_tokens, seconds, created FROM replies_1;
DROP TABLE replies_1;
"""


def connect(path: Path, *, readonly: bool = False) -> sqlite3.Connection:
    """Open a record and check that it is one, making an empty one where there is none.

    A file of version 1 is brought to this one.

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
        raise damaged(path, error) from error
    except BaseException:
        if connection is not None:
            connection.close()
        raise
    return connection


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Make a write that the disk or SQLite refuses a DataError."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise DataError(
            f"{path}: it cannot be written: {error}. "
            "Free some disk space or mend the file, then start again."
        ) from error


def damaged(path: Path, error: Exception) -> DataError:
    """Return what to tell of a record that SQLite cannot read."""
    return DataError(
        f"{path}: the record of calls cannot be read: {error}. "
        "Restore it from a copy, or move it away to start a new one."
    )


def _run(connection: sqlite3.Connection, script: str) -> None:
    """Run the statements of `script` within the transaction, and mark the version they make."""
    for statement in script.split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN IMMEDIATE")  # of two processes at once, one makes the tables
    try:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not tables:
            _run(connection, _SCHEMA)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        elif application != APPLICATION_ID:
            raise DataError(f"{path}: this SQLite file is no record of calls. Move it away.")
        elif version == 1:
            _run(connection, _FROM_VERSION_1)
        elif version != SCHEMA_VERSION:
            raise DataError(
                f"{path}: the record of calls has schema version {version}; this program reads "
                f"version {SCHEMA_VERSION}. Use the program that wrote it, or move the file away."
            )
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
