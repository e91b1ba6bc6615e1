"""Say what is wrong with parameters: the file and line, or the setting, of every bad value.

Knows how parameters are laid over each other, not which parameters there are.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError


def explain_invalid(
    error: ValidationError,
    model: type[BaseModel],
    *,
    files: tuple[Path, ...],
    settings: tuple[str, ...],
) -> str:
    """Return a line for each problem of `error`, which `model` raised.

    The values came from `files` and then from `section.key=value` settings, the later ones first.
    """
    lines = []
    for problem in error.errors():
        keys = [str(part) for part in problem["loc"]]
        where = _where(keys, files, settings)
        text = f"{where}: {'.'.join(keys)}: {problem['msg'].removeprefix('Value error, ')}"
        if problem["type"] == "extra_forbidden":
            text = f"{where}: unknown parameter {'.'.join(keys)!r}.{_suggest(keys, model)}"
        elif problem["type"] != "missing":
            text += f" (found {problem['input']!r})"
        lines.append(text)
    return "\n".join(lines)


def _where(keys: list[str], files: tuple[Path, ...], settings: tuple[str, ...]) -> str:
    """Return what set `keys` last: a setting, or a file with its line."""
    for setting in reversed(settings):
        named = setting.partition("=")[0].strip().split(".")
        if named == keys[: len(named)]:
            return f"--set {setting}"
    for file in reversed(files):
        line = _line(file, keys)
        if line is not None:
            return f"{file}:{line}"
    return str(files[0])


def _suggest(keys: list[str], top: type[BaseModel]) -> str:
    model: Any = top
    for key in keys[:-1]:
        found = model.model_fields.get(key) if hasattr(model, "model_fields") else None
        model = found.annotation if found else None
    names = list(model.model_fields) if hasattr(model, "model_fields") else []
    close = difflib.get_close_matches(keys[-1], names, n=1)
    return f" Did you mean {close[0]!r}?" if close else f" Known here: {', '.join(names)}."


def _line(file: Path, keys: list[str]) -> int | None:
    """Return the line of `file` at which the key path ends, or None where it has no such key."""
    node = yaml.compose(file.read_text(encoding="utf-8"))
    line: int | None = None
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == key), None)
            if pair is None:
                return line if line and key == keys[-1] else None
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and key.isdigit() and int(key) < len(node.value):
            node = node.value[int(key)]
            line = node.start_mark.line + 1
    return line
