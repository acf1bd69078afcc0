"""Whether a model came back as it was lent: a digest of everything that a method could have changed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

State: TypeAlias = Mapping[str, object]
HOOKS = (
    "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_forward_hooks_always_called",
)  # fmt: skip


def state_of(model: nn.Module) -> State:
    """Weights, gradients, flags and hooks of a model, and torch's, NumPy's and Python's random generators, by name."""
    numpy_state: Any = np.random.get_state(legacy=False)
    found: dict[str, object] = {
        "grad mode": torch.is_grad_enabled(),
        "torch's random generator": _digest(torch.get_rng_state()),
        "NumPy's random generator": (numpy_state["state"]["key"].tobytes(), numpy_state["state"]["pos"]),
        "Python's random generator": random.getstate(),
    }
    for name, module in model.named_modules():
        found[f"train flag of {name or 'the model'}"] = module.training
        found[f"hooks of {name or 'the model'}"] = [tuple(vars(module).get(table) or ()) for table in HOOKS]
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        found[f"values of {name}"] = _digest(tensor)
        found[f"requires_grad of {name}"] = tensor.requires_grad
        found[f"gradient of {name}"] = _digest(tensor.grad) if tensor.is_leaf and tensor.grad is not None else None
    return found


def changes(before: State, after: State) -> list[str]:
    """The names of what differs.

    Example:
        >>> changes({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4})
        ['b', 'c']
    """
    missing = object()
    names = dict.fromkeys((*before, *after))
    return [name for name in names if before.get(name, missing) != after.get(name, missing)]


def _digest(tensor: Tensor) -> str:
    """Of the bytes, so that NaN equals NaN."""
    with torch.no_grad():
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        return hashlib.blake2b(flat.view(torch.uint8).numpy().data, digest_size=16).hexdigest()
