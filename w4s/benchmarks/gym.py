"""Procedural benchmarks from reasoning-gym, each with its own verifier.

Any data set of reasoning-gym by `rg:NAME` with its default configuration. reasoning-gym is
imported when the first problem is made (about a second), not before.

Verdicts are reasoning-gym's (`score_answer`), but only its full mark counts: it gives partial
credit for wrong answers that look right, and an accuracy must not.

Source: https://github.com/open-thought/reasoning-gym
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from w4s.benchmarks.answers import decimal_value, unwrap
from w4s.benchmarks.base import TooFewProblems
from w4s.benchmarks.child import LineChild
from w4s.benchmarks.gym_child import mark
from w4s.benchmarks.gym_entries import Recipe, generate, generate_in_child, make_dataset
from w4s.benchmarks.gym_safety import unsafe_reason
from w4s.benchmarks.lossless import encode
from w4s.types import Problem, Score

SCORER_REVISION = 1
NO_REFERENCE = "(any answer that passes the check)"


class GymBenchmark:
    """A data set of reasoning-gym with a fixed configuration.

    `stable` says that its generator is known not to depend on the hash seed of the process, and
    its verifier to be quick with any answer; others generate and verify in child processes.
    """

    def __init__(
        self,
        name: str,
        *,
        dataset: str,
        description: str,
        config: Mapping[str, Any] | None = None,
        stable: bool = False,
    ) -> None:
        self._name = name
        self._dataset = dataset
        self._description = description
        self._config = dict(config or {})
        self._stable = stable

    @property
    def name(self) -> str:
        """The name used in parameters, files and reports."""
        return self._name

    @property
    def description(self) -> str:
        """What is asked and which form an answer has, for the policy."""
        return self._description

    @cached_property
    def version(self) -> str:
        """Name the package's version, the configuration and the scorer's revision."""
        settings = json.dumps([self._dataset, self._config], sort_keys=True)
        digest = hashlib.sha256(settings.encode()).hexdigest()[:8]
        package = importlib.metadata.version("reasoning-gym")
        return f"reasoning-gym-{package}-{digest}-{SCORER_REVISION}"

    def problems(self, count: int, *, seed: int) -> list[Problem]:
        """Return `count` problems with different questions, the same for the same seed.

        Raises TooFewProblems where the configuration has fewer.
        """
        recipe = Recipe(self._dataset, self._config, self._derived_seed(seed), count)
        found = generate(recipe) if self._stable else generate_in_child(recipe)
        if len(found) < count:
            raise TooFewProblems(self._name, asked=count, available=len(found))
        return [self._problem(entry, seed) for entry in found]

    async def score(self, problem: Problem, answer: str) -> Score:
        """Judge with the data set's own verifier: 1 for its full mark, else 0."""
        return await asyncio.to_thread(self._score, problem, answer)

    def _derived_seed(self, seed: int) -> int:
        # entry i of seed s is entry i-1 of seed s+1 in reasoning-gym, hence no small seeds
        digest = hashlib.sha256(f"{self._dataset}/{seed}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1

    def _problem(self, entry: Mapping[str, Any], seed: int) -> Problem:
        answer = entry["answer"]
        return Problem(
            id=f"{self._name}-{seed}-{entry['index']}",
            benchmark=self._name,
            question=entry["question"],
            answer=NO_REFERENCE if answer is None else str(answer),
            data={"answer": encode(answer), "metadata": encode(entry["metadata"])},
        )

    @cached_property
    def _verifier(self) -> Any:
        return make_dataset(self._dataset, self._config, seed=0, size=1)

    @cached_property
    def _child(self) -> LineChild:
        return LineChild("w4s.benchmarks.gym_child")

    def _verified(self, problem: Problem, given: str) -> dict[str, Any]:
        """Return {"mark"} or {"error"}."""
        request = {"question": problem.question, "given": given, **problem.data}
        if self._stable:
            return mark(self._verifier, request)
        return self._child.ask({"dataset": self._dataset, "config": self._config, **request})

    def _score(self, problem: Problem, answer: str) -> Score:
        if not answer.strip():
            return Score(0.0, None, "the answer is empty")
        marks = {}
        for text in _readings(answer, problem.answer):
            refusal = unsafe_reason(self._dataset, text)
            if refusal is not None:
                return Score(0.0, text, refusal)
            found = self._verified(problem, text)
            if "error" in found:
                return Score(0.0, text, str(found["error"]))
            marks[text] = float(found["mark"])
            # exactly: sums of partial marks may pass 1 by a rounding error
            if marks[text] == 1.0:
                return Score(1.0, text, "the verifier gives full marks")
        text, mark = max(marks.items(), key=lambda item: item[1])
        return Score(0.0, text, f"the verifier gives {mark:.3g} of 1")


def _readings(answer: str, reference: str) -> list[str]:
    """Return the spellings of the answer to try, in order, each once."""
    text = unwrap(answer)
    given, due = decimal_value(text), decimal_value(reference)
    if given is not None and given == due:
        return [reference]
    readings = [text, text.removesuffix(".").rstrip(), answer.strip()]
    return list(dict.fromkeys(reading for reading in readings if reading))
