"""The weighted log-likelihood of action tokens, without the logits of any other token.

The output layer runs on the places that predict an action token only, some hundred at a time,
and its gradient is taken at once: the logits of a whole sequence are never in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from w4s.training.packing import Batch

CHUNK = 256  # places whose logits are in memory at once


@dataclass(frozen=True, slots=True)
class Likelihood:
    """`loss`: −Σ weight · log π over the entries. `entries` [entries]: their log π, no gradient."""

    loss: Tensor
    entries: Tensor


class ActionLikelihood(nn.Module):
    """A causal language model that scores the action tokens of batches.

    The model's logits must be its output layer on its last hidden state; other models are
    scored through their own forward pass, with `plain_head=False`.
    """

    def __init__(self, model: PreTrainedModel, *, plain_head: bool = True) -> None:
        super().__init__()
        self.model = model
        self.plain_head = plain_head

    def forward(self, batch: Batch) -> Likelihood:
        """Score a batch: its entries' log-likelihoods, and their weighted negative sum."""
        places, rows = torch.unique(batch.sources, return_inverse=True)
        if not self.plain_head:
            logits = self.model(**_inputs(batch)).logits.flatten(0, 1)[places]
            entries = torch.log_softmax(logits.float(), dim=-1)[rows, batch.targets]
            return Likelihood(-(entries * batch.weights).sum(), entries.detach())
        model: Any = self.model  # whose methods are untyped
        hidden = model.get_decoder()(**_inputs(batch)).last_hidden_state
        head: nn.Linear = model.get_output_embeddings()
        # without gradients none is to be taken on the way: the weights alone would ask for one
        weight = head.weight if torch.is_grad_enabled() else head.weight.detach()
        score: Any = _WeightedLikelihood.apply
        loss, entries = score(
            hidden.flatten(0, 1)[places], weight, rows, batch.targets, batch.weights
        )
        return Likelihood(loss, entries)


def example_sums(batch: Batch, entries: Tensor) -> list[float]:
    """Return the log-likelihood of each of the batch's examples: the sum of its entries."""
    totals = torch.zeros(len(batch.examples), dtype=torch.float64)
    totals.index_add_(0, batch.owners.cpu(), entries.double().cpu())
    return [float(total) for total in totals]


def _inputs(batch: Batch) -> dict[str, Any]:
    inputs: dict[str, Any] = {"input_ids": batch.tokens, "use_cache": False}
    if batch.runs is not None:
        return {**inputs, "position_ids": batch.positions, "runs": batch.runs}
    return {**inputs, "attention_mask": batch.mask.long() if batch.mask is not None else None}


class _WeightedLikelihood(torch.autograd.Function):
    """−Σ weight · log softmax(hidden · headᵀ)[target], with its gradient taken on the way.

    hidden [places, dim], head [vocabulary, dim]; entry e belongs to place `rows[e]`.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, head: Tensor, rows: Tensor, targets: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        dtype = _compute_dtype(hidden)
        work = _Accumulator(hidden, head, dtype, ctx.needs_input_grad)
        entries = torch.empty(len(rows), dtype=torch.float32, device=hidden.device)
        with torch.autocast(hidden.device.type, enabled=False):
            for start in range(0, len(hidden), CHUNK):
                chosen = ((rows >= start) & (rows < start + CHUNK)).nonzero().squeeze(1)
                places = rows[chosen] - start
                entries[chosen] = work.add(start, places, targets[chosen], weights[chosen])
        head_grad = None if work.head_grad is None else work.head_grad.to(head.dtype)
        ctx.save_for_backward(work.hidden_grad, head_grad)
        ctx.mark_non_differentiable(entries)
        return -(entries * weights).sum(), entries

    @staticmethod
    def backward(ctx: Any, loss_grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        hidden_grad, head_grad = ctx.saved_tensors
        scaled = [None if grad is None else grad * loss_grad for grad in (hidden_grad, head_grad)]
        return (*scaled, None, None, None)


class _Accumulator:
    """Adds up the gradients, chunk by chunk, of what needs one."""

    def __init__(
        self, hidden: Tensor, head: Tensor, dtype: torch.dtype, needs: tuple[bool, ...]
    ) -> None:
        self.hidden = hidden.to(dtype)
        self.head = head.to(dtype)
        # one for all chunks: the system clears the pages of every new one
        self.logits = hidden.new_empty(min(CHUNK, len(hidden)), len(head), dtype=torch.float32)
        self.hidden_grad = torch.empty_like(hidden) if needs[0] else None
        self.head_grad = torch.zeros_like(head, dtype=torch.float32) if needs[1] else None

    def add(self, start: int, rows: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Score the entries of one chunk of places, [entries]."""
        hidden = self.hidden[start : start + CHUNK]
        logits = self.logits[: len(hidden)]
        logits.copy_(hidden @ self.head.T)
        logits.sub_(logits.amax(-1, keepdim=True))
        chosen = logits[rows, targets]
        sums = logits.exp_().sum(-1)
        entries = chosen - sums.log()[rows]
        if self.hidden_grad is None and self.head_grad is None:
            return entries
        totals = torch.zeros_like(sums).index_add_(0, rows, weights)
        grad = logits.mul_((totals / sums)[:, None])
        grad.index_put_((rows, targets), -weights, accumulate=True)
        low = grad.to(self.head.dtype)
        if self.hidden_grad is not None:
            self.hidden_grad[start : start + CHUNK] = low @ self.head
        if self.head_grad is not None:
            self.head_grad += (low.T @ hidden).float()
        return entries


def _compute_dtype(hidden: Tensor) -> torch.dtype:
    kind = hidden.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
