"""Read the rows of a task of one's own, and find what its scorer could not use.

Each scorer asks something of a row; a row that lacks it is refused here, with its line, before
anything is spent.
"""

from __future__ import annotations

import ast
import json
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from w4s.benchmarks.choices import with_options
from w4s.benchmarks.code_harness import asserts_as_tests
from w4s.benchmarks.numbers import exact_number
from w4s.benchmarks.row_benchmark import BadRowError, Item, ReadRow, column


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of the question and of the reference answer, and how its numbers are written."""

    question: str
    answer: str
    decimal_comma: bool = False


def row_reader(scorer: str, columns: Columns) -> ReadRow:
    """Return the function that reads a row for `scorer`; unknown ones need question and answer."""
    read = ROW_READERS.get(scorer, _plain)
    return lambda row: read(row, columns)


def _plain(row: Mapping[str, Any], columns: Columns) -> Item:
    answer = row.get(columns.answer)
    if isinstance(answer, (dict, list, bool)):
        answer = json.dumps(answer)
    values = {**row, columns.answer: answer}
    return Item(column(values, columns.question), column(values, columns.answer))


def _numeric(row: Mapping[str, Any], columns: Columns) -> Item:
    item = _plain(row, columns)
    if exact_number(item.answer, decimal_comma=columns.decimal_comma) is None:
        form = "1.234,5" if columns.decimal_comma else "1,234.5"
        raise BadRowError(
            f"column {columns.answer!r} is no number: {item.answer[:60]!r} "
            f"(one number without a unit is due, such as {form} or 3/4)"
        )
    return item


def _json(row: Mapping[str, Any], columns: Columns) -> Item:
    item = _plain(row, columns)
    try:
        json.loads(item.answer)
    except ValueError as error:
        raise BadRowError(f"column {columns.answer!r} is no JSON: {error}") from error
    return item


def _choice(row: Mapping[str, Any], columns: Columns) -> Item:
    item = _plain(row, columns)
    answer = item.answer.strip().upper()
    if len(answer) != 1 or answer not in string.ascii_uppercase:
        raise BadRowError(f"column {columns.answer!r} is no letter: {item.answer[:60]!r}")
    if not row.get("options"):
        return Item(item.question, answer)
    options = _list(row, "options")
    if answer not in string.ascii_uppercase[: len(options)]:
        raise BadRowError(f"column {columns.answer!r}: no option {answer} among {len(options)}")
    return Item(with_options(item.question, options), answer, {"options": options})


def _unit_tests(row: Mapping[str, Any], columns: Columns) -> Item:
    entry_point = column(row, "entry_point").strip()
    if not entry_point.isidentifier():
        raise BadRowError(f"column 'entry_point' is no name of a function: {entry_point!r}")
    tests = _asserts(row, "tests")
    public = _asserts(row, "public_tests") if row.get("public_tests") else []
    answer = row.get(columns.answer)
    data = {
        "entry_point": entry_point,
        "preamble": "",
        "prompt": "",
        "tests": asserts_as_tests(tests, entry_point=entry_point).source,
        "public_tests": public,
    }
    reference = str(answer) if answer else "(any code that passes the tests)"
    return Item(column(row, columns.question), reference, data)


def _asserts(row: Mapping[str, Any], name: str) -> list[str]:
    """Return the statements of a column: a list of texts, or one text with a line each."""
    value = row.get(name)
    text = "\n".join(map(str, value)) if isinstance(value, list) else column(row, name)
    try:
        statements = ast.parse(text).body
    except SyntaxError as error:
        raise BadRowError(f"column {name!r} is no Python: {error.msg}") from error
    if not any(isinstance(statement, ast.Assert) for statement in statements):
        raise BadRowError(f"column {name!r} holds no assert statement")
    return [ast.unparse(statement) for statement in statements]


def _list(row: Mapping[str, Any], name: str) -> list[str]:
    value = row[name]
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise BadRowError(f"column {name!r} is no JSON list: {error}") from error
    if not isinstance(value, list) or not 2 <= len(value) <= 26:
        raise BadRowError(f"column {name!r} is no list of 2 to 26 texts")
    return [str(item) for item in value]


ROW_READERS: Mapping[str, Callable[[Mapping[str, Any], Columns], Item]] = {
    "exact": _plain,
    "numeric": _numeric,
    "multiple_choice": _choice,
    "contains": _plain,
    "f1": _plain,
    "json": _json,
    "unit_tests": _unit_tests,
    "judge": _plain,
}
