"""What a workflow's file says above its code: how it was found, and with which executor.

Keeps the executor's model, where it is and what it was asked with; its key and prices never.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from w4s.config import ExecutorParams
from w4s.llm.endpoint import EMBEDDED_MODEL, Address

_NOTE = re.compile(r"# (?P<key>\S(?: ?\S)*?)  +(?P<value>\S.*)")


def read_notes(workflow: Path) -> dict[str, str]:
    """Return the notes at the head of a workflow's file."""
    notes: dict[str, str] = {}
    for line in workflow.read_text(encoding="utf-8").splitlines():
        match = _NOTE.fullmatch(line)
        if match is None:
            break
        notes[match["key"]] = match["value"]
    return notes


def executor_notes(executor: ExecutorParams) -> dict[str, str]:
    """Return the notes from which `found_with` knows the executor again."""
    notes = {"executor": executor.model, "max tokens": str(executor.max_tokens)}
    if executor.base_url is not None and executor.model != EMBEDDED_MODEL:
        notes["endpoint"] = Address(executor.base_url).name
    if executor.reasoning_effort is not None:
        notes["reasoning effort"] = executor.reasoning_effort
    return notes


def call_settings(executor: ExecutorParams) -> str:
    """Return what the executor is asked with as arguments of the exported `Agent`."""
    effort = executor.reasoning_effort
    said = "" if effort is None else f", reasoning_effort={effort!r}"
    return f"max_tokens={executor.max_tokens}{said}"


def found_with(notes: Mapping[str, str], executor: ExecutorParams) -> ExecutorParams:
    """Return the executor that a workflow was found with: `executor` where its notes name none."""
    if "executor" not in notes:
        return executor
    most = notes.get("max tokens", "")
    changes = {
        "model": notes["executor"],
        "base_url": notes.get("endpoint"),
        "max_tokens": int(most) if most.isdecimal() else executor.max_tokens,
        "reasoning_effort": notes.get("reasoning effort"),
    }
    return executor.model_copy(update=changes)
