"""Make entries of reasoning-gym, and carry them through JSON without loss.

Scores nothing. reasoning-gym is imported inside the functions: it takes about a second.
"""

from __future__ import annotations

import difflib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from w4s.benchmarks.text import normalise_question
from w4s.errors import ConfigError, DataError

# entries looked at for each different question wanted, before the space counts as exhausted
ATTEMPTS_PER_PROBLEM = 20
ATTEMPTS_AT_LEAST = 500
CHILD_SECONDS = 300
# some generators print while they work, hence the other stream
_CHILD = """
import contextlib, json, sys
from w4s.benchmarks.gym_entries import Recipe, encode, generate
with contextlib.redirect_stdout(sys.stderr):
    entries = generate(Recipe(**json.load(sys.stdin)))
print(json.dumps(encode(entries)))
"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What decides a list of entries."""

    dataset: str
    config: Mapping[str, Any]
    seed: int
    count: int


def dataset_names() -> list[str]:
    """Return the names of reasoning-gym's data sets that need no configuration."""
    import reasoning_gym  # noqa: F401  # fills DATASETS
    from reasoning_gym.factory import DATASETS

    return sorted(set(DATASETS) - {"composite"})


def check_dataset(name: str) -> None:
    """Raise ConfigError where reasoning-gym has no such data set."""
    names = dataset_names()
    if name not in names:
        close = ", ".join(difflib.get_close_matches(name, names, n=3)) or "nothing alike"
        raise ConfigError(
            f"rg:{name}: reasoning-gym has no data set {name!r} (close: {close}). "
            f"It has: {', '.join(names)}."
        )


def describe_dataset(name: str) -> str:
    """Return what the data set's class says of itself, as one line."""
    from reasoning_gym.factory import DATASETS

    check_dataset(name)
    lines = (DATASETS[name][0].__doc__ or "").strip().splitlines()
    about = lines[0].rstrip(".") if lines else "procedural problems"
    return f"reasoning-gym's {name}: {about}. The answer has the form that the question asks for."


def make_dataset(name: str, config: Mapping[str, Any], *, seed: int, size: int) -> Any:
    """Return reasoning-gym's data set object."""
    import reasoning_gym

    return reasoning_gym.create_dataset(name, seed=seed, size=size, **config)


def generate(recipe: Recipe) -> list[dict[str, Any]]:
    """Return up to `count` entries {index, question, answer, metadata} with different questions."""
    attempts = max(ATTEMPTS_AT_LEAST, ATTEMPTS_PER_PROBLEM * recipe.count)
    dataset = make_dataset(recipe.dataset, recipe.config, seed=recipe.seed, size=attempts)
    seen: set[str] = set()
    found: list[dict[str, Any]] = []
    for index in range(attempts):
        if len(found) == recipe.count:
            break
        entry = dataset[index]
        text = normalise_question(entry["question"])
        if text not in seen:
            seen.add(text)
            kept = {key: entry[key] for key in ("question", "answer", "metadata")}
            found.append({"index": index, **kept})
    return found


def generate_in_child(recipe: Recipe) -> list[dict[str, Any]]:
    """Return what `generate` returns in a process with a fixed hash seed.

    A few generators walk over sets, so that their entries differ from process to process.
    Raises DataError where the child fails.
    """
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _CHILD],
            input=json.dumps(asdict(recipe)),
            capture_output=True,
            text=True,
            timeout=CHILD_SECONDS,
            check=True,
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        message = (
            f"rg:{recipe.dataset}: no {recipe.count} problems in {CHILD_SECONDS} s; ask fewer."
        )
        raise DataError(message) from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no message"])[-1]
        raise DataError(f"rg:{recipe.dataset}: the generator failed: {last}") from error
    entries: list[dict[str, Any]] = decode(json.loads(done.stdout))
    return entries


def encode(value: Any) -> Any:
    """Return `value` as JSON values, tuples and dicts with other keys than text marked."""
    if isinstance(value, tuple):
        return {"__tuple__": [encode(item) for item in value]}
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value):
            return {str(key): encode(item) for key, item in value.items()}
        return {"__items__": [[encode(key), encode(item)] for key, item in value.items()]}
    return value


def decode(value: Any) -> Any:
    """Return what `encode` was given."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if isinstance(value, dict):
        if set(value) == {"__tuple__"}:
            return tuple(decode(item) for item in value["__tuple__"])
        if set(value) == {"__items__"}:
            return {decode(key): decode(item) for key, item in value["__items__"]}
        return {key: decode(item) for key, item in value.items()}
    return value
