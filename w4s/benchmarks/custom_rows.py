"""Read the rows of a task of one's own, and find what its scorer could not use.

Each scorer asks something of a row; a row that lacks it is refused here, with its line, before
anything is spent.
"""

from __future__ import annotations

import ast
import itertools
import json
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from w4s.benchmarks.choices import option_texts, with_options
from w4s.benchmarks.code_harness import asserts_as_tests
from w4s.benchmarks.numbers import exact_number
from w4s.benchmarks.row_benchmark import ACCEPTED, BadRowError, Item, ReadRow, column
from w4s.parsing import parse_quietly

ANY_CODE = "(any code that passes the tests)"


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of the question and of the reference answer, and how its numbers are written."""

    question: str
    answer: str
    decimal_comma: bool = False


ReadColumns = Callable[[Mapping[str, Any], Columns], Item]


def row_reader(scorer: str, columns: Columns) -> ReadRow:
    """Return the function that reads a row for `scorer`; unknown ones need question and answer."""
    read = ROW_READERS.get(scorer, _plain)
    return lambda row: read(row, columns)


def _plain(row: Mapping[str, Any], columns: Columns) -> Item:
    return Item(_question(row, columns), _text(_named(row, columns.answer, "answer")))


def _question(row: Mapping[str, Any], columns: Columns) -> str:
    question = _named(row, columns.question, "question")
    if isinstance(question, (dict, list)):
        raise BadRowError(f"column {columns.question!r} is a {type(question).__name__}, no text")
    return str(question)


def _named(row: Mapping[str, Any], name: str, key: str) -> Any:
    """Return what the column `name` holds, in any case; `key` sets its name in a task file."""
    alike = [have for have in row if have.strip().casefold() == name.casefold()]
    found = name if name in row or len(alike) != 1 else alike[0]
    if found not in row:
        raise BadRowError(
            f"there is no column {name!r}, but {', '.join(map(repr, row)) or 'nothing'}; where "
            f"another one holds it, say so in the task file: {key}: NAME"
        )
    column(row, found)
    return row[found]


def _text(answer: Any) -> str:
    """Return an answer as a workflow's answer is spelled: 21 for 21.0, JSON for what is no text."""
    if isinstance(answer, float) and answer.is_integer() and abs(answer) < 1e15:
        return str(int(answer))
    if isinstance(answer, (dict, list, bool)):
        return json.dumps(answer, ensure_ascii=False)
    return str(answer)


def _numeric(row: Mapping[str, Any], columns: Columns) -> Item:
    item = _plain(row, columns)
    if exact_number(item.answer, decimal_comma=columns.decimal_comma) is None:
        form = "1.234,5" if columns.decimal_comma else "1,234.5"
        other = exact_number(item.answer, decimal_comma=not columns.decimal_comma)
        way = "point" if columns.decimal_comma else "comma"
        hint = "" if other is None else f"; or write decimal: {way} into the task file"
        raise BadRowError(
            f"column {columns.answer!r} is no number: {item.answer[:60]!r} "
            f"(one number without a unit is due, such as {form} or 3/4{hint})"
        )
    return item


def _json(row: Mapping[str, Any], columns: Columns) -> Item:
    item = _plain(row, columns)
    try:
        json.loads(item.answer)
    except ValueError as error:
        raise BadRowError(f"column {columns.answer!r} is no JSON: {error}") from error
    return item


def _any_of(read: ReadColumns) -> ReadColumns:
    """Return the reader of rows whose answer may be a list of answers, each of them right."""

    def read_row(row: Mapping[str, Any], columns: Columns) -> Item:
        asked = {columns.question: _question(row, columns)}
        answers = _named(row, columns.answer, "answer")
        if not isinstance(answers, list):
            return read(row, columns)
        if not answers:
            raise BadRowError(f"column {columns.answer!r} is an empty list; an answer is due")
        items = [read({**asked, columns.answer: answer}, columns) for answer in answers]
        return replace(items[0], data={ACCEPTED: [item.answer for item in items]})

    return read_row


def _choice(row: Mapping[str, Any], columns: Columns) -> Item:
    item = _plain(row, columns)
    answer = item.answer.strip(" ().:\t").upper()
    if len(answer) != 1 or answer not in string.ascii_uppercase:
        raise BadRowError(
            f"column {columns.answer!r} is no letter: {item.answer[:60]!r} "
            "(the letter of the right option is due, A for the first)"
        )
    options = _options(row) if row.get("options") else _lettered(row, columns)
    if not options:
        return Item(item.question, answer)
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
    reference = str(answer) if answer else ANY_CODE
    return Item(_question(row, columns), reference, data)


def _asserts(row: Mapping[str, Any], name: str) -> list[str]:
    """Return the statements of a column: a list of texts, or one text with a line each."""
    value = row.get(name)
    text = "\n".join(map(str, value)) if isinstance(value, list) else column(row, name)
    try:
        statements = parse_quietly(text).body
    except SyntaxError as error:
        raise BadRowError(f"column {name!r} is no Python: {error.msg}") from error
    if not any(isinstance(statement, ast.Assert) for statement in statements):
        raise BadRowError(f"column {name!r} holds no assert statement")
    return [ast.unparse(statement) for statement in statements]


def _lettered(row: Mapping[str, Any], columns: Columns) -> list[str]:
    """Return what the columns A, B, … hold, to the first that is missing or empty."""
    if {columns.question, columns.answer} & set(string.ascii_uppercase):
        return []
    values = (str(row.get(letter) or "").strip() for letter in string.ascii_uppercase)
    options = list(itertools.takewhile(bool, values))
    return options if len(options) > 1 else []


def _options(row: Mapping[str, Any]) -> list[str]:
    options = row["options"]
    if isinstance(options, str):
        try:
            options = json.loads(options)
        except ValueError as error:
            raise BadRowError(f"column 'options' is no JSON list: {error}") from error
    return option_texts(options)


ROW_READERS: Mapping[str, ReadColumns] = {
    "exact": _any_of(_plain),
    "numeric": _any_of(_numeric),
    "multiple_choice": _choice,
    "contains": _any_of(_plain),
    "f1": _any_of(_plain),
    "json": _json,
    "unit_tests": _unit_tests,
    "judge": _plain,
}
