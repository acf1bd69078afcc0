"""What a model's weights say about it: where it is, and in which floating-point type it computes."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from seewhy.values import ModelError

_SHARDED = {"DTensor", "FlatParameter", "ShardedTensor"}


def device_of(model: nn.Module) -> torch.device:
    """The one device of a model's weights; the CPU for a model without any.

    Raises ``ModelError``: SW-M03 several devices, SW-M06 weights without values, SW-M19 weights in pieces.
    """
    tensors = (*model.parameters(), *model.buffers())
    if sharded := {type(tensor).__name__ for tensor in tensors} & _SHARDED:
        raise ModelError(
            "SW-M19",
            f"the model's parameters are sharded over processes ({', '.join(sorted(sharded))})",
            fix="gather the full state dict, load it into a plain model and explain that",
        )
    if any(is_lazy(tensor) for tensor in tensors):
        raise ModelError("SW-M06", "the model has lazy layers without weights", fix="run it once on a batch")
    devices: set[torch.device] = {tensor.device for tensor in tensors}
    if len(devices) > 1:
        raise ModelError(
            "SW-M03",
            f"the model's parameters are on several devices: {sorted(map(str, devices))}",
            fix="move the model to one device",
        )
    device = devices.pop() if devices else torch.device("cpu")
    if device.type == "meta":
        raise ModelError("SW-M06", "the model has no weights (meta device)", fix="materialise it and load a checkpoint")
    return device


def dtype_of(model: nn.Module) -> torch.dtype | None:
    """The floating-point type that all parameters share; None where they share none, and inputs stay as they are."""
    kinds: set[torch.dtype] = {p.dtype for p in model.parameters() if p.is_floating_point() and p.itemsize > 1}
    return kinds.pop() if len(kinds) == 1 else None
