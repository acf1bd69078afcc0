"""What every bias of a model contributes to a score: bias times gradient, handed over as backward passes deliver it.

The bias of a layer is what its output has beyond a linear function of its input. It may stand there (convolutions,
linear layers), follow from what is stored (batch norm in evaluation mode), or from the input (a smooth activation, a
layer norm): near its input ``x`` a module with output ``y`` and Jacobian ``J`` is ``J x`` plus the bias ``y - J x``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.dropout import _DropoutNd

from seewhy.models.layers import Layer

Receive = Callable[[Layer, int, Float[Tensor, "b ..."]], None]
"""Takes the layer, the number of the backward pass, and bias × gradient in the shape of the layer's output."""

HOMOGENEOUS = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.Identity, _DropoutNd)
"""Modules that are linear near their input: nothing is left over."""
PLAIN_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
NORMS = (_BatchNorm, nn.LayerNorm, nn.GroupNorm)


@contextmanager
def bias_terms(model: nn.Module, receive: Receive) -> Iterator[None]:
    """While this is open, each backward through a forward of ``model`` hands over every module's bias × gradient.

    No term is kept here. Not seen: biases that no module has (position embeddings, functional operations), and modules
    with several inputs or another output shape that are neither convolution nor linear layer.
    """
    handles = []
    try:
        for name, module in _atoms(model):
            hooks = _Hooks(name, receive)
            if has_fixed_bias(module):
                handles.append(module.register_forward_hook(hooks.fixed))
            else:
                handles.append(module.register_forward_pre_hook(hooks.enter))
                handles.append(module.register_forward_hook(hooks.leave))
        yield
    finally:
        for handle in handles:
            handle.remove()


def has_fixed_bias(module: nn.Module) -> bool:
    """Whether a module is an affine function, so that its bias is one vector whatever the input."""
    stored = type(module) in PLAIN_NORMS and isinstance(module.running_mean, Tensor)
    return stored or isinstance(module, _ConvNd | nn.Linear)


def fixed_bias(module: nn.Module) -> Float[Tensor, " c"] | None:
    """The bias of an affine module, None for one without: of batch norm ``β - γ μ / sqrt(σ² + ε)``.

    Source: Srinivas and Fleuret 2019, arXiv:1905.00780, section 3 on implicit biases.

    Example:
        >>> norm = nn.BatchNorm1d(1).eval()
        >>> _ = norm.running_mean.fill_(2.0)
        >>> [round(value, 3) for value in fixed_bias(norm).tolist()]
        [-2.0]
    """
    bias = module.bias.detach() if isinstance(module.bias, Tensor) else None
    if not isinstance(module, PLAIN_NORMS):
        return bias
    mean, variance = module.running_mean, module.running_var
    if not isinstance(mean, Tensor) or not isinstance(variance, Tensor):
        return bias
    shift = -mean / torch.sqrt(variance + module.eps)
    scaled = shift * module.weight.detach() if isinstance(module.weight, Tensor) else shift
    return scaled if bias is None else scaled + bias


def _atoms(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules that act as one: those without parts, and norms, which may carry an activation along."""
    taken: set[nn.Module] = set()
    for name, module in model.named_modules():
        if module in taken or isinstance(module, HOMOGENEOUS):
            continue
        if isinstance(module, NORMS) or not list(module.children()):
            taken.update(module.modules())
            yield name, module


class _Hooks:
    """Watches the calls of one module that this thread makes."""

    def __init__(self, name: str, receive: Receive) -> None:
        self._name, self._receive = name, receive
        self._thread = threading.get_ident()
        self._calls = count()
        self._running: _Call | None = None

    def fixed(self, module: nn.Module, args: Any, output: Any) -> None:
        """An affine module: its bias, wherever its output has a gradient."""
        del args
        bias = fixed_bias(module)
        if not self._is_ours() or not isinstance(output, Tensor):
            return
        layer, passes = self._next_layer(), count()
        if bias is None or not output.requires_grad:
            return
        axes = output.ndim if isinstance(module, nn.Linear) else 2
        shaped = bias.reshape(-1, *[1] * (output.ndim - axes))
        output.register_hook(lambda gradient: self._receive(layer, next(passes), gradient * shaped))  # type: ignore[no-untyped-call]

    def enter(self, module: nn.Module, args: Any) -> Any:
        """Any other module: hand it a copy of its input, at which the gradient through this module alone is seen."""
        del module
        if not self._is_ours():
            return None
        self._running = None
        layer = self._next_layer()
        if len(args) != 1 or not isinstance(args[0], Tensor) or not args[0].requires_grad:
            return None
        copy, call = args[0].clone(), _Call(layer, args[0].detach(), self._receive)
        copy.register_hook(call.at_input)  # type: ignore[no-untyped-call]
        self._running = call
        return (copy,)

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        """The other end of the call."""
        del module, args
        call = self._running
        if not self._is_ours() or call is None or not isinstance(output, Tensor):
            return
        self._running = None
        if output.shape == call.given.shape:
            call.result = output.detach().clone()
            output.register_hook(call.at_output)  # type: ignore[no-untyped-call]

    def _is_ours(self) -> bool:
        return threading.get_ident() == self._thread

    def _next_layer(self) -> Layer:
        return Layer(self._name, next(self._calls))


class _Call:
    """One call of a module with input ``x`` and output ``y``: a backward passes its output, then its input.

    Its term is ``y · ∂f/∂y - x · ∂f/∂x``, which is the bias ``y - J x`` times the gradient; where ``J`` mixes places,
    summed over them.
    """

    def __init__(self, layer: Layer, given: Tensor, receive: Receive) -> None:
        self.given = given
        self.result: Tensor | None = None
        self._layer, self._receive = layer, receive
        self._passes = count()
        self._whole: Tensor | None = None

    def at_output(self, gradient: Tensor) -> None:
        """A backward comes in."""
        self._whole = None if self.result is None else gradient * self.result

    def at_input(self, gradient: Tensor) -> None:
        """The same backward goes out."""
        if self._whole is not None:
            self._receive(self._layer, next(self._passes), self._whole - gradient * self.given)
            self._whole = None
