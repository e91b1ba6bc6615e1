"""List, measure and prune what the record holds: the functions behind `w4s calls`."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w4s.config import Price
from w4s.llm.record_file import connect
from w4s.llm.totals import Group, cost_usd
from w4s.types import Usage

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls are meant; None means any.

    `draw` is the beginning of a draw's address; `before` a Unix time: older calls are meant.
    """

    stage: str | None = None
    benchmark: str | None = None
    model: str | None = None
    endpoint: str | None = None
    draw: str | None = None
    before: float | None = None


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One recorded text, with the last message that it answers. `created` is a Unix time."""

    key: str
    draw: str
    choice: int
    group: Group
    question: str
    text: str
    finish_reason: str
    usage: Usage
    seconds: float
    created: float


@dataclass(frozen=True, slots=True)
class GroupCost:
    """What one stage asked of one model for one benchmark. `usd` None: its price is not known."""

    group: Group
    usage: Usage
    usd: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class RecordFacts:
    """What a record holds altogether. `size_bytes` is that of its file."""

    size_bytes: int
    requests: int
    replies: int
    failures: int
    endpoints: tuple[str, ...]


def describe_record(path: Path) -> RecordFacts:
    """Return the size of a record and how much it holds. Raises DataError."""
    with closing(connect(path, readonly=True)) as connection:

        def count(table: str) -> int:
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

        names = connection.execute("SELECT DISTINCT endpoint FROM replies ORDER BY 1").fetchall()
        return RecordFacts(
            size_bytes=path.stat().st_size,
            requests=count("requests"),
            replies=count("replies"),
            failures=count("failures"),
            endpoints=tuple(name or "unknown" for (name,) in names),
        )


def list_calls(path: Path, chosen: CallFilter, *, most: int = 50) -> list[RecordedCall]:
    """Return the newest recorded calls. Raises DataError where the record cannot be read."""
    where, values = _where(chosen)
    query = (
        "SELECT key, draw, choice, stage, benchmark, model, q.request, text, finish_reason,"
        " prompt_tokens, completion_tokens, seconds, created"
        f" FROM replies JOIN requests q USING (key) {where}"
        " ORDER BY created DESC, draw, choice LIMIT ?"
    )
    with closing(connect(path, readonly=True)) as connection:
        rows = connection.execute(query, (*values, most)).fetchall()
    return [
        RecordedCall(
            key=row[0],
            draw=row[1],
            choice=row[2],
            group=Group(row[3], row[4], row[5]),
            question=_last_message(row[6]),
            text=row[7],
            finish_reason=row[8],
            usage=Usage(1, row[9], row[10]),
            seconds=row[11],
            created=row[12],
        )
        for row in rows
    ]


def measure_calls(
    path: Path, chosen: CallFilter, *, prices: Mapping[str, Price]
) -> list[GroupCost]:
    """Return calls, tokens, USD and seconds by stage, benchmark and model."""
    where, values = _where(chosen)
    query = (
        "SELECT stage, benchmark, model, count(*), sum(prompt_tokens), sum(completion_tokens),"
        f" sum(seconds) FROM replies {where} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    with closing(connect(path, readonly=True)) as connection:
        rows = connection.execute(query, values).fetchall()
    costs = []
    for stage, benchmark, model, calls, prompt, completion, seconds in rows:
        usage = Usage(calls, prompt, completion)
        group = Group(stage, benchmark, model)
        costs.append(GroupCost(group, usage, cost_usd(usage, prices.get(model)), seconds))
    return costs


def prune_calls(path: Path, chosen: CallFilter) -> int:
    """Delete the chosen calls, give the space back, and return how many there were.

    A run that needs them again pays for them again. Other processes may write meanwhile: each
    deletes or adds whole calls. The space is given back only where nobody else is at work.
    """
    where, values = _where(chosen)
    with closing(connect(path, readonly=True)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            deleted = connection.execute(f"DELETE FROM replies {where}", values).rowcount
            connection.execute(f"DELETE FROM failures {where}", values)
            connection.execute(
                "DELETE FROM requests WHERE key NOT IN"
                " (SELECT key FROM replies UNION SELECT key FROM failures)"
            )
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        _give_space_back(connection, path)
    return deleted


def _give_space_back(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA busy_timeout = 2000")
    try:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.OperationalError as error:
        logger.warning("%s: in use, so it keeps its size for now (%s)", path, error)


def _where(chosen: CallFilter) -> tuple[str, tuple[Any, ...]]:
    clauses: list[str] = []
    values: list[Any] = []
    for column in ("stage", "benchmark", "model", "endpoint"):
        value = getattr(chosen, column)
        if value is not None:
            clauses.append(f"{column} = ?")
            values.append(value)
    if chosen.draw is not None:
        clauses.append("substr(draw, 1, length(?)) = ?")
        values += [chosen.draw, chosen.draw]
    if chosen.before is not None:
        clauses.append("created < ?")
        values.append(chosen.before)
    return ("WHERE " + " AND ".join(clauses) if clauses else ""), tuple(values)


def _last_message(canonical: str) -> str:
    messages = json.loads(canonical)["messages"]
    return str(messages[-1][1]) if messages else ""
