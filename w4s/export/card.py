"""The card of an exported workflow: what it is, how good, at what cost, with which executor.

Says only what is known: figures come from the results beside the workflow, where there are any.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from w4s.config import ExecutorParams
from w4s.errors import DataError
from w4s.export.notes import call_settings, executor_notes, read_notes
from w4s.llm.endpoint import EMBEDDED_MODEL
from w4s.llm.totals import TOKENS_OF_A_PRICE
from w4s.report.rows import ResultRow, markdown_table

_ROWS = TypeAdapter(list[ResultRow])


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a workflow: the notes in its file, its test result, when it was written."""

    notes: Mapping[str, str]
    result: ResultRow | None
    written: date


def read_facts(workflow: Path) -> Facts:
    """Return what the workflow's file and the results around it (`table.json`) say.

    Raises DataError for results that cannot be read.
    """
    notes = read_notes(workflow)
    written = date.fromtimestamp(workflow.stat().st_mtime)
    return Facts(notes, _result(workflow, notes.get("benchmark")), written)


def card(name: str, facts: Facts, *, entry_point: str, executor: ExecutorParams) -> str:
    """Return the card as Markdown; `entry_point` is the workflow's function."""
    asked = executor_notes(executor)
    rows = [
        *asked.items(),
        ("workflow written", facts.written.isoformat()),
        *((key, value) for key, value in facts.notes.items() if key not in {"run", *asked}),
        *_figures(facts.result, executor),
    ]
    table = markdown_table([("", ""), *rows])
    measured = "" if facts.result else "\nNo test result lies beside the workflow.\n"
    if executor.model == EMBEDDED_MODEL:
        measured += _EMBEDDED
    client = f"OpenAI(base_url={asked['endpoint']!r})" if "endpoint" in asked else "OpenAI()"
    model = "..." if executor.model == EMBEDDED_MODEL else executor.model
    example = f"Agent({client}, model={model!r}, {call_settings(executor)})"
    return _CARD.format(
        name=name, table=table, measured=measured, entry_point=entry_point, agent=example
    )


def _result(workflow: Path, benchmark: str | None) -> ResultRow | None:
    """Return the row of the search that found the workflow: the best one by validation."""
    table = workflow.resolve().parent.parent / "table.json"
    if benchmark is None or not table.is_file():
        return None
    try:
        rows = _ROWS.validate_json(table.read_bytes())
    except (ValidationError, json.JSONDecodeError) as error:
        raise DataError(f"{table}: no table of results: {error}") from error
    own = [
        row
        for row in rows
        if row.benchmark == benchmark
        and row.validation is not None
        and row.method.startswith("search")
    ]
    return max(own, key=lambda row: row.validation or 0.0, default=None)


def _figures(row: ResultRow | None, executor: ExecutorParams) -> list[tuple[str, str]]:
    if row is None:
        return []
    accuracy = f"{row.accuracy:.3f}, 95 % interval [{row.low:.3f}, {row.high:.3f}]"
    calls, tokens = row.calls / row.problems, row.tokens / row.problems
    cost = f"{calls:.1f} calls, {tokens:.0f} tokens"
    price = executor.prices.get(executor.model)
    if price is not None:
        most = tokens * max(price.prompt, price.completion) / TOKENS_OF_A_PRICE
        cost += f", at most {most:.6f} USD"
    return [
        ("test accuracy", f"{accuracy}, {row.problems} held-out problems"),
        ("cost of a question", cost),
        ("seconds of the test", f"{row.seconds:.0f}"),
    ]


_EMBEDDED = """
The embedded executor is a llama.cpp server that w4s starts. Here, name a model of your own with
W4S_MODEL; the figures above are not about it.
"""

_CARD = """\
# {name}

A workflow that w4s (Weak-for-Strong Harnessing, arXiv 2504.04785) found: `workflow.py`, a Python
function that calls a language model to answer a question.

{table}{measured}
## Use

    pip install -r requirements.txt      # Python 3.10 or later
    export OPENAI_API_KEY=...            # and OPENAI_BASE_URL for another endpoint
    python answer.py "QUESTION"          # W4S_MODEL names another model

From Python:

    from openai import OpenAI
    from runtime.agent import Agent, answer_of
    from workflow import {entry_point}

    agent = {agent}
    print(answer_of({entry_point}, agent, "QUESTION"))

## Safety

`workflow.py` was written by a language model: read it before you run it. `execute_code` runs code
that the executor writes in a process of its own with limits on time and memory and without your
environment, but it is **not** a sandbox: that process can read files and reach the network. Where
that matters use a container, or `w4s serve --workflow`, which runs everything isolated.
"""
