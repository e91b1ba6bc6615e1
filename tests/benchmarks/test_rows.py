"""Rows are read from files and the hub, and bad ones are listed with their lines."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from w4s.benchmarks.base import TooFewProblems
from w4s.benchmarks.row_benchmark import (
    BadRowError,
    Item,
    RowBenchmark,
    column,
    from_source,
    immediate,
)
from w4s.benchmarks.rows import Source, read_file, read_source
from w4s.benchmarks.scorers import exact
from w4s.errors import DataError

SOURCE = Source(file="capitals/test", hub="someone/capitals", split="test", revision="abc123")


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def read_capital(row: Mapping[str, Any]) -> Item:
    if row.get("question") == "bad":
        raise BadRowError("marked as bad")
    return Item(column(row, "question"), column(row, "answer"))


def capitals(data_dir: Path) -> RowBenchmark:
    return RowBenchmark(
        "capitals",
        description="Name a capital.",
        tables=from_source(SOURCE, data_dir),
        read_row=read_capital,
        score=immediate(lambda problem, answer: exact(problem.answer, answer)),
    )


def rows(*questions: str) -> str:
    return "".join(json.dumps({"question": text, "answer": "a"}) + "\n" for text in questions)


def test_jsonl_and_csv_hold_the_same_rows(tmp_path: Path) -> None:
    """Quotes, commas and line breaks inside fields survive both forms."""
    value = {"question": 'He said "a, b"\nand left', "answer": "1"}
    one = read_file(write(tmp_path, "a.jsonl", json.dumps(value) + "\n"))
    quoted = '"He said ""a, b""\nand left"'
    two = read_file(write(tmp_path, "a.csv", f"question,answer\n{quoted},1\n"))
    assert [dict(row.values) for row in one.rows] == [value]
    assert [dict(row.values) for row in two.rows] == [value]


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    """A CSV saved by a spreadsheet program has its first column under its name."""
    path = write(tmp_path, "a.csv", "\ufeffquestion,answer\nq,a\n")
    assert read_file(path).rows[0].values["question"] == "q"


def test_every_bad_line_is_listed(tmp_path: Path) -> None:
    """The message holds the file, each line number, what is wrong, and the counts."""
    path = write(tmp_path, "a.jsonl", '{"a": 1}\n{oops\n\n[1]\n{"a": 2}\n')
    with pytest.raises(DataError) as caught:
        read_file(path)
    message = str(caught.value)
    assert "2 of 4 rows are bad" in message
    assert "line 2: not JSON" in message
    assert "line 4: a list" in message


def test_many_bad_lines_are_counted_not_printed(tmp_path: Path) -> None:
    """Ten are shown, the rest is a number; what is wrong with all rows is shown once."""
    with pytest.raises(DataError, match=r"30 of 31 rows are bad(?s:.*)and 20 more"):
        read_file(write(tmp_path, "a.jsonl", "{\n" * 30 + "{}\n"))
    with pytest.raises(DataError, match=r"30 of 30 rows are bad(?s:.*)and 29 more"):
        read_file(write(tmp_path, "b.jsonl", "{\n" * 30))


@pytest.mark.parametrize(("row", "count"), [("q\n", 1), ("q,a,extra\n", 3)])
def test_a_csv_row_of_another_length_is_bad(tmp_path: Path, row: str, count: int) -> None:
    """A field too many or too few names its line."""
    said = rf"line 3: {count} fields, not the 2 fields of the header"
    with pytest.raises(DataError, match=said):
        read_file(write(tmp_path, "a.csv", f"question,answer\nq,a\n{row}"))


def test_a_row_is_placed_where_it_begins(tmp_path: Path) -> None:
    """Line breaks in quoted fields and empty lines between rows do not shift the numbers."""
    text = 'question,answer\n"one\ntwo\nthree",1\n\n,\nfour,2\n'
    found = read_file(write(tmp_path, "a.csv", text)).rows
    assert [row.place for row in found] == ["a.csv:2", "a.csv:7"]


def test_an_unclosed_quote_names_the_row_that_it_swallows_from(tmp_path: Path) -> None:
    """Not the end of the file, where a parser gives up."""
    with pytest.raises(DataError, match="line 3: the row that begins here cannot be read"):
        read_file(write(tmp_path, "a.csv", 'question,answer\na,1\n"b,2\nc,3\nd,4\n'))


def test_line_separators_of_unicode_break_no_row(tmp_path: Path) -> None:
    """A CSV row ends at a line feed or a carriage return and nowhere else."""
    text = "question,answer\none\u2028two\x0bthree,1\r\nfour,2\r\n"
    (tmp_path / "a.csv").write_bytes(text.encode())
    rows = read_file(tmp_path / "a.csv").rows
    assert [row.values["question"] for row in rows] == ["one\u2028two\x0bthree", "four"]
    assert rows[1].values["answer"] == "2"


@pytest.mark.parametrize("separator", [";", "\t"])
def test_spreadsheets_may_separate_by_semicolons_or_tabs(tmp_path: Path, separator: str) -> None:
    """The header says by what; commas inside fields are then no separators."""
    text = f"question{separator}answer\na, b{separator}1\n"
    rows = read_file(write(tmp_path, "a.csv", text)).rows
    assert dict(rows[0].values) == {"question": "a, b", "answer": "1"}


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("question, as asked, in full;answer\na, b;1\nc;2\n", [2, 3]),
        ('question,answer,sources\n"a; b",1,x;y\nc,2,z\n', [2, 3]),
        ('question, answer\n"a, b", "1"\nc, 2\n', [2, 3]),
        ("sep=;\r\nquestion;answer\r\n\r\na, b;1\r\nc;2\r\n", [4, 5]),
        ("sep=|\nquestion|answer\na, b|1\nc|2\n", [3, 4]),
    ],
)
def test_rows_tell_what_separates_columns(tmp_path: Path, text: str, places: list[int]) -> None:
    """Not the header alone; a first line "sep=;" as Excel writes it decides."""
    rows = read_file(write(tmp_path, "a.csv", text)).rows
    assert [list(row.values.values())[1] for row in rows] == ["1", "2"]
    assert [row.place for row in rows] == [f"a.csv:{line}" for line in places]


def test_columns_without_a_name_are_left_out(tmp_path: Path) -> None:
    """Spreadsheets write the empty columns that somebody once touched."""
    path = write(tmp_path, "a.csv", "question,answer,,\nq,1,,\np,2,x,\n,,,\n")
    rows = [dict(row.values) for row in read_file(path).rows]
    assert rows == [{"question": "q", "answer": "1"}, {"question": "p", "answer": "2"}]


def test_a_column_named_twice_is_refused(tmp_path: Path) -> None:
    """Which of the two is meant nobody can know."""
    with pytest.raises(DataError, match=r"a\.csv:1: the header names a column twice"):
        read_file(write(tmp_path, "a.csv", "question,answer,answer\nq,a,b\n"))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.jsonl", b"", "holds no rows"),
        ("a.jsonl", b"\xff\xfe", r"a\.jsonl:1: not UTF-8"),
        ("a.csv", "question,answer\nWie heißt er?,x\n".encode("latin-1"), r"a\.csv:2: not UTF-8"),
        ("a.jsonl", b' [\n{"question": "q"}]', "begins with a list"),
        ("a.xlsx", b"x", r"suffix '\.xlsx'"),
        ("b.xlsx", b"PK\x03\x04\xff\x00", r"suffix '\.xlsx'"),
        ("a.csv", b"question,answer\nq,\x00\n", r"a\.csv:2: holds a NUL byte: no text"),
        ("a.csv", b"PK\x03\x04\x00\x00", r"a\.csv:1: holds a NUL byte"),
        ("a.parquet", b"PAR1", r"a\.parquet: cannot be read as Parquet: .* Fetch it again"),
    ],
)
def test_unusable_files_say_what_to_do(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    """An empty file, another encoding and another format are told apart."""
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_file(tmp_path / name)


def test_a_parquet_file_with_broken_pages_says_what_to_do(tmp_path: Path) -> None:
    """Its end is whole, so that it opens; what lies before cannot be read."""
    rows = [{"question": f"q{n}", "answer": str(n)} for n in range(99)]
    table = pyarrow.Table.from_pylist(rows)
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[4:400] = bytes(396)
    (tmp_path / "a.parquet").write_bytes(data)
    with pytest.raises(DataError, match=r"cannot be read as Parquet: .* Fetch it again"):
        read_file(tmp_path / "a.parquet")


def test_a_folder_and_a_closed_file_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path and the system's reason, in one message."""
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(DataError, match=r"a\.csv: cannot be read: Is a directory"):
        read_file(tmp_path / "a.csv")

    def closed(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", closed)
    with pytest.raises(DataError, match=r"b\.csv: cannot be read: Permission denied"):
        read_file(tmp_path / "b.csv")


def test_a_missing_file_is_named_with_its_home(tmp_path: Path) -> None:
    """The message tells which file is due and where its rows come from."""
    with pytest.raises(DataError, match=r"capitals/test\.jsonl.*someone/capitals \(split test\)"):
        read_source(SOURCE, data_dir=tmp_path)
    with pytest.raises(DataError, match=r"someone/capitals \(configuration main, split test\)"):
        read_source(replace(SOURCE, config="main"), data_dir=tmp_path)


def test_bad_rows_of_a_benchmark_are_listed(tmp_path: Path) -> None:
    """A row that the benchmark cannot use is named by file and line."""
    text = rows("one", "bad") + '{"question": "two"}\n'
    write(tmp_path, "capitals/test.jsonl", text)
    with pytest.raises(DataError) as caught:
        capitals(tmp_path).problems(1, seed=0)
    message = str(caught.value)
    assert "2 of 3 rows are bad" in message
    assert "test.jsonl:2: marked as bad" in message
    assert "test.jsonl:3: column 'answer' is missing or empty" in message


def test_repeated_questions_count_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The same question in another case is one problem, and the log says so."""
    write(tmp_path, "capitals/test.jsonl", rows("One?", "one", "two"))
    with caplog.at_level(logging.INFO), pytest.raises(TooFewProblems, match="has 2 different"):
        capitals(tmp_path).problems(3, seed=0)
    assert "1 of 3 rows repeat a question" in caplog.text


def test_the_seed_decides_the_draw(tmp_path: Path) -> None:
    """The same seed draws the same problems in the same order, another seed others."""
    write(tmp_path, "capitals/test.jsonl", rows(*(f"question {n}" for n in range(40))))
    first = capitals(tmp_path).problems(10, seed=1)
    assert first == capitals(tmp_path).problems(10, seed=1)
    assert first == capitals(tmp_path).problems(20, seed=1)[:10]
    assert first != capitals(tmp_path).problems(10, seed=2)


def test_the_version_follows_the_rows(tmp_path: Path) -> None:
    """Changed rows change the benchmark's version, and so everything cached by it."""
    write(tmp_path, "capitals/test.jsonl", rows("one"))
    before = capitals(tmp_path).version
    write(tmp_path, "capitals/test.jsonl", rows("two"))
    assert capitals(tmp_path).version != before


def test_an_empty_answer_scores_zero_without_the_scorer(tmp_path: Path) -> None:
    """No answer is a visible zero."""
    write(tmp_path, "capitals/test.jsonl", rows("one"))
    benchmark = capitals(tmp_path)
    problem = benchmark.problems(1, seed=0)[0]
    assert asyncio.run(benchmark.score(problem, " ")).reason == "the answer is empty"


def fake_hub(monkeypatch: pytest.MonkeyPatch, load: Any) -> None:
    module = ModuleType("datasets")
    module.load_dataset = load  # type: ignore[attr-defined]  # a stand-in without the hub
    monkeypatch.setitem(sys.modules, "datasets", module)


def test_the_hub_is_asked_for_the_pinned_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Id, configuration, split and revision reach `datasets`, and name the version."""
    asked = []

    def load(*args: Any, **kwargs: Any) -> list[dict[str, str]]:
        asked.append((args, kwargs))
        return [{"question": "one", "answer": "a"}]

    fake_hub(monkeypatch, load)
    table = read_source(SOURCE, data_dir=None)
    assert asked == [(("someone/capitals", None), {"split": "test", "revision": "abc123"})]
    assert table.version == "someone/capitals@abc123"
    assert table.rows[0].place == "someone/capitals/test:1"


def test_a_hub_that_is_down_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the client raises becomes one message with the way out."""

    def load(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("no route to host")

    fake_hub(monkeypatch, load)
    with pytest.raises(DataError, match=r"no route to host.*benchmarks\.data_dir"):
        read_source(SOURCE, data_dir=None)
