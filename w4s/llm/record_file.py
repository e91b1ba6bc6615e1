"""The file of a record: its tables, and opening it with a check that it is one."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from w4s.errors import DataError

APPLICATION_ID = 0x57345331  # "W4S1"
SCHEMA_VERSION = 1
_BUSY_SECONDS = 60.0

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
        raise damaged(path, error) from error
    except BaseException:
        if connection is not None:
            connection.close()
        raise
    return connection


def damaged(path: Path, error: Exception) -> DataError:
    """Return what to tell of a record that SQLite cannot read."""
    return DataError(
        f"{path}: the record of calls cannot be read: {error}. "
        "Restore it from a copy, or move it away to start a new one."
    )


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
