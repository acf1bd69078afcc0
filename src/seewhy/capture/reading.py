"""What layers put out, handed over call by call while the model runs; nothing is kept, nothing is changed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from seewhy.capture.taps import not_reached
from seewhy.models.layers import Layer, several_tensors, unwatched
from seewhy.models.outputs import described, entries
from seewhy.models.trace import watchable
from seewhy.values import LayerError


@dataclass(frozen=True)
class LayerOutput:
    """One call of one layer: ``call`` counts its module's calls from 0.

    ``tensor`` is the model's own, detached: what is behind it may change it in place, so that it has to be used or
    copied before the model goes on.
    """

    layer: str
    call: int
    module: nn.Module
    tensor: Tensor


@contextmanager
def reading(
    model: nn.Module, layers: Mapping[str, Layer], take: Callable[[LayerOutput], None], *, required: bool = True
) -> Iterator[Mapping[str, int]]:
    """While open, every call of the ``layers`` (name to place) is handed to ``take``; the mapping counts the calls.

    Of an output with several tensors, such as a recurrent layer's, the first is taken. Calls in other threads are not
    ours. Raises ``LayerError``: SW-L18 for a layer that no hook can watch; SW-L12 for an output without a tensor, which
    is passed over, uncounted, unless ``required``.
    """
    modules = watchable(model)
    counts = dict.fromkeys(layers, 0)
    handles = []
    try:
        for name, layer in layers.items():
            if layer.name not in modules:
                raise unwatched() if layer.name in dict(model.named_modules()) else _gone(layer)
            handles.append(modules[layer.name].register_forward_hook(_hook(name, layer, counts, take, required)))
        yield counts
    finally:
        for handle in handles:
            handle.remove()


def _gone(layer: Layer) -> LayerError:
    return LayerError("SW-L42", f"the model no longer has the layer {layer}", fix="choose the layers anew")


def require_reached(layers: Mapping[str, Layer], counts: Mapping[str, int]) -> None:
    """Raise ``LayerError`` for the first layer that did not run (SW-L07), or not as often as was asked (SW-L08)."""
    for name, layer in layers.items():
        if not counts[name]:
            raise not_reached(layer)
        if counts[name] <= layer.call:
            raise LayerError(
                "SW-L08",
                f"layer {layer.name!r} runs {counts[name]} times, but call {layer.call} was asked for",
                fix=f"use {layer.name}#0 to {layer.name}#{counts[name] - 1}",
            )


def _hook(
    name: str, layer: Layer, counts: dict[str, int], take: Callable[[LayerOutput], None], required: bool
) -> Callable[[nn.Module, Any, Any], None]:
    thread = threading.get_ident()

    def hook(module: nn.Module, args: Any, output: Any) -> None:
        del args
        if threading.get_ident() != thread:
            return
        tensor = first_tensor(output)
        if tensor is None:
            if required:
                raise several_tensors(layer, described(output))
            return
        call = counts[name]
        counts[name] = call + 1
        take(LayerOutput(name, call, module, tensor.detach()))

    return hook


def first_tensor(output: Any) -> Tensor | None:
    """The output, or the first tensor in it; None where there is none."""
    if isinstance(output, Tensor):
        return output
    return next((entry for entry in entries(output).values() if isinstance(entry, Tensor)), None)
