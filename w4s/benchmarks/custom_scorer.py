"""A scorer that is a function of the user's own: `module:function`.

The function gets (question, reference, answer), may be a coroutine function, and returns a
Score, a number in [0, 1] or a bool. It runs in this process: it is the user's code.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from w4s.benchmarks.row_benchmark import ScoreAnswer
from w4s.errors import ConfigError
from w4s.types import Problem, Score


def function_scorer(target: str, *, folder: Path) -> ScoreAnswer:
    """Return the scorer that calls `target`; modules are looked for in `folder` too.

    Raises ConfigError where there is no such function. A call that raises scores 0 with the
    error as the reason; a result that is no score raises ConfigError.
    """
    function = _find(target, folder)

    async def score(problem: Problem, answer: str) -> Score:
        try:
            result = function(problem.question, problem.answer, answer)
            if inspect.isawaitable(result):
                result = await result
        except (Exception, SystemExit) as error:  # noqa: BLE001  # the reason of the score
            return Score(0.0, answer, f"{target} raised {type(error).__name__}: {error!s:.200}")
        return _as_score(target, result, answer)

    return score


def scorer_source(target: str, *, folder: Path) -> bytes:
    """Return the text of the module of `target`, or nothing where it is not beside the task."""
    file = _file(target.partition(":")[0], folder)
    return file.read_bytes() if file.is_file() else b""


def _find(target: str, folder: Path) -> Callable[[str, str, str], Any]:
    module_name, _, name = target.partition(":")
    sys.path.insert(0, str(folder.resolve()))
    try:
        module = _import(module_name, folder)
    except (Exception, SystemExit) as error:  # the user's own module may raise anything
        here = _file(module_name, folder).is_file()
        remedy = "Mend it" if here else "Put the module beside the task file, or install it"
        raise ConfigError(
            f"scorer: {target!r}: cannot import {module_name!r}: {type(error).__name__}: {error}. "
            f"{remedy}."
        ) from error
    finally:
        sys.path.remove(str(folder.resolve()))
    function = getattr(module, name, None)
    if not callable(function):
        raise ConfigError(f"scorer: {target!r}: {module_name!r} has no function {name!r}.")
    _refuse_parameters(target, function)
    return function  # type: ignore[no-any-return]  # its result is checked by _as_score


def _refuse_parameters(target: str, function: Callable[..., Any]) -> None:
    """Raise ConfigError where the function does not take the three texts."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # some functions written in C tell nothing
        return
    try:
        signature.bind("question", "reference", "answer")
    except TypeError as error:
        raise ConfigError(
            f"scorer: {target!r} takes {signature}, and is called with (question, reference, "
            f"answer): {error}. Give it these three parameters."
        ) from error


def _import(name: str, folder: Path) -> ModuleType:
    """Import the module beside the task, under a name of its own: two tasks may have a `score`."""
    file = _file(name, folder)
    if not file.is_file():
        return importlib.import_module(name)
    own = f"w4s_task_{hashlib.sha256(str(file).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(own, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be loaded")
    module = sys.modules[own] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _file(module_name: str, folder: Path) -> Path:
    return folder.resolve().joinpath(*module_name.split(".")).with_suffix(".py")


def _as_score(target: str, result: Any, answer: str) -> Score:
    given = result.value if isinstance(result, Score) else result
    try:  # bools and numbers of numpy are none of Python's
        value = math.nan if isinstance(given, str) else float(given)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not 0 <= value <= 1:  # nor is NaN
        raise ConfigError(
            f"scorer: {target!r} returned {result!r}; a Score, a bool or a number in [0, 1] is due."
        )
    if isinstance(result, Score):
        return replace(result, value=value)
    return Score(value, answer, f"{target} gives {value:.3g}")
