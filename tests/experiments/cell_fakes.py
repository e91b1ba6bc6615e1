"""Cells made by hand."""

from __future__ import annotations

from collections.abc import Sequence

from w4s.experiments.cells import Cell
from w4s.types import Usage


def cell(
    method: str,
    scores: Sequence[float],
    *,
    benchmark: str = "sums",
    variant: str = "",
    seen: bool = True,
    seed: int | None = None,
    validation: float | None = None,
    curve: Sequence[float] = (),
) -> Cell:
    """Return a cell with ten tokens and two calls a question, and a run named after it."""
    calls = 2 * len(scores)
    return Cell(
        variant=variant,
        benchmark=benchmark,
        seen=seen,
        method=method,
        label=f"the {method}",
        seed=seed,
        validation=validation,
        scores=tuple(scores),
        usage=Usage(calls, 8 * len(scores), 2 * len(scores)),
        usd=0.5 * len(scores),
        seconds=1.0,
        search_usage=Usage(100, 700, 300) if seed is not None else Usage(),
        search_usd=3.0 if seed is not None else None,
        search_seconds=9.0 if seed is not None else 0.0,
        curve=tuple(curve),
        run_id=f"{benchmark}-{method}-{variant}-{seed}".replace(" ", "").ljust(32, "0"),
    )
