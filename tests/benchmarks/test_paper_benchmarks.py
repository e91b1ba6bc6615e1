"""The paper's benchmarks: rows of their homes become problems, and scorers follow their metrics."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from w4s.benchmarks import gpqa, gsm8k, gsm_hard, gsm_plus, mgsm, mmlu_pro, svamp
from w4s.benchmarks.base import TooFewProblems
from w4s.benchmarks.numbers import exact_number
from w4s.benchmarks.registry import PAPER_NAMES, get_benchmark
from w4s.benchmarks.row_benchmark import BadRowError, Item
from w4s.benchmarks.scorers import numeric
from w4s.errors import DataError
from w4s.types import Problem

DATA = Path(__file__).parents[3] / "shared" / "data"
WITH_ROWS = ("mgsm", "gsm8k", "gsm_plus", "gsm_hard", "svamp", "math", "mmlu_pro", "drop")
real_rows = pytest.mark.skipif(not DATA.exists(), reason=f"no rows of the benchmarks at {DATA}")
GPQA_ROW = {
    "Question": "Which of these is an invented quantity?",
    "Correct Answer": "the flux of whimsy\n",
    "Incorrect Answer 1": "mass",
    "Incorrect Answer 2": "charge",
    "Incorrect Answer 3": "spin",
    "High-level domain": "Physics",
}


_NO_DATE = {"day": "", "month": "", "year": ""}
NESTED_ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "mmlu_pro": ("mmlu_pro/test", {"question": "1+1?", "options": ["1", "2"], "answer": "B"}),
    "mbpp": (
        "mbpp/sanitized",
        {
            "prompt": "Double it.",
            "code": "def f(x):\n  return 2 * x",
            "test_imports": ["import math"],
            "test_list": ["assert f(1) == 2", "assert f(2) == 4"],
        },
    ),
    "drop": (
        "drop/validation",
        {
            "passage": "Ann, Bob and Eve ran.",
            "question": "Who ran?",
            "answer": {"number": "", "date": _NO_DATE, "spans": ["Ann", "Bob"]},
            "validated_answers": {
                "number": ["", "3"],
                "date": [_NO_DATE, _NO_DATE],
                "spans": [["Eve"], []],
            },
        },
    ),
}


def write_row(folder: Path, file: str, form: str, row: dict[str, Any]) -> None:
    """Write one row as JSONL, CSV (JSON where it is nested) or Parquet."""
    path = folder / f"{file}.{form}"
    path.parent.mkdir(parents=True)
    if form == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), path)
    elif form == "jsonl":
        path.write_text(json.dumps(row))
    else:
        texts = [value if isinstance(value, str) else json.dumps(value) for value in row.values()]
        with path.open("w", newline="") as stream:
            csv.writer(stream).writerows([list(row), texts])


def all_problems(name: str) -> list[Problem]:
    benchmark = get_benchmark(name, data_dir=DATA)
    try:
        return benchmark.problems(10**9, seed=0)
    except TooFewProblems as error:
        return benchmark.problems(error.available, seed=0)


def score(name: str, problem: Problem, answer: str) -> float:
    return asyncio.run(get_benchmark(name).score(problem, answer)).value


def as_problem(item: Item) -> Problem:
    return Problem("p", "b", item.question, item.answer, item.data)


def test_the_eleven_of_the_paper_are_there() -> None:
    """Each name gives a benchmark of that name that tells the policy the form of an answer."""
    assert len(PAPER_NAMES) == 11
    for name in PAPER_NAMES:
        benchmark = get_benchmark(name)
        assert benchmark.name == name
        assert "answer is" in benchmark.description


@pytest.mark.parametrize("name", NESTED_ROWS)
def test_all_forms_of_a_local_folder_hold_the_same_problems(tmp_path: Path, name: str) -> None:
    """Lists and objects in a column too: CSV has them as JSON, Parquet is the hub's own form."""
    file, row = NESTED_ROWS[name]
    found = []
    for form in ("jsonl", "csv", "parquet"):
        write_row(tmp_path / form, file, form, row)
        found += get_benchmark(name, data_dir=tmp_path / form).problems(1, seed=0)
    assert found[0] == found[1] == found[2]
    if name == "drop":
        assert found[0].data["references"] == [["Ann", "Bob"], ["Eve"], ["3"]]


def test_lists_that_are_no_json_are_told_once(tmp_path: Path) -> None:
    """As some programs write them into CSV; how to write them is said."""
    file, row = NESTED_ROWS["mbpp"]
    write_row(tmp_path, file, "csv", {**row, "test_list": "['assert f(1) == 2']"})
    with pytest.raises(DataError, match=r"csv:2: column 'test_list' is no JSON; write its lists"):
        get_benchmark("mbpp", data_dir=tmp_path).problems(1, seed=0)


@real_rows
@pytest.mark.parametrize("name", WITH_ROWS)
def test_reference_answers_score_one_in_any_wrapping(name: str) -> None:
    """On real rows the reference scores 1 bare, in a sentence, in a box and after reasoning."""
    benchmark = get_benchmark(name, data_dir=DATA)

    async def check() -> list[Any]:
        wrong = []
        for problem in benchmark.problems(60, seed=1):
            answer = problem.answer
            forms = [
                answer,
                f"  {answer}\n",
                f"The answer is {answer}.",
                f"First 17 things, then 4.\nFinal answer: {answer}",
                f"So we get \\boxed{{{answer}}}.",
            ]
            for form in forms:
                verdict = await benchmark.score(problem, form)
                if verdict.value != 1.0:
                    wrong.append((form, verdict))
        return wrong

    assert asyncio.run(check()) == []


@real_rows
@pytest.mark.parametrize("name", WITH_ROWS)
def test_other_answers_score_zero(name: str) -> None:
    """On real rows another problem's answer is wrong (DROP: its F1 is near 0 on average)."""
    benchmark = get_benchmark(name, data_dir=DATA)
    problems = benchmark.problems(60, seed=2)

    async def check() -> list[float]:
        pairs = zip(problems, problems[1:] + problems[:1], strict=True)
        return [
            (await benchmark.score(one, two.answer)).value
            for one, two in pairs
            if one.answer != two.answer
        ]

    values = asyncio.run(check())
    assert len(values) > 30
    assert sum(values) <= (0.05 * len(values) if name == "drop" else 0)


@real_rows
@pytest.mark.parametrize("name", ["mgsm", "gsm8k", "gsm_plus", "gsm_hard", "svamp"])
def test_a_number_that_is_off_scores_zero(name: str) -> None:
    """On real rows the reference plus one, with another sign, or with another digit is wrong."""
    benchmark = get_benchmark(name, data_dir=DATA)
    problems = [item for item in benchmark.problems(60, seed=3) if item.answer != "None"]

    async def check() -> list[Any]:
        right = []
        for problem in problems:
            number = exact_number(problem.answer)
            assert number is not None
            for other in (number + 1, -number, 10 * number + 3):
                text = str(other) if other.denominator == 1 else f"{float(other):.6f}"
                verdict = await benchmark.score(problem, f"The answer is {text}.")
                # GSM-Hard has numbers far below its tolerance
                if abs(other - number) > Fraction(1, 100) and verdict.value:
                    right.append((problem.answer, text, verdict))
        return right

    assert len(problems) > 40
    assert asyncio.run(check()) == []


@pytest.mark.slow
@real_rows
@pytest.mark.parametrize("name", WITH_ROWS)
def test_every_reference_answer_scores_one(name: str) -> None:
    """All real rows are usable, and every reference answer is right."""
    benchmark = get_benchmark(name, data_dir=DATA)

    async def check() -> list[Any]:
        verdicts = [(item, await benchmark.score(item, item.answer)) for item in all_problems(name)]
        return [(item.answer, verdict) for item, verdict in verdicts if verdict.value != 1.0]

    assert asyncio.run(check()) == []


@pytest.mark.parametrize(
    ("read_row", "row", "question", "answer"),
    [
        (gsm8k.read_row, {"question": "q", "answer": "a <<1+1=2>>\n#### 2,125"}, "q", "2125"),
        (gsm_hard.read_row, {"input": "q", "target": -9867630.0}, "q", "-9867630"),
        (gsm_hard.read_row, {"input": "q", "target": 5.58738e-05}, "q", "0.0000558738"),
        (gsm_plus.read_row, {"question": "q", "answer": "1/4"}, "q", "1/4"),
        (svamp.read_row, {"Body": "b", "Question": "q?", "Answer": 51.0}, "b. q?", "51"),
        (svamp.read_row, {"Body": "b.", "Question": "q?", "Answer": "0.5"}, "b. q?", "0.5"),
        (mgsm.read_row, {"question": "q", "answer": "2,125"}, "q", "2125"),
        (mgsm.read_row, {"question": "q", "answer": None, "answer_number": 18}, "q", "18"),
        (
            mmlu_pro.read_row,
            {"question": "q", "options": ["x", "y"], "answer": "B"},
            "q\n\nA. x\nB. y",
            "B",
        ),
        (
            mmlu_pro.read_row,
            {"question": "q", "options": '["x", "y"]', "answer": "A"},
            "q\n\nA. x\nB. y",
            "A",
        ),
    ],
)
def test_rows_become_problems(
    read_row: Callable[[Any], Item], row: dict[str, Any], question: str, answer: str
) -> None:
    """Columns of each home, in their types there, become a question and a bare answer."""
    item = read_row(row)
    assert (item.question, item.answer) == (question, answer)


@pytest.mark.parametrize(
    ("read_row", "row", "message"),
    [
        (gsm8k.read_row, {"question": "q", "answer": "just 5"}, "#### number"),
        (gsm_hard.read_row, {"input": "q", "target": "many"}, "'target' is no number"),
        (gsm_plus.read_row, {"question": "q", "answer": "none of it"}, "neither a number nor None"),
        (svamp.read_row, {"Body": "b", "Question": "q"}, "'Answer' is missing"),
        (mgsm.read_row, {"question": "q", "answer": "viele"}, "no number: 'viele'"),
        (mmlu_pro.read_row, {"question": "q", "options": ["x", "y"], "answer": "C"}, "no letter"),
        (
            mmlu_pro.read_row,
            {"question": "q", "options": "x|y", "answer": "A"},
            "no JSON; write its lists",
        ),
        (gpqa.read_row, {**GPQA_ROW, "Incorrect Answer 2": ""}, "'Incorrect Answer 2' is missing"),
    ],
)
def test_unusable_rows_say_why(
    read_row: Callable[[Any], Item], row: dict[str, Any], message: str
) -> None:
    """The column and what it holds are named."""
    with pytest.raises(BadRowError, match=message):
        read_row(row)


@pytest.mark.parametrize(
    ("reference", "answer", "value"),
    [
        ("3244047.1", "3,244,047.1", 1),
        ("14053029.666666666", "14053029.6667", 1),
        ("14053029.666666666", "14053029.67", 0),
        ("9284017268534.4", "9.2840172685344e12", 1),
        ("-9867630", "-$9,867,630", 1),
        ("-9867630", "9867630", 0),
    ],
)
def test_gsm_hard_allows_a_thousandth(reference: str, answer: str, value: int) -> None:
    """The authors' tolerance is absolute: 0.001, however large the number."""
    item = gsm_hard.read_row({"input": "q", "target": reference})
    assert score("gsm_hard", as_problem(item), answer) == value


@pytest.mark.parametrize(
    ("reference", "answer", "value"),
    [
        ("4.33", "4.333333", 1),
        ("4.33", "4.3", 0),
        ("4", "4.3", 0),
        ("1/4", "0.25", 1),
        ("None", "None", 1),
        ("None", "The answer is None.", 1),
        ("None", r"$\boxed{\text{None}}$", 1),
        ("None", "We lack the price.\n\n### Final Answer\n\nNone", 1),
        ("None", "Answer: None (the price is missing)", 1),
        ("None", "None of them are left. The answer is 0.", 0),
        ("None", "It cannot be determined.", 1),
        ("None", "The question doesn’t mention the price.", 1),
        ("None", "42", 0),
        ("None", "", 0),
        ("42", "None", 0),
        ("42", "It does not mention tax, so 42", 1),
    ],
)
def test_gsm_plus_rounds_and_knows_unanswerable_questions(
    reference: str, answer: str, value: int
) -> None:
    """Numbers are compared at the reference's places; "None" is an answer like others."""
    assert score("gsm_plus", Problem("p", "gsm_plus", "q", reference), answer) == value


@pytest.mark.parametrize("answer", ["২,১২৫", "2 125 $", "答案：2125", "２１２５"])
def test_mgsm_reads_numbers_of_every_script(answer: str) -> None:
    """Bengali and full-width digits and spaced thousands are the same number."""
    assert score("mgsm", Problem("p", "mgsm", "q", "2125"), answer) == 1


@real_rows
@pytest.mark.parametrize("language", mgsm.LANGUAGES)
def test_mgsm_reads_numbers_as_each_language_writes_them(language: str) -> None:
    """Every real answer, in the forms of its language, is right, and the next number is not.

    A point between thousands is one in German, Spanish, French and Russian alone.
    """
    own = [one for one in all_problems("mgsm") if one.data["language"] == language]
    assert len(own) == 250
    comma = language in mgsm.DECIMAL_COMMA
    for problem in own:
        number = int(problem.answer)
        english = f"{number:,}"
        forms = [str(number), english, f"{number}.00"]
        local = [english.replace(",", "."), english.replace(",", " "), f"{number},00"]
        for form in (*forms, *(local if comma else ())):
            for text in (form, f"= {form} $", f"Die Antwort ist {form} €."):
                assert mgsm.score(problem, text).value == 1, text
                wrong = text.replace(form, str(number + 1))
                assert mgsm.score(problem, wrong).value == 0, wrong
        if number >= 1000 and not comma:
            assert mgsm.score(problem, local[0]).value == 0


def test_gsm8k_does_not_take_a_dot_for_a_thousands_separator() -> None:
    """What MGSM allows in German would be a wrong number in an English answer."""
    assert numeric("2125", "2.125").value == 0


def test_gpqa_shuffles_its_options_and_keeps_the_right_one() -> None:
    """The right option, first at home, gets a letter by the question alone, the same each time."""
    item = gpqa.read_row(GPQA_ROW)
    options = item.data["options"]
    assert item == gpqa.read_row(GPQA_ROW)
    assert options["ABCD".index(item.answer)] == "the flux of whimsy"
    letters = {gpqa.read_row({**GPQA_ROW, "Question": f"q{n}"}).answer for n in range(40)}
    assert letters == set("ABCD")


def test_gpqa_is_scored_by_letter_or_by_text(tmp_path: Path) -> None:
    """The letter of the right option or its very text is right, another option is not."""
    rows = [{**GPQA_ROW, "Question": f"Question number {n}?"} for n in range(5)]
    folder = tmp_path / "gpqa"
    folder.mkdir()
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "train.jsonl").write_text(lines)
    benchmark = get_benchmark("gpqa", data_dir=tmp_path)
    for problem in benchmark.problems(5, seed=0):
        assert asyncio.run(benchmark.score(problem, f"({problem.answer})")).value == 1.0
        assert asyncio.run(benchmark.score(problem, "the flux of whimsy")).value == 1.0
        assert asyncio.run(benchmark.score(problem, "mass")).value == 0.0
