"""Fill batches with examples up to a token budget: trees of shared states, or padded paths.

A batch of trees is one sequence, in which whatever examples share is there once, also across
trees. Examples of one tree stay together unless the tree alone passes the budget.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from w4s.training.examples import Example
from w4s.training.trees import Run, build_tree, tree_size


@dataclass(frozen=True, slots=True)
class Batch:
    """What one forward pass reads, and where it bears loss.

    `tokens`, `positions` [rows, length]; `mask` [rows, length] marks what is no padding, None
    where `runs` describe one packed row. Entry e says that the token `targets[e]` follows the
    place `sources[e]` of the flattened sequence, with weight `weights[e]`, on the path of the
    example `owners[e]` of `examples`.
    """

    tokens: Tensor
    positions: Tensor
    mask: Tensor | None
    runs: tuple[Run, ...] | None
    sources: Tensor
    targets: Tensor
    weights: Tensor
    owners: Tensor
    examples: tuple[Example, ...]

    def to(self, device: torch.device) -> Batch:
        """Return the batch on `device`."""
        move = {
            name: getattr(self, name).to(device)
            for name in ("tokens", "positions", "sources", "targets", "weights", "owners")
        }
        mask = None if self.mask is None else self.mask.to(device)
        return Batch(mask=mask, runs=self.runs, examples=self.examples, **move)


def plan_batches(examples: Sequence[Example], *, budget: int, seed: int) -> list[list[Example]]:
    """Shuffle the trees and fill batches with them, first fit, at most `budget` tokens each.

    A tree over the budget is split between its examples; an example over it is a batch alone.
    """
    groups = [part for tree in _trees(examples) for part in _within(tree, budget)]
    random.Random(seed).shuffle(groups)
    bins: list[tuple[list[Example], int]] = []
    for group in groups:
        size = tree_size([example.path for example in group])
        for place, (held, used) in enumerate(bins):
            if used + size <= budget:
                bins[place] = ([*held, *group], used + size)
                break
        else:
            bins.append((list(group), size))
    return [held for held, _ in bins]


def tree_batch(examples: Sequence[Example]) -> Batch:
    """Pack examples into one row, with shared beginnings once."""
    tree = build_tree([example.path for example in examples])
    return Batch(
        tokens=torch.tensor([tree.tokens]),
        positions=torch.tensor([tree.depths]),
        mask=None,
        runs=tree.runs,
        examples=tuple(examples),
        **_entries(examples, tree.places),
    )


def path_batch(examples: Sequence[Example], *, length: int | None = None) -> Batch:
    """Lay examples out one a row, padded on the right to the longest, or to `length`."""
    width = max([length or 0, *(len(example.path) for example in examples)])
    rows = [example.path + (0,) * (width - len(example.path)) for example in examples]
    lengths = torch.tensor([len(example.path) for example in examples])
    places = [
        tuple(range(row * width, row * width + len(example.path)))
        for row, example in enumerate(examples)
    ]
    return Batch(
        tokens=torch.tensor(rows),
        positions=torch.arange(width).expand(len(rows), width),
        mask=torch.arange(width)[None] < lengths[:, None],
        runs=None,
        examples=tuple(examples),
        **_entries(examples, places),
    )


def _entries(examples: Sequence[Example], places: Sequence[tuple[int, ...]]) -> dict[str, Tensor]:
    """List the action tokens of all examples, each with the place that predicts it."""
    sources: list[int] = []
    targets: list[int] = []
    owners: list[int] = []
    for owner, (example, path) in enumerate(zip(examples, places, strict=True)):
        before = len(example.prompt) - 1
        sources.extend(path[before:-1])
        targets.extend(example.action)
        owners.extend([owner] * len(example.action))
    weights = torch.tensor([example.weight for example in examples], dtype=torch.float32)
    index = torch.tensor(owners)
    return {
        "sources": torch.tensor(sources),
        "targets": torch.tensor(targets),
        "weights": weights[index],
        "owners": index,
    }


def _trees(examples: Sequence[Example]) -> list[list[Example]]:
    ordered = sorted(examples, key=lambda example: example.tree)
    return [list(group) for _, group in groupby(ordered, key=lambda example: example.tree)]


def _within(tree: list[Example], budget: int) -> list[list[Example]]:
    """Split a tree into parts of at most `budget` tokens, examples of equal states together."""
    if tree_size([example.path for example in tree]) <= budget:
        return [tree]
    parts: list[list[Example]] = []
    for example in sorted(tree, key=lambda example: example.path):
        grown = [*parts[-1], example] if parts else [example]
        if parts and tree_size([e.path for e in grown]) <= budget:
            parts[-1] = grown
        else:
            parts.append([example])
    return parts
