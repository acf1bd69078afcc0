"""A reader of the layers that a person names, with the words of the guide where one is not there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch import nn

from seewhy.features.layer_choice import chosen_layers
from seewhy.features.layer_reader import LayerReader
from seewhy.models.borrow import unwrapped
from seewhy.values import LayerError

_NOT_THERE = ("SW-L01", "SW-L30")


def reader_of(model: nn.Module, layers: Any, *, frames_first: Sequence[str] | None = None) -> LayerReader:
    """A reader of one or several layers, by what :func:`seewhy.features.layer_choice.chosen_layers` takes.

    Raises:
        LayerError: ``SW-L01``, ``SW-L30`` and others of a name; ``SW-L14``, the input of a layer.
    """
    several = isinstance(layers, Iterable) and not isinstance(layers, str | nn.Module)
    for one in layers if several else [layers]:
        _require_found(model, one)
    return LayerReader(model, layers, frames_first=frames_first)


def reader_of_one(model: nn.Module, layer: Any, *, frames_first: Sequence[str] | None = None) -> LayerReader:
    """A reader of a single layer: a name, the end of one, or a module of the model.

    Raises:
        LayerError: ``SW-L32`` where several are meant, and what :func:`reader_of` raises.

    Example:
        >>> from torch import nn
        >>> list(reader_of_one(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), "1").layers)
        ['1']
    """
    reader = reader_of(model, layer, frames_first=frames_first)
    if len(reader.layers) != 1:
        raise LayerError(
            "SW-L32",
            f"one layer is asked about at a time, {layer!r} means {len(reader.layers)}",
            near=list(reader.layers)[:5],
            fix="name one of them",
        )
    return reader


def _require_found(model: nn.Module, one: Any) -> None:
    try:
        chosen_layers(unwrapped(model), one)
    except LayerError as error:
        if error.code not in _NOT_THERE:
            raise
        raise LayerError(
            error.code, f"Layer {one} not found: {error.message}", fix=error.fix, near=error.near
        ) from None
