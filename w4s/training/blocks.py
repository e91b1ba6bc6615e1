"""Causal attention by plain matrix products in blocks of queries, for bfloat16 on the CPU.

There PyTorch's fused attention computes at the speed of float32; matrix products in bfloat16 are
twice as fast where the processor has them. As in FlashAttention (arXiv 2205.14135) the
probabilities are computed again in the backward pass, so that they are never kept.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

BLOCK = 256  # queries at once: the square above the diagonal is wasted work


def attend_in_blocks(query: Tensor, key: Tensor, value: Tensor, *, scaling: float) -> Tensor:
    """Attend causally, the queries being the last of the keys' positions.

    query [1, heads, length, dim], key and value [1, key heads, total, dim]; heads that share a
    key head are one product.
    """
    length, total = query.shape[2], key.shape[2]
    attend: Any = _Block.apply
    parts = []
    for start in range(0, length, BLOCK):
        end = min(start + BLOCK, length)
        seen = total - length + end
        rows = query[:, :, start:end] * scaling
        parts.append(attend(rows, key[0, :, :seen], value[0, :, :seen]))
    return torch.cat(parts, dim=2)


class _Block(torch.autograd.Function):
    """softmax(query · keyᵀ + mask) · value for one block of queries at the end of the keys."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        flat = _by_key_head(query, len(key))
        with torch.autocast("cpu", enabled=False):
            weights = _weights(flat, key, query.shape[2])
            out = _by_head(torch.bmm(weights, value), query)
        ctx.save_for_backward(query, key, value)
        return out

    @staticmethod
    def backward(ctx: Any, out_grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = ctx.saved_tensors
        flat = _by_key_head(query, len(key))
        grad = _by_key_head(out_grad, len(key))
        with torch.autocast("cpu", enabled=False):
            weights = _weights(flat, key, query.shape[2])
            value_grad = torch.bmm(weights.transpose(1, 2), grad)
            towards = torch.bmm(grad, value.transpose(1, 2))
            # softmax's derivative in one pass: written out, mixed types took seven times as long
            scores_grad = torch.ops.aten._softmax_backward_data(towards, weights, -1, weights.dtype)
            query_grad = _by_head(torch.bmm(scores_grad, key), query)
            key_grad = torch.bmm(scores_grad.transpose(1, 2), flat)
        return query_grad, key_grad, value_grad


def _weights(flat: Tensor, key: Tensor, length: int) -> Tensor:
    """Return the attention weights [key heads, group · length, seen]."""
    scores = torch.bmm(flat, key.transpose(1, 2))
    seen = key.shape[1]
    later = torch.ones(length, length, dtype=torch.bool).triu_(1)
    own = scores.view(len(key), -1, length, seen)[..., seen - length :]
    own.masked_fill_(later, float("-inf"))
    return torch.softmax(scores, dim=-1)


def _by_key_head(heads: Tensor, key_heads: int) -> Tensor:
    """[1, heads, length, dim] to [key heads, group · length, dim]."""
    return heads.reshape(key_heads, -1, heads.shape[3])


def _by_head(flat: Tensor, like: Tensor) -> Tensor:
    return flat.reshape(like.shape)
