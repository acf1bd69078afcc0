"""Which layers of a segmentation model already hold the logits of its classes, found by asking.

A class activation map at such a layer is the logit map itself. One channel of a layer is disturbed: where the layer has
a channel per class and only that class's outputs answer, nothing is left behind it but resizing or adding up.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seewhy.models.borrow import borrowed
from seewhy.models.layer_calls import LayerCall
from seewhy.models.layers import candidates
from seewhy.models.outputs import sole_tensor
from seewhy.ops import generator

if TYPE_CHECKING:
    from seewhy.models.adapter import Adapter

TOLERANCE: Final = 1e-3
"""Relative to the largest change of an output: what rounding alone may move the others by."""


def calls_holding_logits(adapter: Adapter) -> list[tuple[str, int]]:
    """The calls (name, number) whose output has one channel per class and reaches that class's outputs only.

    Outputs are compared as differences to the last class's, which a softmax leaves alone. With one or two classes there
    is no other difference to look at: there it is those calls whose channel, moved on and on, moves the difference at
    every place one way, as a logit does and a gate in front of further layers does not.
    """
    asked = [call for call in candidates(adapter.trace) if _channels(call) == adapter.trace.outputs]
    with borrowed(adapter.model):
        return [(call.name, call.call) for call in asked if _holds(adapter, call)]


def _channels(call: LayerCall) -> int:
    first = call.grid is not None and call.grid.layout == "channels_first"
    return call.shape[1] if first else call.shape[-1]


def _holds(adapter: Adapter, call: LayerCall) -> bool:
    clean, once, twice = (_differences(adapter, call, strength) for strength in (0.0, 1.0, 2.0))
    change = (once - clean).abs()
    if not bool(change.any()):
        return False
    if clean.shape[1] > 1:  # more than the difference that the disturbed class has a part in
        return float(change[:, 1:].max()) <= TOLERANCE * float(change[:, 0].max())
    onward = (twice - once) * (once - clean)
    return float(onward.min()) >= -TOLERANCE * float(change.max()) ** 2


def _differences(adapter: Adapter, call: LayerCall, strength: float) -> Float[Tensor, "b c *s"]:
    """The outputs for the example, less the last class's, with noise added to the first channel of a call."""
    with _disturbed(adapter.model, call, strength):
        answer = adapter.call(adapter.example)
    records = next(iter(adapter.example.values())).shape[0]
    outputs = adapter.outputs(answer, batch=records).double()
    return outputs if outputs.shape[1] == 1 else outputs[:, :-1] - outputs[:, -1:]


@contextmanager
def _disturbed(model: nn.Module, call: LayerCall, strength: float) -> Iterator[None]:
    calls = count()
    axis = 1 if call.grid is not None and call.grid.layout == "channels_first" else -1

    def disturb(module: nn.Module, args: Any, output: Any) -> Any:
        del module, args
        tensor = sole_tensor(output)
        if next(calls) != call.call or tensor is None or tensor is not output:
            return None
        first = tensor.narrow(axis, 0, 1)
        noise = torch.randn(first.shape, generator=generator("logit layers", call.name)).to(first)
        changed = tensor.clone()
        changed.narrow(axis, 0, 1).add_(strength * (1 + float(first.float().std(correction=0))) * noise)
        return changed

    handle = model.get_submodule(call.name).register_forward_hook(disturb)
    try:
        yield
    finally:
        handle.remove()
