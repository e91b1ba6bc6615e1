"""Attention for many rows that continue few prompts, with each prompt's cache held once.

A query attends to its prompt's keys and values, in one product for all rows of the prompt, and to
its row's own; one softmax covers both. Registered with transformers. Samples nothing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

ATTENTION = "w4s_shared_prompt"
_FIRST_ROOM = 64  # tokens that the rows' own cache holds at first; it doubles


class SharedPrompts:
    """Keys and values of the prompts, by layer: [heads, dim, length] and [heads, length, dim]."""

    def __init__(self) -> None:
        self.layers: list[list[tuple[Tensor, Tensor]]] = []
        self.rows: list[int] = []

    def add(self, cache: DynamicCache, rows: int) -> None:
        """Hold the cache of one prompt that `rows` rows continue."""
        for index, layer in enumerate(cache.layers):
            if index == len(self.layers):
                self.layers.append([])
            if not isinstance(layer, DynamicLayer) or layer.keys is None or layer.values is None:
                raise TypeError(f"a plain cache layer is due, found {type(layer).__name__}")
            keys = layer.keys[0].transpose(1, 2).contiguous()
            self.layers[index].append((keys, layer.values[0].contiguous()))
        self.rows.append(rows)

    def keep(self, rows: Tensor) -> None:
        """Forget the rows that are not among these, by their places in the batch."""
        first, kept = 0, []
        for count in self.rows:
            kept.append(int(((rows >= first) & (rows < first + count)).sum()))
            first += count
        self.rows = kept


class RowCache:
    """The rows' own keys and values, in buffers that double; what a model asks of a cache."""

    is_compileable = False

    def __init__(self) -> None:
        self.length = 0
        self._keys: list[Tensor] = []
        self._values: list[Tensor] = []

    def open(self, shared: SharedPrompts) -> None:
        """Make the buffers, [rows, heads, room, dim] a layer."""
        rows = sum(shared.rows)
        for parts in shared.layers:
            heads, _, dim = parts[0][1].shape
            self._keys.append(parts[0][1].new_empty(rows, heads, _FIRST_ROOM, dim))
            self._values.append(parts[0][1].new_empty(rows, heads, _FIRST_ROOM, dim))

    def update(
        self, keys: Tensor, values: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Add one token's keys and values [rows, heads, 1, dim]; return all of the rows'."""
        at = self.length
        if at == self._keys[layer_idx].shape[2]:
            self._keys[layer_idx] = _doubled(self._keys[layer_idx])
            self._values[layer_idx] = _doubled(self._values[layer_idx])
        self._keys[layer_idx][:, :, at : at + 1] = keys
        self._values[layer_idx][:, :, at : at + 1] = values
        return self._keys[layer_idx][:, :, : at + 1], self._values[layer_idx][:, :, : at + 1]

    def keep(self, rows: Tensor) -> None:
        """Hold these rows only, in this order."""
        self._keys = [buffer[rows] for buffer in self._keys]
        self._values = [buffer[rows] for buffer in self._values]

    def get_seq_length(self, layer_idx: int = 0) -> int:  # noqa: ARG002  # transformers' signature
        """Return how many tokens of their own the rows hold."""
        return self.length


def _doubled(buffer: Tensor) -> Tensor:
    return torch.cat((buffer, torch.empty_like(buffer)), dim=2)


def _attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    shared_prompts: SharedPrompts | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attend to the shared prompts and the rows' own tokens: one softmax over both.

    query [rows, heads, 1, dim]; key and value [rows, key heads, length, dim].
    """
    if shared_prompts is None:  # a prompt is being read
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )
    rows, heads, _, dim = query.shape
    groups = key.shape[1]
    grouped = (query * scaling).view(rows, groups, heads // groups, dim)
    prompts = shared_prompts.layers[module.layer_idx]  # type: ignore[index]  # an int, says no type
    parts, first = [], 0
    for count, (keys, values) in zip(shared_prompts.rows, prompts, strict=True):
        if count:
            own = slice(first, first + count)
            parts.append(_attend_one(grouped[own], keys, values, key[own], value[own]))
        first += count
    out = parts[0] if len(parts) == 1 else torch.cat(parts)
    return out.reshape(rows, 1, heads, dim), None


def _attend_one(
    query: Tensor, keys: Tensor, values: Tensor, own_keys: Tensor, own_values: Tensor
) -> Tensor:
    """Attend for the rows of one prompt; query [rows, groups, heads of a group, dim]."""
    rows, groups, each, dim = query.shape
    length = keys.shape[2]
    flat = query.transpose(0, 1).reshape(groups, rows * each, dim)
    shared = torch.bmm(flat, keys).view(groups, rows, each, length).transpose(0, 1)
    scores = torch.cat((shared, torch.matmul(query, own_keys.transpose(2, 3))), dim=-1)
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    first = weights[..., :length].transpose(0, 1).reshape(groups, rows * each, length)
    from_prompt = torch.bmm(first, values).view(groups, rows, each, dim).transpose(0, 1)
    return from_prompt + torch.matmul(weights[..., length:], own_values)


ALL_ATTENTION_FUNCTIONS.register(ATTENTION, _attend)
