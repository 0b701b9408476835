"""Keys and values that stay: those that several rows look back on, and those of rows that write.

Shapes: H heads of dimension D, Hk of them for keys and values, G = Hq / Hk; T tokens of one row, R rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch

# Tokens by which the buffers of rows that write grow: few copies, and memory for long answers only where they are long.
GROWTH = 64


class Store(Protocol):
    """Takes the keys and values [Hk, T, D] of a row's tokens, layer by layer."""

    def write(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> None:
        """Copy them."""


class Piece:
    """Keys and values of consecutive tokens that several rows may look back on: [Hk, T, D] a layer."""

    def __init__(self) -> None:
        self.keys: list[torch.Tensor] = []
        self.values: list[torch.Tensor] = []

    def write(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> None:
        """Copy a layer's; layers come in order."""
        assert layer == len(self.keys)
        self.keys.append(key.new_empty(key.shape).copy_(key))
        self.values.append(value.new_empty(value.shape).copy_(value))


class RowCache:
    """Own keys and values of the rows of one group, [R, Hk, slots, D] a layer.

    Rows are aligned at their last token, so that all write their next one into one slot. Slots before a row's first
    token and behind the newest one are zero and masked: attention multiplies whole buffers, since torch would copy a
    part of one at every step (60 rows of 600 tokens: 13.7 ms a layer against 1.3).

    Args:
        lengths: tokens of each row.
        room: tokens each may still write.
    """

    def __init__(self, lengths: Sequence[int], room: int) -> None:
        self.filled = max(lengths)
        self.n_rows = len(lengths)
        self.keys: list[torch.Tensor] = []
        self.values: list[torch.Tensor] = []
        self._last = self.filled + room
        self._slots = self.filled + min(room, GROWTH)
        self._padding = [self.filled - length for length in lengths]
        self._mask: torch.Tensor | None = None

    def slot(self, row: int, offset: int = 0) -> RowSlot:
        """Where a row's tokens from `offset` on are written."""
        return RowSlot(cache=self, row=row, start=self._padding[row] + offset)

    def place(self, layer: int, row: int, start: int, pair: tuple[torch.Tensor, torch.Tensor]) -> None:
        """Copy keys and values [Hk, T, D] of one row."""
        if layer == len(self.keys):
            for tensors, new in zip((self.keys, self.values), pair, strict=True):
                tensors.append(new.new_zeros((self.n_rows, new.shape[0], self._slots, new.shape[2])))
        for tensors, new in zip((self.keys, self.values), pair, strict=True):
            tensors[layer][row, :, start : start + new.shape[1]] = new

    def advance(self) -> None:
        """One more slot, into which `append` writes; the buffers grow by `GROWTH` where none is left."""
        self.filled += 1
        if self.filled > self._slots:
            more = min(GROWTH, self._last - self._slots)
            assert more > 0
            self._slots += more
            for tensors in (self.keys, self.values):
                for layer, tensor in enumerate(tensors):
                    _, heads, n_before, size = tensor.shape
                    tensors[layer] = tensor.new_zeros((self.n_rows, heads, self._slots, size))
                    tensors[layer][:, :, :n_before] = tensor[: self.n_rows]
            self._mask = None
        elif self._mask is not None:
            self._mask[..., self.filled - 1] = 0

    def append(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> None:
        """Copy one token's keys and values [R, Hk, D] of every row into the newest slot."""
        self.keys[layer][: self.n_rows, :, self.filled - 1] = key
        self.values[layer][: self.n_rows, :, self.filled - 1] = value

    def mask(self, like: torch.Tensor) -> torch.Tensor:
        """What to add to scores of the dtype of `like`: -inf at slots that hold nothing, [R, 1, 1, slots]."""
        if self._mask is None:
            import torch

            slot = torch.arange(self._slots, device=like.device)
            padding = torch.tensor(self._padding, device=like.device)[:, None]
            hidden = (slot < padding) | (slot >= self.filled)
            self._mask = like.new_zeros(hidden.shape).masked_fill_(hidden, float("-inf"))[:, None, None]
        return self._mask

    def keep(self, rows: Sequence[int]) -> list[int]:
        """Drop the others. Moves as few rows as can be: the last ones kept into the places of those dropped.

        Returns:
            The rows kept, in their new order.
        """
        kept = set(rows)
        holes = [row for row in range(len(rows)) if row not in kept]
        movers = [row for row in rows if row >= len(rows)]
        order = list(range(len(rows)))
        for hole, mover in zip(holes, movers, strict=True):
            order[hole] = mover
            for tensors in (self.keys, self.values):
                for tensor in tensors:
                    tensor[hole] = tensor[mover]
        self._padding = [self._padding[row] for row in order]
        self._mask = None
        self.n_rows = len(rows)
        return order


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSlot:
    """Where one row's next tokens are written."""

    cache: RowCache
    row: int
    start: int

    def write(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> None:
        """Copy a layer's keys and values [Hk, T, D]."""
        self.cache.place(layer, self.row, self.start, (key, value))

    def copy(self, piece: Piece) -> None:
        """Copy what was computed for several rows."""
        for layer, pair in enumerate(zip(piece.keys, piece.values, strict=True)):
            self.write(layer, *pair)
