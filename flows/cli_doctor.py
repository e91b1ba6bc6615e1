"""`w4s doctor`: can this machine run the program, and how safely?"""

from __future__ import annotations

import asyncio
import platform

from rich.console import Console
from rich.markup import escape

from w4s.errors import WeightsError
from w4s.llm.weights import embedded_weights
from w4s.sandbox.doctor import Diagnosis, diagnose


def examine() -> bool:
    """Print what holds and what does not; return whether everything that is needed does."""
    console = Console(highlight=False, soft_wrap=True)
    _line(console, good=True, text=f"Python {platform.python_version()}")
    weights = _weights(console)
    diagnosis = asyncio.run(diagnose())
    _sandbox(console, diagnosis)
    return weights and diagnosis.safe


def _weights(console: Console) -> bool:
    try:
        path = embedded_weights()
    except WeightsError as error:
        _line(console, good=False, text=f"weights of the embedded model: {error}")
        return False
    _line(console, good=True, text=f"weights of the embedded model: {path}")
    return True


def _sandbox(console: Console, diagnosis: Diagnosis) -> None:
    what = "generated code runs isolated" if diagnosis.safe else str(diagnosis.problem)
    _line(console, good=diagnosis.safe, text=f"sandbox: {what}")
    for layer in diagnosis.layers:
        state = "on " if layer.active else "off"
        console.print(f"      {state} {escape(layer.name)}: stops {escape(layer.stops)}")
        console.print(f"          ({escape(layer.detail)})")
    console.print("    not covered:")
    for item in diagnosis.uncovered:
        console.print(f"      - {escape(item)}")


def _line(console: Console, *, good: bool, text: str) -> None:
    console.print(f"{'ok ' if good else 'BAD'} {escape(text)}")
