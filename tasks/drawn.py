"""Pictures that are drawn once: most of the time of a stage whose results are cached."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python

from tasks.context import Context
from tasks.keys import cache_key
from w4s.files import atomic_write_bytes


def draw_once(context: Context, target: Path, draw: Callable[[Path, Any], None], data: Any) -> None:
    """Draw `data` into `target`, or copy the picture that was drawn of it before."""
    key = cache_key(
        f"pictures/{target.stem}",
        code=("report",),
        parameters={"data": to_jsonable_python(data)},
        inputs={"matplotlib": version("matplotlib")},
    )
    kept = context.workspace.made / f"{key}.png"
    if not kept.is_file():
        draw(kept, data)
    atomic_write_bytes(target, kept.read_bytes())
