"""The record's copy: whole while the record is in use, and put back only where nothing is."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tasks.replies import copy_record, restore_record
from tasks.workspace import Workspace
from w4s.errors import DataError


def write(file: Path, *rows: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE IF NOT EXISTS replies (text)")
        connection.executemany("INSERT INTO replies VALUES (?)", [(row,) for row in rows])
        connection.commit()


def read(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [row[0] for row in connection.execute("SELECT text FROM replies")]


def test_a_copy_is_whole_although_the_record_is_open(tmp_path: Path) -> None:
    """Replies that are still in the write-ahead log are in the one file of the copy."""
    workspace = Workspace(tmp_path)
    record = workspace.record / "executor.sqlite"
    write(record, "a")
    with closing(sqlite3.connect(record)) as open_elsewhere:
        open_elsewhere.execute("INSERT INTO replies VALUES ('b')")
        open_elsewhere.commit()
        (copy,) = copy_record(workspace)
        assert read(copy) == ["a", "b"]
    assert [file.name for file in workspace.replies.iterdir()] == ["executor.sqlite"]


def test_the_same_replies_give_the_same_copy(tmp_path: Path) -> None:
    """DVC sees no change where nothing was asked."""
    workspace = Workspace(tmp_path)
    write(workspace.record / "executor.sqlite", "a")
    first = copy_record(workspace)[0].read_bytes()
    assert copy_record(workspace)[0].read_bytes() == first


def test_what_is_missing_is_put_back_and_nothing_else(tmp_path: Path) -> None:
    """As after `dvc pull`; a record that has grown is never replaced by its older copy."""
    workspace = Workspace(tmp_path)
    write(workspace.record / "executor.sqlite", "a")
    write(workspace.record / "policy.sqlite", "p")
    copy_record(workspace)
    write(workspace.record / "executor.sqlite", "b")
    (workspace.record / "policy.sqlite").unlink()
    assert restore_record(workspace) == [workspace.record / "policy.sqlite"]
    assert read(workspace.record / "policy.sqlite") == ["p"]
    assert read(workspace.record / "executor.sqlite") == ["a", "b"]
    assert restore_record(Workspace(tmp_path / "empty")) == []


def test_a_damaged_record_is_a_message(tmp_path: Path) -> None:
    """With the file's name; the old copy stays."""
    workspace = Workspace(tmp_path)
    write(workspace.record / "executor.sqlite", "a")
    copy_record(workspace)
    (workspace.record / "executor.sqlite").write_bytes(b"SQLite format 3\0" + b"x" * 4096)
    with pytest.raises(DataError, match=r"executor\.sqlite: cannot be copied"):
        copy_record(workspace)
    assert read(workspace.replies / "executor.sqlite") == ["a"]
