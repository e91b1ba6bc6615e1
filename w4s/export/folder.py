"""Write a workflow as a stand-alone folder: the workflow, its runtime, an example, the card."""

from __future__ import annotations

import ast
from importlib import resources
from pathlib import Path

from w4s.config import ExecutorParams
from w4s.errors import ConfigError
from w4s.export.card import Facts, card
from w4s.export.notes import call_settings, executor_notes
from w4s.files import atomic_folder, atomic_write_text
from w4s.llm.endpoint import EMBEDDED_MODEL
from w4s.parsing import ENTRY_POINTS
from w4s.workflow import Workflow

RUNTIME = "runtime"
# modules of the runtime, and where each comes from: they import each other and nothing else of w4s
_SOURCES = {
    "agent": "w4s.export",
    "child": "w4s.export",
    "extract": "w4s.sandbox",
    "plain": "w4s.sandbox",
    "program": "w4s.sandbox",
    "replies": "w4s.llm",
}

_ANSWER = '''\
"""Answer questions with the workflow."""

import argparse
import os
import sys

from openai import OpenAI, OpenAIError
from runtime.agent import Agent, answer_of
from workflow import {entry_point}

MODEL = os.environ.get("W4S_MODEL", {model!r})


def main() -> None:
    """Print an answer for each question."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("questions", metavar="QUESTION", nargs="+")
    questions = parser.parse_args().questions
    if not MODEL:
        parser.error("W4S_MODEL is not set: name the model to ask.")
    client = OpenAI(
        api_key=os.environ.get("OPENAI_API_KEY", "none"),
        base_url=os.environ.get("OPENAI_BASE_URL") or {base_url!r},
    )
    for question in questions:
        agent = Agent(client, model=MODEL, {settings})
        try:
            print(answer_of({entry_point}, agent, question))
        except (OpenAIError, RuntimeError) as error:
            sys.exit(f"no answer: {{error}}")


if __name__ == "__main__":
    main()
'''


def export_workflow(
    workflow: Workflow, folder: Path, *, facts: Facts, executor: ExecutorParams
) -> None:
    """Write the stand-alone folder, whole or not at all.

    Raises ConfigError where something lies at `folder` already.
    """
    if folder.exists():
        raise ConfigError(f"{folder}: is there already, and nothing is overwritten. Name another.")
    entry_point = _entry_point(workflow.code)
    model = "" if executor.model == EMBEDDED_MODEL else executor.model
    files = {
        "workflow.py": workflow.code,
        "answer.py": _ANSWER.format(
            entry_point=entry_point,
            model=model,
            base_url=executor_notes(executor).get("endpoint"),
            settings=call_settings(executor),
        ),
        "requirements.txt": "openai>=1.50\n",
        "README.md": card(workflow.name, facts, entry_point=entry_point, executor=executor),
        f"{RUNTIME}/__init__.py": '"""What the workflow calls."""\n',
        **{f"{RUNTIME}/{name}.py": _source(name) for name in _SOURCES},
    }
    with atomic_folder(folder) as partial:
        for name, text in files.items():
            atomic_write_text(partial / name, text)


def _entry_point(code: str) -> str:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = {node.name for node in ast.parse(code).body if isinstance(node, functions)}
    return next(name for name in ENTRY_POINTS if name in names)


def _source(name: str) -> str:
    """Return a module of the runtime with its imports within the exported folder."""
    text = (resources.files(_SOURCES[name]) / f"{name}.py").read_text(encoding="utf-8")
    for package in set(_SOURCES.values()):
        text = text.replace(f"from {package}.", f"from {RUNTIME}.")
        text = text.replace(f"from {package} import", f"from {RUNTIME} import")
    return text
