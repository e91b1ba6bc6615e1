"""Attention over runs is attention with the tree's mask."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import LlamaConfig, MistralConfig, PretrainedConfig, Qwen2Config

from w4s.training.attention import attend_to_runs, tree_obstacle
from w4s.training.blocks import BLOCK, attend_in_blocks
from w4s.training.trees import Run, build_tree


def random_heads(length: int, *, heads: int = 6, key_heads: int = 2) -> list[torch.Tensor]:
    torch.manual_seed(length)
    return [
        torch.randn(1, count, length, 8, requires_grad=True)
        for count in (heads, key_heads, key_heads)
    ]


def tree_mask(runs: tuple[Run, ...], length: int) -> torch.Tensor:
    """The tree's mask, pair by pair."""
    mask = torch.zeros(length, length, dtype=torch.bool)
    for run in runs:
        for row in range(run.start, run.end):
            mask[row, run.start : row + 1] = True
            for start, end in run.context:
                mask[row, start:end] = True
    return mask


def grouped(tensor: torch.Tensor, heads: int) -> torch.Tensor:
    return tensor.repeat_interleave(heads // tensor.shape[1], dim=1)


def test_runs_attend_as_the_mask_says() -> None:
    """Outputs and gradients are those of one call with the whole boolean mask."""
    paths = [[1, 2, 3, 4, 5], [1, 2, 3, 9], [1, 2, 7, 7, 7, 7], [5, 5]]
    tree = build_tree(paths, min_shared=1)
    length = len(tree.tokens)
    query, key, value = random_heads(length)
    due = scaled_dot_product_attention(
        query, grouped(key, 6), grouped(value, 6), attn_mask=tree_mask(tree.runs, length), scale=0.3
    )
    found = attend_to_runs(query, key, value, runs=tree.runs, scaling=0.3)
    torch.testing.assert_close(found, due)
    noise = torch.randn_like(due)
    due_grads = torch.autograd.grad(due, (query, key, value), noise)
    found_grads = torch.autograd.grad(found, (query, key, value), noise)
    torch.testing.assert_close(found_grads, due_grads)


def test_blocks_attend_as_fused_attention() -> None:
    """More than one block of queries behind a context: same outputs, same gradients."""
    length, total = BLOCK + 40, BLOCK + 100
    query, key, value = random_heads(total)
    rows = query[:, :, -length:]
    mask = torch.ones(length, total, dtype=torch.bool).tril(total - length)
    due = scaled_dot_product_attention(
        rows, grouped(key, 6), grouped(value, 6), attn_mask=mask, scale=0.3
    )
    found = attend_in_blocks(rows, key, value, scaling=0.3)
    torch.testing.assert_close(found, due)
    noise = torch.randn_like(due)
    due_grads = torch.autograd.grad(due, (query, key, value), noise)
    found_grads = torch.autograd.grad(found, (query, key, value), noise)
    torch.testing.assert_close(found_grads, due_grads, atol=1e-5, rtol=1e-4)


def _rope(kind: str, **others: Any) -> dict[str, Any]:
    return {"rope_type": kind, "rope_theta": 1e4, "factor": 4.0, **others}


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (MistralConfig(), "mistral models"),
        (Qwen2Config(use_sliding_window=True, max_window_layers=1), "sliding_attention"),
        (LlamaConfig(rope_parameters=_rope("dynamic")), "dynamic positions"),
        (LlamaConfig(attention_dropout=0.1), "attention_dropout is 0.1"),
    ],
)
def test_what_trees_would_get_wrong_is_named(config: PretrainedConfig, reason: str) -> None:
    """Windows, frequencies that follow the longest path, and dropout are left to padded paths."""
    assert reason in (tree_obstacle(config) or "")


@pytest.mark.parametrize(
    "config",
    [
        Qwen2Config(use_sliding_window=False, sliding_window=8),
        LlamaConfig(attention_bias=True, rope_parameters=_rope("linear")),
    ],
)
def test_windows_that_are_off_and_fixed_positions_are_no_obstacle(config: PretrainedConfig) -> None:
    """A window that is configured and not used changes nothing."""
    assert tree_obstacle(config) is None
