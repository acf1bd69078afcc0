"""How a layer's tensor becomes a ``(B, C, *S)`` grid: channels first, channels last, or tokens behind a prefix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from seewhy.values import LayerError

Layout = Literal["channels_first", "channels_last", "tokens"]
Channels = Literal["first", "last"]


@dataclass(frozen=True)
class Grid:
    """The spatial meaning of a layer's output.

    ``size`` is the spatial size of the map; ``prefix`` counts the tokens (class, distillation, registers) in front.
    ``frames`` is not 0 where a model of pictures runs on the frames of a clip or the slices of a volume: the first axis
    then holds that many rows for each record, and ``size`` begins with it.
    """

    layout: Layout
    size: tuple[int, ...]
    prefix: int = 0
    frames: int = 0

    @property
    def cells(self) -> int:
        """How many places the map has."""
        return math.prod(self.size)

    def apply(self, tensor: Tensor) -> Float[Tensor, "b c *s"]:
        """A layer's output (or its gradient) with channels second and space last; a view where possible."""
        if self.frames:
            each = replace(self, size=self.size[1:], frames=0).apply(tensor)
            return each.reshape(-1, self.frames, *each.shape[1:]).transpose(1, 2)
        if self.layout == "channels_first":
            return tensor
        if self.layout == "channels_last":
            return tensor.movedim(-1, 1)
        if tensor.shape[1] != self.prefix + self.cells:
            raise LayerError(
                "SW-L06",
                f"{self.prefix} prefix tokens and a grid of {self.size} make {self.prefix + self.cells} tokens, "
                f"but the layer has {tensor.shape[1]}",
                fix="use inputs of the size the model was traced with",
            )
        return self.tokens_to_grid(tensor[:, self.prefix :].movedim(-1, 1))

    def tokens_to_grid(self, tokens: Float[Tensor, "*b n"]) -> Float[Tensor, "*b *s"]:
        """Values per patch token, laid out in space."""
        return tokens.reshape(*tokens.shape[:-1], *self.size)


def fits_input(size: Sequence[int], input_size: Sequence[int]) -> bool:
    """Whether a spatial size could be the input's, shrunk by one factor on every axis (up to a cell of padding).

    The first of three axes, time or depth, has a stride of its own.
    """
    if not _no_larger(size, input_size):
        return False
    size, input_size = size[-2:], input_size[-2:]
    longest = max(range(len(size)), key=lambda axis: size[axis])
    shrink = input_size[longest] / size[longest]
    return all(abs(s - i / shrink) <= max(1.0, 0.05 * s) for s, i in zip(size, input_size, strict=True))


def _no_larger(size: Sequence[int], input_size: Sequence[int]) -> bool:
    """Whether no axis is longer than the input's; an even kernel with padding may add one cell."""
    return len(size) == len(input_size) and all(s <= i + 1 for s, i in zip(size, input_size, strict=True))


def grid_of(
    shape: Sequence[int],
    input_size: Sequence[int],
    *,
    token_grids: Sequence[tuple[int, ...]] = (),
    channels: Channels | None = None,
) -> Grid | None:
    """The grid of an output ``shape`` for inputs of spatial size ``input_size``, or None where it has none.

    ``channels`` says where they are, when the kind of layer tells; a convolution's size is believed whatever it is.
    Otherwise the size must be the input's, shrunk evenly, and channels are taken to be first where both would fit.
    ``token_grids`` are the grids seen earlier in the pass (a patch embedding's output), with which a token axis is
    explained.
    """
    rank = len(input_size)
    if rank == 1 and len(shape) == 3 and channels != "first":
        # (B, T, D) from a signal is a sequence of tokens where a layer of this shape told so, (B, C, T) otherwise.
        tokens = _token_grid(shape[1], input_size, token_grids) if channels == "last" else None
        return tokens or _dense_grid(shape, input_size, channels, token_grids)
    if len(shape) == rank + 2:
        return _dense_grid(shape, input_size, channels, token_grids)
    return _token_grid(shape[1], input_size, token_grids) if len(shape) == 3 else None


def _dense_grid(
    shape: Sequence[int], input_size: Sequence[int], channels: Channels | None, seen: Sequence[tuple[int, ...]]
) -> Grid | None:
    first, last = tuple(shape[2:]), tuple(shape[1:-1])
    if channels == "first":
        return Grid("channels_first", first) if _no_larger(first, input_size) else None
    if channels == "last":
        # A layer norm over one head's channels sees (B, heads, N, d): no grid unless its size is one.
        return Grid("channels_last", last) if fits_input(last, input_size) or last in seen else None
    if fits_input(first, input_size):
        return Grid("channels_first", first)
    return Grid("channels_last", last) if fits_input(last, input_size) else None


def frame_grid(
    shape: Sequence[int],
    batch: int,
    input_size: Sequence[int],
    *,
    token_grids: Sequence[tuple[int, ...]] = (),
    channels: Channels | None = None,
) -> Grid | None:
    """The grid of an output with one row for each frame (or slice) of each record; None where the rows are no frames.

    ``token_grids`` are grids seen earlier, those of frames with the number of frames in front.
    """
    if len(input_size) < 3 or shape[0] != batch * input_size[0]:
        return None
    seen = [size[1:] for size in token_grids if len(size) == len(input_size)]
    grid = grid_of(shape, input_size[1:], token_grids=seen, channels=channels)
    return None if grid is None else replace(grid, size=(input_size[0], *grid.size), frames=input_size[0])


MOST_PREFIX_TOKENS = 32
MOST_PREFIX_TOKENS_UNSEEN = 5
MOST_PREFIX_TOKENS_BESIDE_SEEN = 2


def _token_grid(tokens: int, input_size: Sequence[int], token_grids: Sequence[tuple[int, ...]]) -> Grid | None:
    """Tokens as a grid seen before and a prefix; where none was seen (patches cut or merged by reshaping), as even
    patches."""
    if not token_grids:
        return _explained(tokens, _patch_grids(input_size), MOST_PREFIX_TOKENS_UNSEEN, input_size)
    return _explained(tokens, token_grids, MOST_PREFIX_TOKENS, input_size) or _explained(
        tokens, _patch_grids(input_size), MOST_PREFIX_TOKENS_BESIDE_SEEN, input_size
    )


def _explained(tokens: int, sizes: Sequence[tuple[int, ...]], most: int, input_size: Sequence[int]) -> Grid | None:
    """The grid that leaves the fewest prefix tokens, at most ``most``."""
    fitting = [(tokens - math.prod(size), size) for size in sizes if 0 <= tokens - math.prod(size) <= most]
    if not fitting:
        return None
    prefix, size = min(fitting)
    return Grid("tokens", size, prefix) if _no_larger(size, input_size) else None


def _patch_grids(input_size: Sequence[int]) -> list[tuple[int, ...]]:
    """The grids that square patches of whole pixels cut the input into."""
    patches = (patch for patch in range(2, min(input_size)) if all(length % patch == 0 for length in input_size))
    return [tuple(length // patch for length in input_size) for patch in patches]
