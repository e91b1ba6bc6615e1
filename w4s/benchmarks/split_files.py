"""The files of a benchmark's splits: one JSONL a split and a manifest with their hashes.

Decides nothing about which problem goes where.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from w4s.errors import DataError, LeakError
from w4s.types import Problem

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
SplitName = Literal["private", "public", "test"]
ValidationName = Literal["private", "public"]
ProblemT = TypeVar("ProblemT", bound=Problem)
REMEDY = "Delete the folder and prepare the splits again (`w4s prepare`)."


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SplitRecord(_Record):
    """Size and content hash of one split's file."""

    size: int = Field(ge=1)
    sha256: str


class SimilarRecord(_Record):
    """Two problems of different splits that are nearly the same question."""

    ids: list[str]
    splits: list[str]
    similarity: float


class Manifest(_Record):
    """What the folder of a benchmark's splits holds. `similar` lists the most alike pairs."""

    schema_version: int
    benchmark: str
    version: str
    seed: int
    splits: dict[SplitName, SplitRecord]
    validation_sha256: str
    similar_pairs: int
    similar: list[SimilarRecord]


class _Row(_Record):
    id: str
    benchmark: str
    question: str
    answer: str
    data: dict[str, Any]


def split_folder(folder: Path, benchmark: str) -> Path:
    """Return where the splits of `benchmark` lie under `folder`."""
    return folder / benchmark.replace(":", "-").replace("/", "-")


def rows_to_bytes(problems: Iterable[Problem]) -> bytes:
    """Return the problems as JSON lines, keys sorted, so that equal problems have equal bytes."""
    rows = [
        {
            "id": problem.id,
            "benchmark": problem.benchmark,
            "question": problem.question,
            "answer": problem.answer,
            "data": problem.data,
        }
        for problem in problems
    ]
    lines = (json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in rows)
    return "".join(lines).encode("utf-8", errors="surrogatepass")


def sha256_of(data: bytes) -> str:
    """Return the hexadecimal SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def load_manifest(folder: Path, benchmark: str) -> Manifest:
    """Read and check the manifest of `benchmark`.

    Raises DataError where it is missing, unreadable, or of another schema version.
    """
    path = split_folder(folder, benchmark) / MANIFEST
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        message = f"{path}: no splits of {benchmark!r} here. Prepare them first (`w4s prepare`)."
        raise DataError(message) from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}. {REMEDY}") from error
    found = loaded.get("schema_version") if isinstance(loaded, dict) else None
    if found != SCHEMA_VERSION:
        raise DataError(
            f"{path}: schema version {found!r}; this program reads {SCHEMA_VERSION}. {REMEDY}"
        )
    try:
        manifest = Manifest.model_validate(loaded)
    except ValidationError as error:
        raise DataError(f"{path}: {_first_error(error)}. {REMEDY}") from error
    if manifest.benchmark != benchmark:
        raise DataError(f"{path}: is of {manifest.benchmark!r}, not of {benchmark!r}. {REMEDY}")
    return manifest


def load_split(
    folder: Path, manifest: Manifest, split: ValidationName, *, kind: type[ProblemT]
) -> tuple[ProblemT, ...]:
    """Read a validation split as problems of class `kind`, checked against the manifest.

    Raises DataError naming the file where it is missing or was changed, and LeakError for the
    held-out split, which `w4s.benchmarks.held_out` alone opens.
    """
    if split not in ("private", "public"):
        raise LeakError(f"{manifest.benchmark}: split {split!r} was asked for as validation data.")
    path = split_folder(folder, manifest.benchmark) / f"{split}.jsonl"
    return read_problems(path, manifest.splits.get(split), kind=kind)


def read_problems(
    path: Path, record: SplitRecord | None, *, kind: type[ProblemT]
) -> tuple[ProblemT, ...]:
    """Read the problems of a split's file, checked against its record in the manifest.

    Raises DataError naming the file where it is missing or was changed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}. {REMEDY}") from error
    if record is None or sha256_of(data) != record.sha256:
        due = record.sha256[:12] if record else "none"
        raise DataError(
            f"{path}: was changed since it was prepared "
            f"(SHA-256 {sha256_of(data)[:12]}…, the manifest says {due}…). {REMEDY}"
        )
    lines = data.decode("utf-8", errors="surrogatepass").split("\n")
    rows = [_parse(path, number, line) for number, line in enumerate(lines, 1) if line]
    if len(rows) != record.size:
        raise DataError(f"{path}: {len(rows)} rows, the manifest says {record.size}. {REMEDY}")
    return tuple(kind(**row.model_dump()) for row in rows)


def _parse(path: Path, number: int, line: str) -> _Row:
    try:
        return _Row.model_validate(json.loads(line))
    except ValidationError as error:
        raise DataError(f"{path}:{number}: {_first_error(error)}. {REMEDY}") from error
    except ValueError as error:
        raise DataError(f"{path}:{number}: not JSON: {error}. {REMEDY}") from error


def _first_error(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
