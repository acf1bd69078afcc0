"""Module calls as a trace sees them: what each put out, and where on which input that lies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from seewhy.models.grid import Channels, Grid, frame_grid, grid_of
from seewhy.values import LayerError


@dataclass(frozen=True)
class LayerCall:
    """One call of one module: its output as the trace saw it.

    ``call`` counts calls of the same module from 0; ``grid`` is None where the output has no place on the input;
    ``on_path`` says whether the score has a non-zero gradient anywhere in it, ``reaches_target`` whether it has one
    away from the prefix tokens. ``inputs`` are those it depends on, ``lies_on`` those of them that its grid covers.
    """

    name: str
    kind: str
    call: int
    shape: tuple[int, ...]
    grid: Grid | None
    on_path: bool
    reaches_target: bool
    inputs: tuple[str, ...] = ()
    lies_on: tuple[str, ...] = ()


@dataclass
class Call:
    """A module call while the trace runs, with its output."""

    name: str
    module: nn.Module
    call: int
    output: Tensor


@dataclass
class InputPlaces:
    """What the calls on one input have shown so far: the grids seen, and where layers of a shape have channels."""

    size: tuple[int, ...]
    token_grids: list[tuple[int, ...]] = field(default_factory=list)
    told: dict[tuple[int, ...], Channels | None] = field(default_factory=dict)

    def grid(self, module: nn.Module, shape: tuple[int, ...], batch: int) -> Grid | None:
        """The grid of an output ``shape`` on this input, learning from it."""
        if not shape or shape[0] % batch:
            return None
        # A block or an activation lies as the layer inside or before it did, whose kind told.
        channels = self.told[shape] = channels_of(module) or self.told.get(shape)
        if shape[0] == batch:
            grid = grid_of(shape, self.size, token_grids=self.token_grids, channels=channels)
        else:
            grid = frame_grid(shape, batch, self.size, token_grids=self.token_grids, channels=channels)
        if grid is not None and grid.layout != "tokens" and grid.size not in self.token_grids:
            self.token_grids.append(grid.size)
        return grid


def described_calls(
    seen: list[Call],
    gradients: list[Tensor | None],
    batch: int,
    sizes: Mapping[str, tuple[int, ...]],
    depends: Mapping[tuple[str, int], tuple[str, ...]],
) -> list[LayerCall]:
    """The calls with their places; ``gradients`` are those of the score, ``depends`` on which inputs a call depends."""
    places = {name: InputPlaces(size) for name, size in sizes.items()}
    calls: list[LayerCall] = []
    for entry, gradient in zip(seen, gradients, strict=True):
        inputs = depends.get((entry.name, entry.call), tuple(sizes)[:1])
        grid, lies_on = _lies_on(entry, batch, places, inputs)
        on_path = gradient is not None and bool(gradient.any())
        reaches = on_path and gradient is not None and bool(_on_grid(gradient, grid).any())
        kind, shape = _kind(entry.module), tuple(entry.output.shape)
        calls.append(LayerCall(entry.name, kind, entry.call, shape, grid, on_path, reaches, inputs, lies_on))
    return calls


def _kind(module: nn.Module) -> str:
    """The name of a layer's class; an empty container does what an identity does."""
    return "Identity" if isinstance(module, nn.Sequential) and not len(module) else type(module).__name__


def _lies_on(
    entry: Call, batch: int, places: Mapping[str, InputPlaces], inputs: tuple[str, ...]
) -> tuple[Grid | None, tuple[str, ...]]:
    """The grid of a call, and the inputs it lies on: of several sizes, those of the first that it fits."""
    for name in inputs:
        grid = places[name].grid(entry.module, tuple(entry.output.shape), batch)
        if grid is not None:
            return grid, tuple(other for other in inputs if places[other].size == places[name].size)
    return None, ()


def channels_of(module: nn.Module) -> Channels | None:
    """Where a kind of layer has its channels: first if named ``...2d``, last in linear layers and layer norms."""
    if re.search(r"[123]d", type(module).__name__) or isinstance(module, nn.GroupNorm | _ConvNd):
        return "first"
    return "last" if isinstance(module, nn.LayerNorm | nn.Linear | nn.Embedding) else None


def _on_grid(gradient: Tensor, grid: Grid | None) -> Tensor:
    try:
        return grid.apply(gradient) if grid is not None else gradient
    except LayerError:
        return gradient
