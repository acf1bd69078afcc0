"""One unit of a model: a channel of a layer at one place, for one prepared picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from seewhy.features.given_batch import GivenBatch
from seewhy.features.layer_reader import Part
from seewhy.features.named_layer import reader_of_one
from seewhy.features.requirements import require_channel
from seewhy.features.row_order import Lying
from seewhy.models.layers import Layer
from seewhy.values import ConfigError, LayerError

Place = tuple[int, ...]


@dataclass(frozen=True)
class Unit:
    """One channel at one place of a layer, for one prepared input.

    ``position`` counts the layer's cells, ``size`` is how many it has on each axis, both empty for a vector; ``value``
    is the unit's activation. ``given`` is the input ``(1, C, *S)`` as the model takes it.
    """

    model: nn.Module
    layer: Layer
    given: GivenBatch
    lying: Lying
    channel: int
    position: Place
    size: Place
    value: float

    @property
    def input(self) -> Float[Tensor, "1 c *s"]:
        """The input that it looks at."""
        (tensor,) = self.given.inputs.values()
        return tensor

    def of(self, output: Tensor) -> Float[Tensor, " n"]:
        """Its activation for each record, from what the layer put out for ``n`` of them."""
        rows: Tensor = self.lying.rows(output, len(output))[:, self.channel]
        for cell in self.position:
            rows = rows[:, cell]
        return rows


def unit_at(
    model: nn.Module, image: Float[Tensor, "c *s"], layer: Any, channel: int, position: Sequence[int] | None = None
) -> Unit:
    """Find a unit, with one forward.

    Args:
        model: any model of one input.
        image: ``(C, *S)``, prepared for it.
        layer: its name.
        channel: its number.
        position: the unit's cell on each axis of the layer; the middle one if None.

    Raises:
        ConfigError: ``SW-F202`` no such channel, ``SW-F203`` no such position.
        LayerError: a layer that is not there or cannot be read; ``SW-L33`` one whose rows are time steps.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
        >>> unit = unit_at(model, torch.zeros(1, 8, 8), "0", channel=1)
        >>> unit.size, unit.position
        ((6, 6), (3, 3))
    """
    reader = reader_of_one(model, layer)
    ((name, place),) = reader.layers.items()
    given = reader.given(image[None])
    seen: list[tuple[Lying, Tensor]] = []

    def take(part: Part) -> None:
        if part.call == place.call:
            seen.append((part.lying, part.values.clone()))

    reader.read(given, take)
    (lying, values) = seen[0]
    if lying.per_step:
        raise LayerError(
            "SW-L33",
            f"layer {name} has a row for each time step, so that its units are not those of one picture",
            fix="give one frame as a picture, or choose a layer that sees the whole record",
        )
    number = require_channel(channel, values.shape[1], name)
    size = tuple(values.shape[2:])
    at = _position(position, size, name)
    return Unit(reader.model, place, given, lying, number, at, size, float(values[(0, number, *at)]))


def _position(position: Sequence[int] | None, size: Place, layer: str) -> Place:
    if position is None:
        return tuple(length // 2 for length in size)
    cells = list(position) if isinstance(position, Sequence) else [position]
    inside = len(cells) == len(size) and all(
        hasattr(cell, "__index__") and not isinstance(cell, bool) and 0 <= cell < length
        for cell, length in zip(cells, size, strict=True)
    )
    if not inside:
        cells_of = " × ".join(map(str, size))
        raise ConfigError(
            "SW-F203",
            f"layer {layer} has {f'{cells_of} cells' if size else 'no cells'}, position {position!r} is none of them",
            fix=f"position={tuple(length // 2 for length in size)} is the middle" if size else "leave position out",
        )
    return tuple(int(cell) for cell in cells)
