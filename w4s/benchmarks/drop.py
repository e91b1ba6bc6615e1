"""DROP: questions about a passage that need counting, sorting or arithmetic.

Home: `EleutherAI/drop`, split validation (9,536 rows; the test answers are secret). Rows of
simple-evals (context, completion, ref_text) are read as well. Metric: the official F1 against
the best of several reference answers; exact match stands in the reason.
Source: Dua et al., arXiv 1903.00161.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from w4s.benchmarks.answers import announced, squeezed, unwrap_words
from w4s.benchmarks.drop_metric import drop_score
from w4s.benchmarks.row_benchmark import (
    BadRowError,
    Item,
    RowBenchmark,
    column,
    from_source,
    immediate,
    structure,
)
from w4s.benchmarks.rows import Source
from w4s.types import Problem, Score

SOURCE = Source(
    file="drop/validation",
    hub="EleutherAI/drop",
    split="validation",
    revision="619386fc7ffe6dace3cc6d3483c69b164ebf6bf3",
)
DESCRIPTION = (
    "Answer a question about a passage; it may need counting, comparing or arithmetic. The answer "
    "is a number, a date or a few words of the passage; several spans are separated by commas."
)
_AND = re.compile(r"\s*(?:,\s*and\s+|\band\b|[,;\n])\s*")
_MARK = re.compile(r"\s*(?:[-*•]|\d{1,2}[.)])\s+")
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


def drop(*, data_dir: Path | None = None) -> RowBenchmark:
    """Return the benchmark."""
    return RowBenchmark(
        "drop",
        description=DESCRIPTION,
        tables=from_source(SOURCE, data_dir),
        read_row=read_row,
        score=immediate(score),
    )


def read_row(row: Mapping[str, Any]) -> Item:
    """Read the columns of the hub, or context and ref_text (alternatives split by a bar)."""
    references: list[Sequence[str]]
    if "ref_text" in row:
        context = column(row, "context").removesuffix("Answer:").strip()
        texts = [text.strip() for text in column(row, "ref_text").split("|")]
        references = [_spans(text) for text in texts if text]
        question = context
    else:
        references = _references(row)
        question = f"Passage: {column(row, 'passage')}\nQuestion: {column(row, 'question')}"
    if not references:
        raise BadRowError("no reference answer")
    data = {"references": [list(reference) for reference in references]}
    return Item(question=question, answer=", ".join(references[0]), data=data)


def score(problem: Problem, answer: str) -> Score:
    """Return the best F1 over the references, of the answer as one span or as several."""
    answer = squeezed(answer)
    said = announced(answer)
    text = unwrap_words(answer if said is None else said)
    text = text.removesuffix(".").rstrip()  # the metric would not take "93.5." for a number
    if not text:
        return Score(0.0, None, "the answer is empty")
    text = _GROUPED.sub("", text)
    given = _listed(text)
    whole = text if given is None else " and ".join(given)
    references = [
        [_GROUPED.sub("", str(span)) for span in spans] for spans in problem.data["references"]
    ]
    joined = [[" and ".join(spans)] for spans in references]
    readings = [drop_score(given or _spans(text), references), drop_score([whole], joined)]
    f1 = max(reading.f1 for reading in readings)
    exact = max(reading.exact for reading in readings)
    return Score(f1, text, f"F1 {f1:.2f}, exact match {exact:.0f}")


def _listed(text: str) -> list[str] | None:
    """Return the spans of a list as programs and people write them: JSON, or a line each."""
    if text.startswith("["):
        try:
            loaded = json.loads(text)
        except (ValueError, RecursionError):
            return None
        scalars = isinstance(loaded, list) and all(isinstance(x, str | int | float) for x in loaded)
        return [_GROUPED.sub("", str(item)) for item in loaded] if scalars and loaded else None
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2 or not all(_MARK.match(line) for line in lines):
        return None
    return [_MARK.sub("", line).strip() for line in lines]


def _spans(text: str) -> list[str]:
    """Split a list of spans: "A, B and C". A text without a separator is one span."""
    parts = [part.strip() for part in _AND.split(_GROUPED.sub("", text)) if part.strip()]
    return parts or [text]


def _references(row: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return the answers of the hub's columns answer and validated_answers, each once."""
    answers = [structure(row, "answer"), *_transposed(structure(row, "validated_answers"))]
    found: list[Sequence[str]] = []
    for answer in answers:
        spans = _reference(answer) if isinstance(answer, Mapping) else []
        if spans and spans not in found:
            found.append(spans)
    return found


def _transposed(answers: Any) -> list[dict[str, Any]]:
    """Turn {"number": [a, b], …} into [{"number": a, …}, {"number": b, …}]."""
    if not isinstance(answers, Mapping) or not answers:
        return []
    keys = list(answers)
    rows = zip(*(answers[key] for key in keys), strict=True)
    return [dict(zip(keys, values, strict=True)) for values in rows]


def _reference(answer: Mapping[str, Any]) -> list[str]:
    if answer.get("number"):
        return [str(answer["number"])]
    if answer.get("spans"):
        return [str(span) for span in answer["spans"]]
    date = answer.get("date") or {}
    text = " ".join(str(date.get(part) or "") for part in ("day", "month", "year")).strip()
    return [" ".join(text.split())] if text else []
