"""What a model is beside its weights: its classes and their code, and every value that its modules hold."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext

from seewhy.explain.cache_bytecode import written_names
from seewhy.explain.cache_canonical import CannotBeKeyedError
from seewhy.explain.cache_code import class_token
from seewhy.explain.cache_values import Tokens

Structure: TypeAlias = Mapping[tuple[str, str], str]
HOOKS: Final = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
OF_TORCH: Final = frozenset(vars(nn.Module())) - {"training"}
"""What every module holds: weights, parts and hooks, which are looked at elsewhere."""


def structure_of(model: nn.Module) -> Structure:
    """A short text for each module's class, what is which of its parts, and each value it holds, by both names.

    Raises ``CannotBeKeyedError`` for a model with hooks of its own or with a ``forward`` put on the object: what they
    do is not to be seen.

    Example:
        >>> model = nn.Sequential(nn.Dropout(0.5))
        >>> before = structure_of(model)
        >>> model[0].p = 0.25
        >>> after = structure_of(model)
        >>> [name for name in after if after[name] != before[name]]
        [('0', 'p')]
    """
    _require_nothing_between()
    named = list(model.named_modules(remove_duplicate=False))
    return dict(_values(named))


def _require_nothing_between() -> None:
    """Raise where code that belongs to no module runs at every module or operation, or on what is kept for gradients.

    A default device is such a mode too; it changes where new tensors lie, and no number.
    """
    if torch_module._has_any_global_hook():  # type: ignore[no-untyped-call]
        raise CannotBeKeyedError("hooks of your own are on all modules")
    modes = [one for one in _get_current_function_mode_stack() if type(one) is not DeviceContext]  # type: ignore[no-untyped-call]
    if modes or torch._C._len_torch_dispatch_stack():
        raise CannotBeKeyedError("a mode of torch is on that sees every operation")
    if torch._C._autograd._top_saved_tensors_default_hooks(False) is not None:
        raise CannotBeKeyedError("hooks are on all tensors saved for gradients")


def _values(named: list[tuple[str, nn.Module]]) -> Iterator[tuple[tuple[str, str], str]]:
    first: dict[int, str] = {}
    for name, module in named:
        for called, one in ((name, module), *_own_tensors(name, module)):
            first.setdefault(id(one), called)
    tokens = Tokens({id(module): first[id(module)] for _, module in named})
    classes: dict[type, str] = {}
    for name, module in named:
        held = vars(module)
        if any(held.get(table) for table in HOOKS):
            raise CannotBeKeyedError(f"{name or 'the model'} has hooks of your own")
        if "forward" in held:
            raise CannotBeKeyedError(f"{name or 'the model'} has a forward of your own")
        kind = type(module)
        if kind not in classes:
            classes[kind] = class_token(kind, tokens)
        yield (name, "class"), classes[kind]
        yield (name, "its parts"), repr(_parts(module, first))
        for called, tensor in _own_tensors(name, module):
            if tensor._backward_hooks:
                raise CannotBeKeyedError(f"{called} has hooks of your own")
            if vars(tensor):
                yield (name, f"values of {called}"), tokens.of(vars(tensor))
        for key, value in held.items():
            if key not in OF_TORCH:
                yield (name, key), tokens.of(value)


def _own_tensors(name: str, module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for table in (module._parameters, module._buffers):
        for key, tensor in table.items():
            if tensor is not None:
                yield f"{name}.{key}", tensor


def _parts(module: nn.Module, first: Mapping[int, str]) -> list[list[tuple[str, str | None]]]:
    """Modules, parameters and buffers in their order, each with the first name it has anywhere in the model: so that
    another part under the same name, or another order, is seen."""
    tables = (module._modules, module._parameters, module._buffers)
    return [[(key, None if one is None else first[id(one)]) for key, one in table.items()] for table in tables]


def written_by_itself(before: Structure, after: Structure) -> frozenset[tuple[str, str]]:
    """The values that a model wrote while it was asked, such as a count of its calls."""
    return frozenset(name for name in {*before, *after} if before.get(name) != after.get(name))


def writes_itself(model: nn.Module, written: Collection[tuple[str, str]]) -> bool:
    """Whether methods of the modules' classes, other than ``__init__``, assign these values."""
    modules = dict(model.named_modules(remove_duplicate=False))
    return all(name in written_names(type(modules[module])) for module, name in written)


def numeric_mode(device: str) -> dict[str, Any]:
    """The process's switches that change numbers by more than rounding: automatic precision and that of products."""
    enabled = torch.is_autocast_enabled(device)
    backends: Any = torch.backends
    libraries = (backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.matmul, backends.mkldnn.conv)
    return {
        "autocast": str(torch.get_autocast_dtype(device)) if enabled else None,
        "products": [library.fp32_precision for library in libraries],
        "default": str(torch.get_default_dtype()),
    }
