"""How a layer's tensor becomes a ``(B, C, *S)`` grid: channels first, channels last, or tokens behind a prefix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from seewhy.values import LayerError

Layout = Literal["channels_first", "channels_last", "tokens"]


@dataclass(frozen=True)
class Grid:
    """The spatial meaning of a layer's output.

    ``size`` is the spatial size of the map; ``prefix`` counts the tokens (class, distillation, registers) in front.
    """

    layout: Layout
    size: tuple[int, ...]
    prefix: int = 0

    @property
    def cells(self) -> int:
        """How many places the map has."""
        return math.prod(self.size)

    def apply(self, tensor: Tensor) -> Float[Tensor, "b c *s"]:
        """A layer's output (or its gradient) with channels second and space last; a view where possible."""
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
    """Whether a spatial size could be the input's, shrunk by one factor on every axis (up to a cell of padding)."""
    if len(size) != len(input_size) or any(s > i for s, i in zip(size, input_size, strict=True)):
        return False
    longest = max(range(len(size)), key=lambda axis: size[axis])
    shrink = input_size[longest] / size[longest]
    return all(abs(s - i / shrink) <= max(1.0, 0.05 * s) for s, i in zip(size, input_size, strict=True))


def grid_of(
    shape: Sequence[int],
    input_size: Sequence[int],
    *,
    token_grids: Sequence[tuple[int, ...]] = (),
    channels_last_hint: bool = False,
) -> Grid | None:
    """The grid of an output ``shape`` for inputs of spatial size ``input_size``, or None where it has none.

    ``token_grids`` are the grids seen earlier in the pass (a patch embedding's output), with which a token axis is
    explained; ``channels_last_hint`` settles shapes that fit either way.
    """
    rank = len(input_size)
    if len(shape) == rank + 2:
        return _dense_grid(tuple(shape), tuple(input_size), channels_last_hint, token_grids)
    if len(shape) == 3:
        return _token_grid(shape[1], tuple(input_size), token_grids)
    return None


def _dense_grid(
    shape: tuple[int, ...], input_size: tuple[int, ...], channels_last_hint: bool, token_grids: Sequence[tuple[int, ...]]
) -> Grid | None:
    if len(input_size) == 1 and channels_last_hint:
        return _token_grid(shape[1], input_size, token_grids) or Grid("channels_last", shape[1:-1])
    first = fits_input(shape[2:], input_size)
    last = fits_input(shape[1:-1], input_size)
    if first and last:
        first = not channels_last_hint
    if first:
        return Grid("channels_first", shape[2:])
    return Grid("channels_last", shape[1:-1]) if last else None


MOST_PREFIX_TOKENS = 32


def _token_grid(tokens: int, input_size: tuple[int, ...], token_grids: Sequence[tuple[int, ...]]) -> Grid | None:
    explained = [
        (tokens - math.prod(size), size) for size in token_grids if 0 <= tokens - math.prod(size) <= MOST_PREFIX_TOKENS
    ]
    if not explained:
        return None
    prefix, size = min(explained)
    return Grid("tokens", size, prefix) if fits_input(size, input_size) else None
