"""The folder that a run writes: where each thing lies, and who holds it.

Knows paths only; what the files hold is the business of the stages.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from w4s.errors import W4SError


class WorkspaceBusy(W4SError):
    """Another process works in the workspace."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """Paths below one absolute folder. Most properties are one stage's output.

    The cache is that of `shared`, where given: a variant of a run finds what the run computed.
    """

    root: Path
    shared: Path | None = None

    @property
    def splits(self) -> Path:
        """Folder of the split files (prepare)."""
        return self.root / "splits"

    @property
    def warm_start(self) -> Path:
        """Folder of the adapter that cloning made (warm start)."""
        return self.root / "warm_start"

    @property
    def trajectories(self) -> Path:
        """Folder of `trajectories.jsonl` and its summary (collect)."""
        return self.root / "trajectories"

    @property
    def adapters(self) -> Path:
        """Folder with one adapter folder for each objective (train)."""
        return self.root / "adapters"

    @property
    def training(self) -> Path:
        """Folder of the trainings' figures (train)."""
        return self.root / "training"

    @property
    def searches(self) -> Path:
        """Folder of the searches' results and learning curves (search)."""
        return self.root / "searches"

    @property
    def results(self) -> Path:
        """Folder of the final table and the best workflows (evaluate)."""
        return self.root / "results"

    @property
    def record(self) -> Path:
        """Folder of the models' replies, written to while a command runs."""
        return self.root / "record"

    @property
    def replies(self) -> Path:
        """Folder of a copy of `record` that lies still (replies)."""
        return self.root / "replies"

    @property
    def report(self) -> Path:
        """Folder of the page about the run (report)."""
        return self.root / "report"

    @property
    def cache(self) -> Path:
        """Folder of the tasks' results; may be deleted at the price of time."""
        return (self.shared or self.root) / ".cache" / "tasks"

    @property
    def replayed(self) -> Path:
        """Folder of the results of tasks that were replayed from the record."""
        return self.root / ".cache" / "replayed"

    @property
    def made(self) -> Path:
        """Folder of what was made besides tasks' results (adapters, pictures), by cache key."""
        return (self.shared or self.root) / ".cache" / "made"

    def refuse_if_held(self) -> None:
        """Raise WorkspaceBusy where another process holds the workspace; takes no hold itself."""
        lock = self.root / ".lock"
        if not lock.exists():
            return
        with lock.open("rb") as stream:
            _take(stream, self.root)

    @contextmanager
    def held(self, command: str) -> Iterator[None]:
        """Hold the workspace for this process; the system lets go of it when the process dies.

        Raises WorkspaceBusy naming the process that holds it.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("a+", encoding="utf-8") as stream:
            _take(stream, self.root)
            stream.truncate(0)
            stream.write(json.dumps({"pid": os.getpid(), "command": command}))
            stream.flush()
            try:
                yield
            finally:
                stream.truncate(0)


def _take(stream: IO[Any], root: Path) -> None:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise WorkspaceBusy(_busy(root, stream.name)) from error


def _busy(root: Path, lock: str) -> str:
    text = Path(lock).read_text(encoding="utf-8")
    try:
        owner = json.loads(text)
        who = f"process {owner['pid']} (w4s {owner['command']})"
    except (ValueError, KeyError, TypeError):
        who = "another process"  # caught between taking the lock and signing it
    return (
        f"{root}: {who} works in this folder. Wait for it or stop it, then try again; "
        "or name another folder with --set workspace=FOLDER."
    )
