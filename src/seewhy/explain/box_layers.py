"""The layer a box is explained through: the pyramid level its logit reads most, else the last that it reads widely.

Where one cell of a layer makes the logit, a map there is that cell and explains nothing: the layer before it is meant.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seewhy.core import Capture, Inputs
from seewhy.models.adapter import Adapter
from seewhy.models.borrow import borrowed
from seewhy.models.layer_calls import LayerCall
from seewhy.models.layers import Layer, candidates
from seewhy.models.outputs import entries, sole_tensor
from seewhy.models.places import orders_of
from seewhy.models.trace import watchable
from seewhy.values import LayerError

LAST_OF_A_SIZE: Final = 4
"""Layers of each grid size that are looked at where there is no pyramid."""


@dataclass
class _Watched:
    """Single tensors that modules put out, in order, and the containers of maps of several sizes, by module."""

    outputs: list[tuple[Layer, Tensor]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    pyramids: dict[str, tuple[Tensor, ...]] = field(default_factory=dict)

    def note(self, name: str, output: Any) -> None:
        call = self.counts[name] = self.counts.get(name, -1) + 1
        if (tensor := sole_tensor(output)) is not None:
            if tensor.ndim == 4:
                self.outputs.append((Layer(name, call), tensor))
        elif levels := _levels_in(output):
            self.pyramids[name] = levels

    def makers(self, container: str) -> list[Layer]:
        """The calls that made the levels of a pyramid, finest first."""
        found = [self._maker(level, container) for level in self.pyramids[container]]
        return [layer for layer in found if layer is not None]

    def _maker(self, level: Tensor, container: str) -> Layer | None:
        """The call that put this very tensor out, else the last inside the container that put out one of its shape."""
        inside = [one for one in self.outputs if one[0].name.startswith(f"{container}.")]
        same, anywhere = ([layer for layer, tensor in among if tensor is level] for among in (inside, self.outputs))
        alike = [layer for layer, tensor in inside if tensor.shape == level.shape]
        return next(reversed(same or anywhere[:1] or alike), None)


def pyramids(adapter: Adapter, inputs: Inputs) -> list[tuple[str, ...]]:
    """The layers that make the levels of a model's feature pyramids, finest first; the last pyramid comes first.

    A pyramid is a container of two or more maps ``(B, C, h, w)`` of different sizes that a module puts out. A level
    that no module puts out itself (it is scaled on its way out) stands for the last map of its size inside.
    """
    with torch.no_grad(), borrowed(adapter.model), _watching(adapter.model) as seen:
        adapter.call({name: tensor.to(adapter.device) for name, tensor in inputs.items()})
    found = [
        tuple(dict.fromkeys(str(layer) for layer in seen.makers(name) if _usable(adapter, layer)))
        for name in reversed(seen.pyramids)
    ]
    return [levels for levels in dict.fromkeys(found) if levels]


def box_layers(adapter: Adapter, inputs: Inputs) -> Iterator[BoxLayers]:
    """Which layers a detector's boxes can be explained through, best first; told from its structure, whatever the box.

    A later choice is for boxes that read one cell alone of the layers before it: the head's own outputs. Tokens are
    layers only where they were found to lie as on the input: queries and proposals may be as many.
    """
    for levels in pyramids(adapter, inputs):
        yield BoxLayers(levels, pyramid=True)
    yield _without_pyramid(adapter)


def _without_pyramid(adapter: Adapter) -> BoxLayers:
    """The last layers of every grid size."""
    calls = _in_place(adapter)
    by_size: dict[tuple[int, ...], list[str]] = {}
    for call in calls:
        by_size.setdefault(call.grid.size if call.grid else (), []).append(_name(call))
    kept = {name for names in by_size.values() for name in names[-LAST_OF_A_SIZE:]}
    names = tuple(dict.fromkeys(name for name in map(_name, calls) if name in kept))
    return BoxLayers(names or (adapter.target_layer.layer,), pyramid=False)


def _in_place(adapter: Adapter) -> list[LayerCall]:
    """The layers a map can be made from, in order of execution, without tokens that lie elsewhere or nowhere."""
    calls = candidates(adapter.trace)
    tokens = [call for call in calls if call.grid is not None and call.grid.layout == "tokens"]
    if not tokens:
        return calls
    with borrowed(adapter.model):
        orders = orders_of(adapter.model, adapter.call, adapter.example, tokens)
    return [call for call in calls if orders.get((call.name, call.call), "in place") == "in place"]


def _name(call: LayerCall) -> str:
    return str(Layer(call.name, call.call))


@dataclass(frozen=True)
class BoxLayers:
    """Layers in the order they run, of which each box takes one; ``pyramid``: they are levels of a feature pyramid."""

    names: tuple[str, ...]
    pyramid: bool

    def chosen(self, capture: Capture) -> tuple[str, ...]:
        """For each question of a capture with activations and gradients at all these layers, its layer."""
        choose = most_read if self.pyramid else last_read_widely
        return tuple(self.names[index] for index in choose(capture, self.names).tolist())

    def suit(self, capture: Capture) -> bool:
        """Whether no box reads one cell alone of its layer."""
        read = [_cells(capture.gradients[layer])[row] for row, layer in enumerate(self.chosen(capture))]
        return all(int(cells) != 1 for cells in read)


def last_read_widely(capture: Capture, layers: Sequence[str]) -> Int[Tensor, " k"]:
    """For each question the index of the last layer it reads more than one cell of; of one cell if there is none."""
    cells = torch.stack([_cells(capture.gradients[layer]) for layer in layers])
    later = torch.arange(1, len(layers) + 1, device=cells.device).unsqueeze(1)
    return torch.where(cells > 1, later + len(layers), later * (cells > 0)).argmax(dim=0)


def _cells(gradients: Float[Tensor, "k b c *s"]) -> Int[Tensor, " k"]:
    return (gradients != 0).any(dim=2).flatten(1).sum(dim=1)


def most_read(capture: Capture, levels: Sequence[str]) -> Int[Tensor, " k"]:
    """For each question the index of the level with the largest ``Σ |activation · gradient|``."""
    read = torch.stack([_read(capture, level) for level in levels])
    return read.argmax(dim=0)


def _read(capture: Capture, level: str) -> Float[Tensor, " k"]:
    return (capture.activations[level].unsqueeze(0) * capture.gradients[level]).abs().flatten(1).sum(dim=1)


def _levels_in(output: Any) -> tuple[Tensor, ...]:
    """The maps in a container if there are two or more, of different sizes; sorted by size, finest first."""
    maps = [entry for entry in entries(output).values() if isinstance(entry, Tensor) and entry.ndim == 4]
    sizes = {tuple(entry.shape[2:]) for entry in maps}
    if len(maps) < 2 or len(sizes) < len(maps):
        return ()
    return tuple(sorted(maps, key=lambda entry: -math.prod(entry.shape[2:])))


def _usable(adapter: Adapter, layer: Layer) -> bool:
    try:
        adapter.check_target_layer(str(layer))
    except LayerError:
        return False
    return True


@contextmanager
def _watching(model: nn.Module) -> Iterator[_Watched]:
    seen = _Watched()
    handles = []
    try:
        for name, module in watchable(model).items():
            handles.append(module.register_forward_hook(_noting(name, seen)))
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _noting(name: str, seen: _Watched) -> Any:
    def note(module: nn.Module, args: Any, output: Any) -> None:
        del module, args
        seen.note(name, output)

    return note
