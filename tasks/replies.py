"""A copy of the record that lies still, for DVC: taken when a run is over, put back where needed.

The record itself grows while a command runs and is no output of any stage.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tasks.workspace import Workspace
from w4s.errors import DataError
from w4s.files import atomic_folder, atomic_write_bytes
from w4s.llm.open import record_path, refuse_without_record

_FILES = "*.sqlite"


def copy_record(workspace: Workspace) -> list[Path]:
    """Write a whole, compact copy of every file of the record; return the copies.

    Raises DataError where a file is damaged.
    """
    with atomic_folder(workspace.replies) as folder:
        for file in sorted(workspace.record.glob(_FILES)):
            try:
                with closing(sqlite3.connect(file)) as connection:
                    connection.execute("VACUUM INTO ?", (str(folder / file.name),))
            except sqlite3.DatabaseError as error:
                raise DataError(
                    f"{file}: cannot be copied ({error}). Is the disk full, or the file damaged?"
                ) from error
    return sorted(workspace.replies.glob(_FILES))


def restore_record(workspace: Workspace) -> list[Path]:
    """Put back the files that the record lacks, as after `dvc pull`; return them.

    A file that is there is left as it is: it may hold more than the copy.
    """
    missing = [
        workspace.record / copy.name
        for copy in sorted(workspace.replies.glob(_FILES))
        if not (workspace.record / copy.name).exists()
    ]
    for target in missing:
        atomic_write_bytes(target, (workspace.replies / target.name).read_bytes())
    return missing


def require_record(workspace: Workspace) -> None:
    """Put the record back where it is missing; raise ReplayError where there is none to replay."""
    restore_record(workspace)
    refuse_without_record(record_path(workspace.root))
