"""Workflows as files: the built-in ones, found ones, and how a person runs one.

The code is text here; only the sandbox runs it.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from w4s.errors import ConfigError, DataError
from w4s.files import atomic_write_text
from w4s.parsing import check_syntax


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow's source, with the name that it goes by in tables."""

    name: str
    code: str


def load_workflow(path: str | Path) -> Workflow:
    """Read a workflow file. Raises DataError with file and line where it is not one."""
    file = Path(path)
    try:
        code = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: the workflow cannot be read: {error}") from error
    failure = check_syntax(code)
    if failure is not None:
        where = f"{file}:{failure.line}" if failure.line else str(file)
        raise DataError(f"{where}: not a workflow: {failure.message}")
    return Workflow(file.stem, code)


def save_workflow(path: Path, workflow: Workflow, *, notes: dict[str, str]) -> None:
    """Write a workflow as a readable Python file, `notes` as comments above its code."""
    width = max((len(key) for key in notes), default=0)
    flat = {" ".join(key.split()): " ".join(value.split()) for key, value in notes.items()}
    header = [f"# {key:<{width}}  {value}" for key, value in flat.items()]
    atomic_write_text(path, "\n".join([*header, "", workflow.code.strip(), ""]))


def builtin_workflows() -> list[str]:
    """Return the names of the workflows that come with the package."""
    folder = resources.files("w4s") / "workflows"
    names = (entry.name for entry in folder.iterdir() if entry.name.endswith(".py"))
    return sorted(name.removesuffix(".py") for name in names if not name.startswith("_"))


def builtin_workflow(name: str) -> Workflow:
    """Return a built-in workflow. Raises ConfigError, with the known names, for another."""
    known = builtin_workflows()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {close[0]!r}? " if close else ""
        raise ConfigError(f"unknown workflow {name!r}. {hint}Known: {', '.join(known)}.")
    code = (resources.files("w4s") / "workflows" / f"{name}.py").read_text(encoding="utf-8")
    return Workflow(name, _without_heading(code))


def _without_heading(code: str) -> str:
    """Return `code` from its first line that is no comment: a state shows the code alone."""
    lines = code.splitlines(keepends=True)
    start = next((i for i, line in enumerate(lines) if not line.startswith("#")), 0)
    return "".join(lines[start:])
