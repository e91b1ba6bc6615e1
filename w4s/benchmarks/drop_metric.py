"""The official metric of DROP: exact match and F1 over aligned spans, best of several answers.

Follows allennlp's `drop_eval.py`: numbers in a reference span must be matched, articles and
punctuation do not count, spans are paired one to one for the best total.

Source: Dua et al., arXiv 1903.00161; https://github.com/allenai/allennlp-reading-comprehension
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MAX_SPANS = 50
_ARTICLE = re.compile(r"\b(a|an|the)\b")


@dataclass(frozen=True, slots=True)
class DropScore:
    """Exact match (0 or 1) and F1 (two decimals, as the official script rounds)."""

    exact: float
    f1: float


def drop_score(answer: Sequence[str], references: Sequence[Sequence[str]]) -> DropScore:
    """Return the best score of the answer's spans against any of the reference answers."""
    best = DropScore(0.0, 0.0)
    for reference in references:
        score = _against(list(answer)[:MAX_SPANS], list(reference)[:MAX_SPANS])
        best = DropScore(max(best.exact, score.exact), max(best.f1, score.f1))
    return best


def _against(answer: list[str], reference: list[str]) -> DropScore:
    given = [_normalise(span) for span in answer]
    due = [_normalise(span) for span in reference]
    if not any(due):
        return DropScore(0.0, 0.0)
    exact = float(set(given) == set(due) and len(given) == len(due))
    aligned = _align([set(span.split()) for span in given], [set(span.split()) for span in due])
    return DropScore(exact, round(float(np.mean(aligned)), 2))


def _align(given: list[set[str]], due: list[set[str]]) -> list[float]:
    from scipy.optimize import linear_sum_assignment

    scores = np.array([[_bag_f1(one, two) for one in given] for two in due])
    rows, columns = linear_sum_assignment(-scores)
    best = [float(scores[row, column]) for row, column in zip(rows, columns, strict=True)]
    return best + [0.0] * (max(len(given), len(due)) - len(best))


def _bag_f1(given: set[str], due: set[str]) -> float:
    numbers = {word for word in due if _is_number(word)}
    if numbers and not numbers & given:
        return 0.0
    shared = len(given & due)
    precision = shared / len(given) if given else 1.0
    recall = shared / len(due) if due else 1.0
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def _normalise(text: str) -> str:
    words = (_normalise_word(word) for word in re.split(r" |-", text.lower()))
    return " ".join(word for word in words if word.strip()).strip()


def _normalise_word(word: str) -> str:
    if not _is_number(word):
        word = "".join(character for character in word if character not in string.punctuation)
    if _is_number(word):
        word = str(float(word))
    return " ".join(_ARTICLE.sub(" ", word).split())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
