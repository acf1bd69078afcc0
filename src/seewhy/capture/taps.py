"""Hooks that read layers in passing and start the autograd graph no earlier than the first wanted layer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from seewhy.models.layers import Layer, several_tensors, unwatched
from seewhy.models.outputs import described, entries, rebuilt
from seewhy.models.trace import watchable
from seewhy.values import LayerError


@dataclass
class Tapped:
    """What the taps saw: one tensor per wanted layer, as the model computed it."""

    tensors: dict[Layer, Tensor] = field(default_factory=dict)

    def __getitem__(self, layer: Layer) -> Tensor:
        try:
            return self.tensors[layer]
        except KeyError:
            raise not_reached(layer) from None


def not_reached(layer: Layer) -> LayerError:
    """The error for a layer that exists but did not run."""
    return LayerError(
        "SW-L07",
        f"layer {layer} was not reached in the forward pass",
        fix="name a layer that runs for this input; gradient checkpointing can hide layers, switch it off",
    )


@contextmanager
def taps(model: nn.Module, read: tuple[Layer, ...], *, differentiate: tuple[Layer, ...] = ()) -> Iterator[Tapped]:
    """Read the layers while the model runs; gradients can be taken at those in ``differentiate``.

    A layer read on its output hands a clone onward, so that an in-place operation behind it cannot overwrite what was
    read. The first differentiated layer becomes a leaf and switches recording on: everything before it runs as in
    inference. A later one that already carries the graph is left as it is.
    """
    tapped = Tapped()
    modules = _watched(model, read)
    handles = []
    try:
        for name in dict.fromkeys(layer.name for layer in read):
            sides = {side: [x for x in read if x.name == name and x.side == side] for side in ("input", "output")}
            if sides["input"]:
                handles.append(modules[name].register_forward_pre_hook(_input_tap(sides["input"], tapped)))
            if sides["output"]:
                hook = _output_tap({layer.call: layer for layer in sides["output"]}, set(differentiate), tapped)
                handles.append(modules[name].register_forward_hook(hook))
        yield tapped
    finally:
        for handle in handles:
            handle.remove()


def _watched(model: nn.Module, layers: Iterable[Layer]) -> dict[str, nn.Module]:
    """The modules that hooks can watch; raises ``LayerError`` SW-L18 if one of ``layers`` is not among them."""
    modules = watchable(model)
    if any(layer.name not in modules for layer in layers):
        raise unwatched()
    return modules


def _input_tap(layers: list[Layer], tapped: Tapped) -> Callable[[nn.Module, Any], None]:
    calls = _CallCounter()
    by_call: dict[int | None, Layer] = {layer.call: layer for layer in layers}

    def read(module: nn.Module, args: Any) -> None:
        layer = by_call.get(calls.next())
        if layer is None:
            return
        if not args or not isinstance(args[0], Tensor):
            raise LayerError(
                "SW-L11",
                f"the first argument of {module.__class__.__name__} {layer.name!r} is no tensor",
                fix="name the layer whose output it is",
            )
        tapped.tensors[layer] = args[0].detach().clone()

    return read


def _output_tap(
    by_call: Mapping[int | None, Layer], differentiate: set[Layer], tapped: Tapped
) -> Callable[[nn.Module, Any, Any], Any]:
    calls = _CallCounter()

    def read(module: nn.Module, args: Any, output: Any) -> Any:
        del module, args
        layer = by_call.get(calls.next())
        if layer is None:
            return None
        tensor, rebuild = _unique_tensor(output, layer)
        if layer in differentiate:
            tensor = _differentiable(tensor)
        tapped.tensors[layer] = tensor
        return rebuild(tensor.clone())

    return read


def _differentiable(tensor: Tensor) -> Tensor:
    torch.set_grad_enabled(True)
    return tensor if tensor.requires_grad else tensor.detach().requires_grad_(True)


@contextmanager
def edits(model: nn.Module, changes: Mapping[Layer, Callable[[Tensor], Tensor]]) -> Iterator[None]:
    """Replace layers' outputs while the model runs; raises ``LayerError`` SW-L07 if one of them was not reached."""
    modules = _watched(model, changes)
    reached: set[Layer] = set()
    handles = []
    try:
        for layer, change in changes.items():
            if layer.side == "input":
                raise LayerError(
                    "SW-L14", f"{layer} is an input; edits replace outputs", fix="name the layer before it"
                )
            handles.append(modules[layer.name].register_forward_hook(_replacing(layer, change, reached)))
        yield
    finally:
        for handle in handles:
            handle.remove()
    for layer in changes:
        if layer not in reached:
            raise not_reached(layer)


def _replacing(
    layer: Layer, change: Callable[[Tensor], Tensor], reached: set[Layer]
) -> Callable[[nn.Module, Any, Any], Any]:
    calls = _CallCounter()

    def replace(module: nn.Module, args: Any, output: Any) -> Any:
        del module, args
        if calls.next() != layer.call:
            return None
        reached.add(layer)
        tensor, rebuild = _unique_tensor(output, layer)
        return rebuild(change(tensor))

    return replace


class _CallCounter:
    """Numbers the calls of one module in the thread that made the counter; other threads' calls are not ours."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._calls = -1

    def next(self) -> int | None:
        """The number of this call, or None in another thread."""
        if threading.get_ident() != self._thread:
            return None
        self._calls += 1
        return self._calls


def _unique_tensor(output: Any, layer: Layer) -> tuple[Tensor, Callable[[Tensor], Any]]:
    """The only tensor in an output, and how to put a replacement back."""
    if isinstance(output, Tensor):
        return output, lambda tensor: tensor
    held = entries(output)
    places = [place for place, entry in held.items() if isinstance(entry, Tensor)]
    if len(places) != 1:
        raise several_tensors(layer, described(output))
    return held[places[0]], lambda tensor: rebuilt(output, {**held, places[0]: tensor})
