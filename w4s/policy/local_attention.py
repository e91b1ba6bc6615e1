"""Attention for many rows that continue few prompts, with each prompt's cache held once.

A query attends to its prompt's keys and values, in one product for all rows of the prompt, and to
its row's own; one softmax covers both. Samples nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

_ROOM = 64  # the rows' own cache grows, and is read, by so many columns: few shapes


class SharedPrompts:
    """Keys and values of the prompts, by layer: [heads, dim, length] and [heads, length, dim].

    On a CPU they are float32, whatever the model's: its small products are the faster ones.
    """

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
            keys, values = _exact(layer.keys[0]), _exact(layer.values[0])
            self.layers[index].append((keys.transpose(1, 2).contiguous(), values.contiguous()))
        self.rows.append(rows)

    def keep(self, rows: Sequence[int]) -> None:
        """Forget the rows that are not among these, by their places in the batch."""
        first, kept = 0, []
        for count in self.rows:
            kept.append(sum(first <= row < first + count for row in rows))
            first += count
        self.rows = kept


class RowCache:
    """The rows' own keys and values, in buffers that grow: [2 * heads, rows, room, dim] a layer.

    A row's tokens stand one after the other; those that it did not keep are written over, so that
    room is needed for the longest row, however many guesses were wrong.
    """

    def __init__(self, shared: SharedPrompts) -> None:
        rows = sum(shared.rows)
        self._lengths = [0] * rows
        self._used = 0
        self._buffers: list[Tensor] = []
        for (_, values), *_ in shared.layers:
            heads, _, dim = values.shape
            self._buffers.append(values.new_zeros(2 * heads, rows, _ROOM, dim))
        self._rows = self._columns = torch.empty(0)

    def open(self, width: int) -> Tensor:
        """Make room for `width` tokens a row; return what they may see, 0 or -inf.

        [1, rows, width, 1, columns]: the tokens that the row kept, and this step's up to itself.
        """
        first = self._buffers[0]
        self._used = _rounded(max(self._lengths) + width)
        if self._used > first.shape[2]:
            self._buffers = [_longer(buffer, self._used) for buffer in self._buffers]
        lengths = torch.tensor(self._lengths, device=first.device).unsqueeze(1)
        self._rows = torch.arange(len(lengths), device=first.device).unsqueeze(1)
        self._columns = lengths + torch.arange(width, device=first.device)
        unseen = torch.arange(self._used, device=first.device) > self._columns.unsqueeze(2)
        mask = torch.zeros(unseen.shape, dtype=first.dtype, device=first.device)
        return mask.masked_fill_(unseen, float("-inf"))[None, :, :, None]

    def add(self, layer: int, found: Tensor) -> tuple[Tensor, Tensor]:
        """Add this step's keys, then values, [rows, width, 2 * heads, dim].

        Return all of the rows' own keys and values, [heads, rows, columns, dim].
        """
        buffer = self._buffers[layer]
        buffer[:, self._rows, self._columns] = found.permute(2, 0, 1, 3).to(buffer.dtype)
        keys, values = buffer[:, :, : self._used].chunk(2)
        return keys, values

    def settle(self, kept: Sequence[int]) -> None:
        """Of the last step's tokens of each row, keep the first kept[row]."""
        self._lengths = [old + new for old, new in zip(self._lengths, kept, strict=True)]

    def keep(self, rows: Sequence[int]) -> None:
        """Hold these rows only, in this order."""
        index = torch.tensor(rows, device=self._buffers[0].device)
        self._buffers = [buffer[:, index] for buffer in self._buffers]
        self._lengths = [self._lengths[row] for row in rows]


def attend(
    query: Tensor,
    prompts: list[tuple[Tensor, Tensor]],
    rows: list[int],
    own: tuple[Tensor, Tensor],
    mask: Tensor,
) -> Tensor:
    """Attend to the shared prompts and the rows' own tokens: one softmax over both.

    query [rows, width, heads, dim], scaled; `rows` continue each of the prompts; own keys and
    values [key heads, rows, columns, dim]. Return [rows, width, heads * dim].
    """
    count, width, heads, dim = query.shape
    groups = own[0].shape[0]
    each = heads // groups
    grouped = query.to(own[0].dtype).view(count, width, groups, each, dim).permute(2, 0, 1, 3, 4)
    grouped = grouped.reshape(groups, count, width * each, dim)
    scores = torch.matmul(grouped, own[0].transpose(2, 3))
    scores = scores.view(groups, count, width, each, -1) + mask
    scores = scores.view(groups, count, width * each, -1)
    parts, first = [], 0
    for part, (keys, values) in zip(rows, prompts, strict=True):
        if part:
            at = slice(first, first + part)
            parts.append(_attend_one(grouped[:, at], keys, values, scores[:, at], own[1][:, at]))
        first += part
    out = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
    out = out.view(groups, count, width, each, dim).permute(1, 2, 0, 3, 4)
    return out.reshape(count, width, heads * dim)


def _attend_one(
    query: Tensor, keys: Tensor, values: Tensor, own_scores: Tensor, own_values: Tensor
) -> Tensor:
    """Attend for the rows of one prompt; query [key heads, rows, queries of a row, dim]."""
    groups, rows, queries, dim = query.shape
    length = keys.shape[2]
    shared = torch.bmm(query.reshape(groups, rows * queries, dim), keys)
    scores = torch.cat((shared.view(groups, rows, queries, length), own_scores), dim=-1)
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    first = weights[..., :length].reshape(groups, rows * queries, length)
    from_prompt = torch.bmm(first, values).view(groups, rows, queries, dim)
    return from_prompt + torch.matmul(weights[..., length:], own_values)


def _exact(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.device.type == "cpu" else tensor


def _rounded(columns: int) -> int:
    return -(-columns // _ROOM) * _ROOM


def _longer(buffer: Tensor, columns: int) -> Tensor:
    """Return the buffer with room for `columns`, at least twice its own."""
    room = max(2 * buffer.shape[2], columns)
    longer = buffer.new_zeros(*buffer.shape[:2], room, buffer.shape[3])
    longer[:, :, : buffer.shape[2]] = buffer
    return longer
