"""A forward that ends at a layer: what is behind it never runs, be it for the layer's values or for their gradient."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from seewhy.capture.constants import ConstantParameters
from seewhy.capture.reading import first_tensor
from seewhy.capture.taps import not_reached
from seewhy.core import Inputs
from seewhy.models.borrow import borrowed
from seewhy.models.layers import Layer, several_tensors, unwatched
from seewhy.models.outputs import described
from seewhy.models.trace import is_in_place_conflict, watchable
from seewhy.values import LayerError, ModelError


class _EndedError(BaseException):
    """Ends a forward; a model's own ``except Exception`` does not hold it up."""


@dataclass
class Partway:
    """What the layer put out, once the block is left; with its graph where one is recorded."""

    layer: Layer
    _tensors: list[Tensor] = field(default_factory=list)

    @property
    def output(self) -> Tensor:
        """The layer's output, of several tensors the first."""
        return self._tensors[0]


@contextmanager
def ending_at(model: nn.Module, layer: Layer) -> Iterator[Partway]:
    """The block's forward ends when ``layer`` has put out its values; the statements behind it in the block are passed.

    Calls in other threads are not ours. Raises ``LayerError``: SW-L18 for a layer that no hook can watch, SW-L14 for a
    layer's input, SW-L12 for an output without a tensor, and SW-L07 where the block ends without having reached it.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(4, 5))
        >>> with ending_at(model, Layer("1")) as reached:  # the last layer, which does not fit, never runs
        ...     _ = model(torch.ones(1, 2))
        >>> reached.output.shape
        torch.Size([1, 3])
    """
    modules = watchable(model)
    if layer.name not in modules:
        raise unwatched()
    if layer.side == "input":
        raise LayerError("SW-L14", f"{layer} is an input; outputs of layers are read", fix="name the layer before it")
    reached, ended = Partway(layer), _EndedError()
    handle = modules[layer.name].register_forward_hook(_ending(reached, ended))
    try:
        yield reached
    except _EndedError as error:
        if error is not ended:
            raise
    finally:
        handle.remove()
    if not reached._tensors:
        raise not_reached(layer)


def _ending(reached: Partway, ended: _EndedError) -> Callable[[nn.Module, Any, Any], None]:
    thread, calls = threading.get_ident(), 0

    def end(module: nn.Module, args: Any, output: Any) -> None:
        nonlocal calls
        del module, args
        if threading.get_ident() != thread:
            return
        calls += 1
        if calls - 1 != reached.layer.call:
            return
        tensor = first_tensor(output)
        if tensor is None:
            raise several_tensors(reached.layer, described(output))
        reached._tensors.append(tensor)
        raise ended

    return end


def gradient_at_inputs(
    model: nn.Module,
    layer: Layer,
    inputs: Inputs,
    run: Callable[[Inputs], Any],
    read: Callable[[Tensor], Tensor],
) -> dict[str, Tensor]:
    """The gradient of one number read off a layer's output, at every floating-point input.

    One forward up to the layer and one backward from there; parameters are constants, the caller's tensors stay as they
    are, and nothing behind the layer runs.

    Args:
        model: asked in evaluation mode.
        layer: whose output is read.
        inputs: ``(B, C, *S)`` by name, where the model is.
        run: calls the model on inputs.
        read: from the layer's output to a single number.

    Returns:
        By name, in the shape of the input; zero at an input the number does not depend on.

    Raises:
        LayerError: ``SW-L31`` where the number has no gradient path to any input, and what :func:`ending_at` raises.
        ModelError: ``SW-M07``, an operation in place defeats differentiation.
    """
    try:
        with borrowed(model), torch.enable_grad():
            leaves = {
                name: tensor.detach().clone().requires_grad_(True)
                for name, tensor in inputs.items()
                if tensor.is_floating_point()
            }
            with ending_at(model, layer) as reached, ConstantParameters():
                run({**inputs, **leaves})
            number = read(reached.output)
            if not number.requires_grad:
                raise _no_path(layer)
            found = torch.autograd.grad(number.sum(), list(leaves.values()), allow_unused=True)
    except RuntimeError as error:
        if not is_in_place_conflict(error):
            raise
        raise ModelError(
            "SW-M07",
            f"the model changes a tensor in place that the gradient at {layer} needs: {error}",
            fix="make that operation out of place, or ask by occlusion, which needs no gradient",
        ) from error
    return {
        name: torch.zeros_like(leaf) if gradient is None else gradient.detach()
        for (name, leaf), gradient in zip(leaves.items(), found, strict=True)
    }


def _no_path(layer: Layer) -> LayerError:
    return LayerError(
        "SW-L31",
        f"{layer} has no gradient path to the model's inputs (no_grad, detach, or quantised layers before it)",
        fix="ask by occlusion, which needs no gradient, or choose an earlier layer",
    )
