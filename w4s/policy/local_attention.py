"""Attention for many rows that continue few prompts, with each prompt's cache held once.

A query attends to its prompt's keys and values, in one product for all rows of the prompt, and to
its row's own; one softmax covers both. Samples nothing.
"""

from __future__ import annotations

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

    def keep(self, rows: Tensor) -> None:
        """Forget the rows that are not among these, by their places in the batch."""
        first, kept = 0, []
        for count in self.rows:
            kept.append(int(((rows >= first) & (rows < first + count)).sum()))
            first += count
        self.rows = kept


class RowCache:
    """The rows' own keys and values, [heads, rows, room, dim] a layer, in buffers that grow.

    Every step adds its tokens as columns, the same number for all rows; those that a row did not
    keep stay, and are masked.
    """

    def __init__(self, shared: SharedPrompts) -> None:
        self._columns = 0
        self._keys: list[Tensor] = []
        self._values: list[Tensor] = []
        rows = sum(shared.rows)
        for (_, values), *_ in shared.layers:
            heads, _, dim = values.shape
            self._keys.append(values.new_zeros(heads, rows, _ROOM, dim))
            self._values.append(values.new_zeros(heads, rows, _ROOM, dim))
        self._kept = torch.zeros(rows, _ROOM, dtype=torch.bool, device=self._keys[0].device)

    def open(self, width: int) -> Tensor:
        """Make room for `width` tokens a row; return what they may see, 0 or -inf.

        [1, rows, width, 1, columns]: all tokens that the row kept, and those of this step up to
        itself.
        """
        at, end = self._columns, self._columns + width
        if end > self._kept.shape[1]:
            self._keys = [_longer(buffer, width) for buffer in self._keys]
            self._values = [_longer(buffer, width) for buffer in self._values]
            self._kept = _longer(self._kept.unsqueeze(-1), width).squeeze(-1)
        self._columns = end
        seen = self._kept[:, : self._used].unsqueeze(1).repeat(1, width, 1)
        seen[:, :, at:end] = torch.ones(width, width, dtype=torch.bool, device=seen.device).tril()
        mask = torch.zeros(seen.shape, dtype=self._keys[0].dtype, device=seen.device)
        return mask.masked_fill_(~seen, float("-inf"))[None, :, :, None]

    def add(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add this step's [heads, rows, width, dim]; return all of the rows' own."""
        at, used = slice(self._columns - keys.shape[2], self._columns), self._used
        self._keys[layer][:, :, at] = keys
        self._values[layer][:, :, at] = values
        return self._keys[layer][:, :, :used], self._values[layer][:, :, :used]

    def settle(self, kept: Tensor, width: int) -> None:
        """Of the last step's `width` tokens a row, keep the first kept[row]."""
        columns = torch.arange(width, device=kept.device)
        self._kept[:, self._columns - width : self._columns] = columns < kept.unsqueeze(1)

    def keep(self, rows: Tensor) -> None:
        """Hold these rows only, in this order."""
        self._keys = [buffer[:, rows] for buffer in self._keys]
        self._values = [buffer[:, rows] for buffer in self._values]
        self._kept = self._kept[rows]

    @property
    def _used(self) -> int:
        return -(-self._columns // _ROOM) * _ROOM


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


def _longer(buffer: Tensor, columns: int) -> Tensor:
    """Double the buffer's room, its last dimension but one, or more where `columns` need it."""
    shape = list(buffer.shape)
    shape[-2] = max(shape[-2], -(-columns // _ROOM) * _ROOM)
    return torch.cat((buffer, buffer.new_zeros(shape)), dim=-2)
