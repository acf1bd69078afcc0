"""What a model does to its logits at the very end: a softmax there hides them, and its gradients vanish."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

Activation = Literal["softmax", "log_softmax", "sigmoid"]
ACTIVATIONS: dict[type[nn.Module], Activation] = {
    nn.Softmax: "softmax",
    nn.LogSoftmax: "log_softmax",
    nn.Sigmoid: "sigmoid",
}
SUM_TOLERANCE = 1e-4
_RESHAPES = ("View", "Squeeze", "Unsqueeze", "Reshape", "Clone", "Alias", "ToCopy", "Permute", "Transpose")


class LastActivation:
    """Watches a forward pass for the activation module whose output is the model's output."""

    def __init__(self, model: nn.Module) -> None:
        self._modules = {name: m for name, m in model.named_modules() if name and type(m) in ACTIVATIONS}
        self._calls: dict[str, list[Tensor]] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Notes what these modules put out."""
        handles = [module.register_forward_hook(self._note(name)) for name, module in self._modules.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _note(self, name: str) -> Any:
        def note(module: nn.Module, args: Any, output: Any) -> None:
            del module
            single = len(args) == 1 and isinstance(args[0], Tensor) and isinstance(output, Tensor)
            self._calls.setdefault(name, []).extend([output] if single else [])

        return note

    def layer(self, outputs: Float[Tensor, "b c"]) -> str | None:
        """The module that ran once and put out ``outputs`` themselves; a module its owner hooked is left alone."""
        for name, calls in self._calls.items():
            ours = len(calls) == 1 and calls[0].numel() == outputs.numel() and not self._modules[name]._forward_hooks
            if ours and torch.equal(calls[0].to(outputs.dtype).reshape(outputs.shape), outputs):
                return name
        return None


@contextmanager
def skipping(model: nn.Module, layer: str | None) -> Iterator[None]:
    """While this thread is inside, ``layer`` hands its input onward, so that the model answers with its logits."""
    if layer is None:
        yield
        return
    thread = threading.get_ident()

    def pass_on(module: nn.Module, args: Any, output: Any) -> Any:
        del module, output
        return args[0] if threading.get_ident() == thread else None

    handle = model.get_submodule(layer).register_forward_hook(pass_on)
    try:
        yield
    finally:
        handle.remove()


def activation_of(outputs: Float[Tensor, "b c *s"]) -> Activation | None:
    """The activation that made the outputs, told by their graph where they have one, else by their values."""
    operation = _last_operation(outputs)
    for activation, name in (("log_softmax", "LogSoftmax"), ("softmax", "Softmax"), ("sigmoid", "Sigmoid")):
        if operation.startswith(name):
            return activation  # type: ignore[return-value]
    if outputs.shape[1] < 2:
        return None
    values = outputs.detach().double()
    if bool((values >= 0).all()) and _sums_to_one(values):
        return "softmax"
    return "log_softmax" if bool((values <= 0).all()) and _sums_to_one(values.exp()) else None


def _last_operation(outputs: Tensor) -> str:
    """The name of the operation that made a tensor, past those that only reshape it."""
    node = outputs.grad_fn
    while node is not None and node.name().startswith(_RESHAPES) and len(node.next_functions) == 1:
        node = node.next_functions[0][0]
    return node.name() if node is not None else ""


def _sums_to_one(values: Float[Tensor, "b c *s"]) -> bool:
    return bool(((values.sum(dim=1) - 1).abs() <= SUM_TOLERANCE).all())
