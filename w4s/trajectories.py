"""Trajectories on disk: JSON lines with a schema version, validated when read back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from w4s.errors import DataError
from w4s.files import atomic_write_text
from w4s.types import Trajectory

SCHEMA_VERSION = 1
_ADAPTER = TypeAdapter(Trajectory)


def write_trajectories(path: Path, trajectories: Iterable[Trajectory]) -> None:
    """Write one line a trajectory, whole or not at all."""
    lines = [json.dumps(to_json(t), ensure_ascii=False, sort_keys=True) for t in trajectories]
    atomic_write_text(path, "".join(line + "\n" for line in lines))


def read_trajectories(path: Path) -> list[Trajectory]:
    """Read trajectories back. Raises DataError naming file and line of the first bad one."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path}: trajectories cannot be read ({error}). Run `w4s collect` first."
        raise DataError(message) from error
    rows = [(n, line) for n, line in enumerate(text.split("\n"), start=1) if line.strip()]
    return [_parse(path, number, line) for number, line in rows]


def to_json(trajectory: Trajectory) -> dict[str, Any]:
    """Return a trajectory as JSON values, with its schema version."""
    return {"schema_version": SCHEMA_VERSION, **_ADAPTER.dump_python(trajectory, mode="json")}


def from_json(row: dict[str, Any]) -> Trajectory:
    """Return the trajectory in `row`. Raises ValueError for another schema version or shape."""
    version = row.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ValueError(
            f"schema version {version!r}, this release reads {SCHEMA_VERSION}; collect again"
        )
    return _ADAPTER.validate_python({k: v for k, v in row.items() if k != "schema_version"})


def _parse(path: Path, number: int, line: str) -> Trajectory:
    try:
        row = json.loads(line)
        if not isinstance(row, dict):
            raise ValueError(f"a {type(row).__name__}, not an object")
        return from_json(row)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{path}:{number}: {where}: {first['msg']}") from error
    except ValueError as error:
        raise DataError(f"{path}:{number}: not a trajectory: {error}") from error
