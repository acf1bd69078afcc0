"""Law 1: a model is returned exactly as it was lent, also when the call raises.

from borrowed import unchanged

with unchanged(model, images):
    explain(model, images)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as module_globals

from surroundings import Facts, generators, torch_switches

PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, torch.Size)


@contextmanager
def unchanged(model: nn.Module, *lent: Tensor, random: bool = True) -> Iterator[None]:
    """Fails if anything in here leaves a mark on ``model``, on the tensors ``lent`` with it or on torch's global state.

    ``random=False`` allows the global generators to advance, for a block that draws by itself.
    """
    # The first snapshot holds every object it names, so that no id can be used again before the second.
    before = _everything(model, lent, random)
    try:
        yield
    finally:
        changes = before.changes_to(_everything(model, lent, random))
        assert not changes, "not returned as lent:\n  " + "\n  ".join(changes)


def _everything(model: nn.Module, lent: tuple[Tensor, ...], random: bool) -> Facts:
    facts: dict[str, Any] = {**torch_switches(), **_global_hooks()}
    if random:
        facts.update(generators().values)
    for path, module in model.named_modules(remove_duplicate=False):
        facts.update(_module_facts(path or "the model", module))
    tensors = [*model.named_parameters(), *model.named_buffers()]
    for path, tensor in [*tensors, *((f"lent tensor {i}", tensor) for i, tensor in enumerate(lent))]:
        facts.update(_tensor_facts(path, tensor))
    return Facts(facts)


def _module_facts(path: str, module: nn.Module) -> dict[str, Any]:
    attributes = {f"{path}.{name}": _settled(value) for name, value in vars(module).items()}
    return {f"{path}: class": type(module), **attributes}


def _settled(value: Any) -> Any:
    """A value that does not follow later changes: plain ones as they are, containers by entry, the rest by identity."""
    if isinstance(value, PLAIN):
        return type(value), repr(value)
    if isinstance(value, dict):
        return "dict", [(key, _settled(entry)) for key, entry in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [_settled(entry) for entry in value]
    if isinstance(value, (set, frozenset)):
        return type(value), frozenset(value)
    return _Same(value)


def _tensor_facts(path: str, tensor: Tensor) -> dict[str, Any]:
    tables = ("_backward_hooks", "_post_accumulate_grad_hooks")
    hooks = [_settled(dict(getattr(tensor, name, None) or {})) for name in tables]
    return {
        f"{path}: identity": _Same(tensor),
        f"{path}: storage": (tensor.data_ptr(), tensor.dtype, tensor.device, tensor.shape, tensor.stride()),
        f"{path}: values": digest(tensor),
        f"{path}: requires_grad": tensor.requires_grad,
        f"{path}: graph": _Same(tensor.grad_fn),
        f"{path}: hooks": hooks,
        f"{path}: grad": _Same(tensor.grad) if tensor.is_leaf else None,
        f"{path}: grad values": digest(tensor.grad) if tensor.is_leaf and tensor.grad is not None else None,
    }


def digest(tensor: Tensor) -> str:
    """The bytes of a tensor's values, so that NaN equals NaN and 0.0 differs from -0.0."""
    with torch.inference_mode(False), torch.no_grad():
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        return hashlib.blake2b(flat.view(torch.uint8).numpy()).hexdigest()


def _global_hooks() -> dict[str, Any]:
    tables = {name: table for name, table in vars(module_globals).items() if name.startswith("_global_")}
    return {f"torch's {name}": _settled(table) for name, table in tables.items()}


class _Same:
    """Equal only to the very same object; holds it so that its id stays taken."""

    def __init__(self, held: Any) -> None:
        self.held = held

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.held is other.held

    def __hash__(self) -> int:
        return id(self.held)

    def __repr__(self) -> str:
        return f"<{type(self.held).__name__} at {id(self.held):#x}>"
