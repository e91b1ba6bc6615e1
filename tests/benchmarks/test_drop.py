"""DROP's metric is the official one, and its rows are read in both layouts."""

from __future__ import annotations

import time

import pytest

from w4s.benchmarks.drop import read_row, score
from w4s.benchmarks.drop_metric import DropScore, drop_score
from w4s.benchmarks.row_benchmark import BadRowError
from w4s.types import Problem

HUB_ROW = {
    "passage": "Smith kicked 26 and 33 yards.",
    "question": "Who kicked?",
    "answer": {
        "number": "",
        "date": {"day": "", "month": "", "year": ""},
        "spans": ["Smith", "Jones"],
    },
    "validated_answers": {
        "number": ["", "2"],
        "date": [{"day": "", "month": "", "year": ""}, {"day": "", "month": "", "year": ""}],
        "spans": [["Smith"], []],
    },
}


def judge(answer: str, *references: list[str]) -> float:
    """Score `answer` against references as the benchmark does."""
    data = {"references": list(references)}
    return score(Problem("d", "drop", "q", "", data), answer).value


@pytest.mark.parametrize(
    ("answer", "references", "exact", "f1"),
    [
        (["Houston"], [["Houston"]], 1, 1.0),
        (["the Houston"], [["Houston"]], 1, 1.0),
        (["houston texans"], [["Houston"]], 0, 0.67),
        (["26"], [["26.0"]], 1, 1.0),
        (["26 yards"], [["27 yards"]], 0, 0.0),
        (["Jones", "Smith"], [["Smith", "Jones"]], 1, 1.0),
        (["Smith"], [["Smith", "Jones"]], 0, 0.5),
        (["Smith", "Jones", "Brown"], [["Smith", "Jones"]], 0, 0.67),
        (["16"], [["22"], ["16"]], 1, 1.0),
        (["twenty-six"], [["twenty six"]], 1, 1.0),
        (["nothing"], [["Houston"]], 0, 0.0),
        (["anything"], [[""]], 0, 0.0),
    ],
)
def test_metric_agrees_with_the_official_script(
    answer: list[str], references: list[list[str]], exact: float, f1: float
) -> None:
    """Values of allennlp's drop_eval on the cases that distinguish it from plain F1."""
    assert drop_score(answer, references) == DropScore(exact, f1)


@pytest.mark.parametrize(
    "answer",
    [
        "Smith, Jones",
        "Jones and Smith",
        "Smith; Jones",
        "Smith\nJones",
        "The answer is Smith and Jones.",
        "Answer: **Smith, and Jones**",
        "Answer:\n- Smith\n- Jones",
        "### Final Answer\nJones, Smith",
        r"\boxed{\text{Smith and Jones}}",
    ],
)
def test_several_spans_in_one_text(answer: str) -> None:
    """Spans separated in any usual way are as good as a list."""
    assert judge(answer, ["Smith", "Jones"]) == 1.0


def test_a_name_with_and_in_it_is_one_span() -> None:
    """ "Barnes and Noble" is right whichever way the reference was split."""
    assert judge("Barnes and Noble", ["Barnes", "Noble"]) == 1.0
    assert judge("Barnes and Noble", ["Barnes and Noble"]) == 1.0


def test_thousands_separators_do_not_split_numbers() -> None:
    """ "20,065" is one number."""
    assert judge("20,065", ["20065"]) == 1.0
    assert judge("The answer is 20,065.", ["20065"]) == 1.0
    assert judge("1,234.5", ["1,234.5"]) == 1.0
    assert judge("1234.5", ["1,234.5"]) == 1.0


def test_a_full_stop_is_no_part_of_a_number() -> None:
    """The official script takes "93.5." for a word; an answer may end like a sentence."""
    assert judge("93.5.", ["93.5"]) == 1.0
    assert judge(r"$\boxed{\text{93.5}}$.", ["93.5"]) == 1.0


def test_the_best_of_several_answers_counts() -> None:
    """One of the annotators' answers is enough."""
    assert judge("murder rate", ["murder"], ["murder rate"]) == 1.0


def test_hub_rows_keep_every_annotators_answer() -> None:
    """Spans, numbers and validated answers become references, each once."""
    item = read_row(HUB_ROW)
    assert item.data["references"] == [["Smith", "Jones"], ["Smith"], ["2"]]
    assert item.question.endswith("Question: Who kicked?")


def test_dates_become_one_span() -> None:
    """A date is its day, month and year in this order."""
    date = {"day": "4", "month": "May", "year": "1920"}
    answer = {"number": "", "date": date, "spans": []}
    assert read_row({**HUB_ROW, "answer": answer}).answer == "4 May 1920"


def test_rows_of_simple_evals_are_read() -> None:
    """Alternatives are split at the bar, spans at "and"; the cue at the end goes."""
    row = {
        "context": "Passage: p\nQuestion: q\nAnswer:",
        "completion": " A",
        "ref_text": "A and B|C",
    }
    item = read_row(row)
    assert item.question == "Passage: p\nQuestion: q"
    assert item.data["references"] == [["A", "B"], ["C"]]


def test_a_row_without_an_answer_is_refused() -> None:
    """A row that nothing could answer is bad data."""
    empty = {"number": "", "date": {}, "spans": []}
    with pytest.raises(BadRowError, match="no reference answer"):
        read_row({**HUB_ROW, "answer": empty, "validated_answers": {}})


@pytest.mark.parametrize(
    "answer", ['["1,200 men", "the ships"]', "- 1,200 men\n- the ships", "1. 1,200 men\n2. ships"]
)
def test_lists_of_programs_and_people_are_spans(answer: str) -> None:
    """A JSON list and a line each: brackets, quotes and marks are no part of a span."""
    assert judge(answer, ["1200 men", "ships"]) == 1.0


@pytest.mark.parametrize("blank", ["\t", "\n", " \n"])
def test_a_long_gap_in_a_reply_takes_no_time(blank: str) -> None:
    """Small models repeat themselves to their limit."""
    started = time.process_time()
    judge(f"5{blank * 100_000}x", ["5"])
    assert time.process_time() - started < 10
