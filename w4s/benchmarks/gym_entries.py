"""Make entries of reasoning-gym, here or in a child process.

Scores nothing. reasoning-gym is imported inside the functions: it takes about a second.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from w4s.benchmarks.lossless import decode
from w4s.benchmarks.text import normalise_question
from w4s.errors import DataError

# entries looked at for each different question wanted, before the space counts as exhausted
ATTEMPTS_PER_PROBLEM = 20
ATTEMPTS_AT_LEAST = 500
CHILD_SECONDS = 300
# some generators print while they work, hence the other stream; some draw from the global generator
_CHILD = """
import contextlib, json, random, sys
from w4s.benchmarks.gym_entries import Recipe, generate
from w4s.benchmarks.lossless import encode
recipe = Recipe(**json.load(sys.stdin))
random.seed(recipe.seed)
with contextlib.redirect_stdout(sys.stderr):
    entries = generate(recipe)
print(json.dumps(encode(entries)))
"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What decides a list of entries."""

    dataset: str
    config: Mapping[str, Any]
    seed: int
    count: int


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
    """Return what `generate` returns in a process with a fixed hash seed and random state.

    A few generators walk over sets, or draw from the global generator, so that their entries differ
    from process to process.
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
