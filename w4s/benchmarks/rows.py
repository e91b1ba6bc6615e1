"""Read the rows of a data set: from its home on the Hugging Face hub, or from a local folder.

Gives rows as they are; what a row means is each benchmark's own business. `datasets` is
imported only when the hub is asked, `pyarrow` for a Parquet file.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from w4s.errors import DataError

MAX_FIELD_BYTES = 16 * 1024 * 1024
SUFFIXES = (".jsonl", ".csv", ".parquet")
DELIMITERS = ",;\t"
_TRIED_ROWS = 20
_NAMED_DELIMITER = re.compile(r"sep=(.)\r?\n")  # a first line that spreadsheets write
LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """Where rows live. `file` is the path in a local folder, without the suffix; "" where none is
    looked for.

    `hub`, `config`, `split` and `revision` are what `datasets.load_dataset` is asked for.
    """

    file: str
    hub: str
    split: str
    revision: str
    config: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row with the place that an error message names, such as `test.jsonl:12`."""

    place: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a source, and a text that changes when they do."""

    rows: tuple[Row, ...]
    version: str


def read_source(source: Source, *, data_dir: Path | None) -> Table:
    """Return the rows of `source`: from `data_dir` where given, else from the hub.

    Raises DataError where they cannot be had, saying what to do.
    """
    if data_dir is None:
        return _from_hub(source)
    for suffix in SUFFIXES:
        path = data_dir / f"{source.file}{suffix}"
        if path.exists():
            return read_file(path)
    config = f"configuration {source.config}, " if source.config else ""
    raise DataError(
        f"{data_dir / source.file}.jsonl: no such file (nor .csv, nor .parquet). Put the rows of "
        f"{source.hub} ({config}split {source.split}) there, or set benchmarks.data_dir to null "
        "to load them from the hub."
    )


def read_file(path: Path) -> Table:
    """Return the rows of a JSONL, CSV or Parquet file.

    Raises DataError naming the file, the bad lines and how many there are.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(
            f"{path}: suffix {path.suffix!r}; a .jsonl, .csv or .parquet file is due. "
            "Save or export it so."
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}. Check the path.") from error
    if suffix == ".parquet":
        rows = _parquet(path, data)
    else:
        text = _text(path, data)
        rows = _csv(path, text) if suffix == ".csv" else _jsonl(path, text)
    if not rows:
        raise DataError(f"{path}: holds no rows. JSONL, CSV with a header, or Parquet is due.")
    return Table(rows, hashlib.sha256(data).hexdigest()[:16])


def refuse_bad_rows(name: str, problems: list[str], *, total: int) -> None:
    """Raise DataError listing what is wrong with the rows of `name`, where anything is.

    What is wrong with all rows alike, such as a missing column, is told once.
    """
    if problems:
        reasons = {problem.partition(": ")[2] for problem in problems}
        most = 1 if len(reasons) == 1 and len(problems) == total else 10
        shown = "\n  ".join(problems[:most])
        more = f"\n  … and {len(problems) - most} more" if len(problems) > most else ""
        raise DataError(f"{name}: {len(problems)} of {total} rows are bad:\n  {shown}{more}")


def _text(path: Path, data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: not UTF-8 text. Save it as UTF-8.") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{path}:{line}: holds a NUL byte: no text. Save it as plain UTF-8 text.")
    return text


def _parquet(path: Path, data: bytes) -> tuple[Row, ...]:
    """Read Parquet, the form that the hub keeps and gives."""
    import pyarrow
    import pyarrow.parquet

    try:
        rows = pyarrow.parquet.read_table(pyarrow.BufferReader(data)).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        said = " ".join(str(error).split())  # Arrow's messages have several lines
        raise DataError(f"{path}: cannot be read as Parquet: {said} Fetch it again.") from error
    return tuple(Row(f"{path.name}:{number}", values) for number, values in enumerate(rows, 1))


def _jsonl(path: Path, text: str) -> tuple[Row, ...]:
    if text.lstrip().startswith("["):
        raise DataError(f"{path}: begins with a list; JSONL is one JSON object a line.")
    rows: list[Row] = []
    bad: list[str] = []
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    for number, line in lines:
        try:
            value = json.loads(line)
        except ValueError as error:
            bad.append(f"line {number}: not JSON: {error}")
            continue
        if isinstance(value, dict):
            rows.append(Row(f"{path.name}:{number}", value))
        else:
            bad.append(f"line {number}: a {type(value).__name__}; a JSON object is due")
    refuse_bad_rows(str(path), bad, total=len(lines))
    return tuple(rows)


def _csv(path: Path, text: str) -> tuple[Row, ...]:
    """Read CSV. A row's place is the line that it begins on: quoted fields may hold line breaks."""
    csv.field_size_limit(MAX_FIELD_BYTES)
    # not splitlines(): it breaks at characters that CSV knows nothing of
    said = _NAMED_DELIMITER.match(text)
    body = text[said.end() :] if said else text
    reader = _reader(body, said[1] if said else _delimiter(body))
    header: list[str] = []
    rows: list[Row] = []
    bad: list[str] = []
    above = start = 1 if said else 0
    try:
        for fields in reader:
            line, start = start + 1, above + reader.line_num
            if not any(field.strip() for field in fields):
                continue
            if not header:
                header = _header(path, fields)
            elif len(fields) != len(header):
                count = f"{len(fields)} fields, not the {len(header)} fields of the header"
                bad.append(f"line {line}: {count} (one that holds the separator needs quotes)")
            else:
                named = {name: text for name, text in zip(header, fields, strict=True) if name}
                rows.append(Row(f"{path.name}:{line}", named))
    except csv.Error as error:
        bad.append(f"line {start + 1}: the row that begins here cannot be read: {error}")
    refuse_bad_rows(str(path), bad, total=len(rows) + len(bad))
    return tuple(rows)


def _header(path: Path, fields: list[str]) -> list[str]:
    names = [field.strip() for field in fields]
    named = [name for name in names if name]  # spreadsheets write empty columns too
    if len(set(named)) < len(named):
        raise DataError(f"{path}:1: the header names a column twice: {', '.join(names)}.")
    return names


def _reader(text: str, delimiter: str) -> Any:
    return csv.reader(
        io.StringIO(text, newline=""), strict=True, delimiter=delimiter, skipinitialspace=True
    )


def _delimiter(text: str) -> str:
    """Return what separates the columns: spreadsheets of many countries write semicolons.

    That which gives the first rows as many fields as the header, more than one if any does.
    """

    def fit(delimiter: str) -> tuple[int, int]:
        widths: list[int] = []
        with suppress(csv.Error):  # what was read before it counts
            for fields in islice(filter(any, _reader(text, delimiter)), _TRIED_ROWS):
                widths.append(len(fields))
        header = widths[0] if widths else 0
        return widths.count(header) if header > 1 else 0, header

    return max(DELIMITERS, key=fit)


def _from_hub(source: Source) -> Table:
    import datasets

    LOGGER.info("loading %s (%s) from the hub", source.hub, source.split)
    try:
        loaded = datasets.load_dataset(
            source.hub, source.config, split=source.split, revision=source.revision
        )
    except Exception as error:  # the hub's client raises dozens of classes
        raise DataError(
            f"{source.hub}: cannot be loaded from the hub: {type(error).__name__}: {error!s:.300}. "
            f"Check the network (and the access rights of a gated data set), or {_offline(source)}."
        ) from error
    rows = tuple(
        Row(f"{source.hub}/{source.split}:{number}", dict(values))
        for number, values in enumerate(loaded, 1)
    )
    return Table(rows, f"{source.hub}@{source.revision[:12]}")


def _offline(source: Source) -> str:
    if not source.file:
        return "save the rows as a .jsonl or .csv file and name that as the task's data"
    return f"set benchmarks.data_dir to a folder that holds {source.file}.jsonl"
