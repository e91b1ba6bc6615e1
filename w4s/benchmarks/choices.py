"""Questions with lettered options, as a person would read them."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

from w4s.benchmarks.row_benchmark import BadRowError
from w4s.benchmarks.scorers import multiple_choice
from w4s.types import Problem, Score


def option_texts(options: Any) -> list[str]:
    """Return what a column options holds. Raises BadRowError for no list of 2 to 26 texts."""
    if not isinstance(options, list) or not 2 <= len(options) <= 26:
        raise BadRowError("column 'options' is no list of 2 to 26 texts")
    return [str(option) for option in options]


def with_options(question: str, options: Sequence[str]) -> str:
    """Return the question followed by its options, one a line: "A. …"."""
    lettered = zip(string.ascii_uppercase, options, strict=False)
    lines = "\n".join(f"{letter}. {option.strip()}" for letter, option in lettered)
    return f"{question.strip()}\n\n{lines}"


def score_choice(problem: Problem, answer: str) -> Score:
    """Judge the letter; `problem.data["options"]` are the options' texts."""
    return multiple_choice(problem.answer, answer, options=list(problem.data["options"]))
