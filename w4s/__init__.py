"""Weak-for-Strong Harnessing: a small model learns to write workflows for a large one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from w4s.solver import Solver, load_workflow

__all__ = ["Solver", "load_workflow"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for, so that everything else starts at once."""
    if name in __all__:
        from w4s import solver

        return getattr(solver, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
