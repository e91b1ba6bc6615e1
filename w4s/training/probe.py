"""Measure how far a policy has moved from where training started: KL on probe states.

Exact over the vocabulary, on the first action tokens of a few examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from transformers import PreTrainedModel

from w4s.training.examples import Example
from w4s.training.packing import Batch, path_batch, tree_batch

PROBE_EXAMPLES = 4
PROBE_TOKENS = 48  # action tokens of each: their logits stay in memory as long as the probe


class KlProbe:
    """Holds the starting policy's distributions; measures KL(policy || starting policy)."""

    def __init__(
        self, model: PreTrainedModel, examples: Sequence[Example], *, trees: bool, autocast: bool
    ) -> None:
        self._autocast = autocast
        step = max(1, len(examples) // PROBE_EXAMPLES)
        chosen = [_short(example) for example in examples[::step][:PROBE_EXAMPLES]]
        batch = tree_batch(chosen) if trees else path_batch(chosen)
        self._batch: Batch = batch.to(model.device)
        self._start = self._distributions(model)

    def measure(self, model: PreTrainedModel) -> float:
        """Return the mean over the probe's tokens, in nats."""
        now = self._distributions(model)
        return float((now.exp() * (now - self._start)).sum(-1).mean())

    @torch.no_grad()
    def _distributions(self, model: PreTrainedModel) -> Tensor:
        was_training = model.training
        model.train(False)
        batch = self._batch
        layout = (
            {"position_ids": batch.positions, "runs": batch.runs}
            if batch.runs is not None
            else {"attention_mask": batch.mask}
        )
        kind = batch.tokens.device.type
        with torch.autocast(kind, torch.bfloat16, enabled=self._autocast):
            out = model(
                input_ids=batch.tokens, use_cache=False, logits_to_keep=self._kept(), **layout
            )
        model.train(was_training)
        logits = out.logits.flatten(0, 1) if batch.runs is not None else self._picked(out.logits)
        return torch.log_softmax(logits.float(), dim=-1)

    def _kept(self) -> Tensor | int:
        return self._batch.sources if self._batch.runs is not None else 0

    def _picked(self, logits: Tensor) -> Tensor:
        return logits.flatten(0, 1)[self._batch.sources]


def _short(example: Example) -> Example:
    return replace(example, action=example.action[:PROBE_TOKENS])
