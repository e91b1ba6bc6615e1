"""Decide, before training, which examples every optimiser step of every epoch reads.

The whole plan follows from the examples, the settings and the seed, so a resumed training goes
on with the step that was next, and every process of several knows the others' shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from w4s.seeds import derive_seed
from w4s.training.examples import Example
from w4s.training.packing import plan_batches


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train. `batch_tokens` fill one batch; a step is `accumulation` batches a process."""

    epochs: int
    learning_rate: float
    warmup_ratio: float
    batch_tokens: int
    lora: bool
    rank: int
    gradient_checkpointing: bool
    accumulation: int = 1


@dataclass(frozen=True, slots=True)
class Step:
    """The batches of one optimiser step, over all processes."""

    epoch: int
    batches: tuple[tuple[Example, ...], ...]

    @property
    def examples(self) -> tuple[Example, ...]:
        """The examples of all its batches."""
        return tuple(example for batch in self.batches for example in batch)

    @property
    def action_tokens(self) -> int:
        """How many tokens bear loss."""
        return sum(len(example.action) for example in self.examples)


def plan_steps(
    examples: Sequence[Example], settings: Settings, *, seed: int, processes: int, share: bool
) -> list[Step]:
    """Return all steps. Without `share`, examples are laid out apart: no tree binds them."""
    if not share:
        examples = [replace(example, tree=f"{i:09d}") for i, example in enumerate(examples)]
    size = settings.accumulation * processes
    steps = []
    for epoch in range(settings.epochs):
        batches = plan_batches(
            examples, budget=settings.batch_tokens, seed=derive_seed(seed, "epoch", epoch)
        )
        for start in range(0, len(batches), size):
            chosen = tuple(tuple(batch) for batch in batches[start : start + size])
            steps.append(Step(epoch, chosen))
    return steps
