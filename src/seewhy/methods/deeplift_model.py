"""Making a model fit for DeepLIFT, and naming what in it is not."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeGuard

import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from seewhy.core import Inputs
from seewhy.models.adapter import Adapter
from seewhy.models.borrow import borrowed

MIXES_RECORDS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.Softmax)
"""Modules whose rule in captum looks at other records of the batch; with these, records are asked one by one."""
WITH_RULE = (*MIXES_RECORDS, nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus)
"""Modules captum has a rule for, by exact class."""
MaxPool: TypeAlias = nn.MaxPool1d | nn.MaxPool2d | nn.MaxPool3d
POOLS: dict[type[nn.Module], int] = {nn.MaxPool1d: 1, nn.MaxPool2d: 2, nn.MaxPool3d: 3}
NON_LINEAR = {
    "relu", "relu6", "gelu", "silu", "mish", "elu", "selu", "celu", "leaky_relu", "prelu", "sigmoid", "hardsigmoid",
    "hardswish", "hardtanh", "logsigmoid", "tanh", "softplus", "softmax", "log_softmax", "max_pool1d", "max_pool2d",
    "max_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d", "layer_norm", "group_norm",
    "instance_norm", "rms_norm", "normalize", "scaled_dot_product_attention", "multi_head_attention_forward", "clamp",
    "exp", "log", "sqrt", "amax", "maximum",
}  # fmt: skip
"""Functions that a Rescale rule would have to know of."""


def made_ready(adapter: Adapter) -> Adapter:
    """Change a private copy of a model so that rules see every call: nothing in place, each call by itself."""
    model = adapter.model
    for module in model.modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False  # type: ignore[assignment]
    counts = adapter.trace.call_counts
    split = {
        module: _CallsApart(_SeparateWindows(module) if _overlaps(module) else module, counts.get(name, 1))
        for name, module in model.named_modules()
        if type(module) in WITH_RULE
    }
    for name, module in list(model.named_modules(remove_duplicate=False)):
        if module in split:
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, split[module])
    return adapter


def without_rule(adapter: Adapter, inputs: Inputs) -> list[str]:
    """The non-linear steps that no module with a rule takes, as ``relu in layer1.0``, found by running one record."""
    one = {name: tensor[:1].detach().to(adapter.device) for name, tensor in inputs.items()}
    running: list[tuple[str, nn.Module]] = [("the model itself", adapter.model)]
    found = _NonLinearSteps(running)
    with borrowed(adapter.model), _followed(adapter.model, running), found:
        adapter.call(one)
    return list(dict.fromkeys(found.steps))


class _CallsApart(nn.Module):
    """A module as one module for each time it runs in a forward, each on a copy of its input.

    captum replaces the gradient at a module's input and reads it at the output of the module before. Where both are one
    tensor it reads first, and the replacement is lost; on a copy it is not.
    """

    def __init__(self, module: nn.Module, calls: int) -> None:
        super().__init__()
        self.per_call = nn.ModuleList(copy.deepcopy(module) for _ in range(calls))
        self._next = 0

    def forward(self, tensor: Tensor) -> Any:
        """What the module of this call puts out."""
        module = self.per_call[self._next]
        self._next = (self._next + 1) % len(self.per_call)
        return module(tensor.clone())


class _SeparateWindows(nn.Module):
    """Max pooling with windows that overlap, as one without overlap on copies of what windows share.

    captum's rule hands a window's change to its largest value by unpooling, which writes once where windows meet.
    """

    def __init__(self, pool: MaxPool) -> None:
        super().__init__()
        rank = POOLS[type(pool)]
        self._kernel, self._stride, self._padding = (
            (size,) * rank if isinstance(size, int) else tuple(size)
            for size in (pool.kernel_size, pool.stride, pool.padding)
        )
        self.pool = nn.MaxPool1d(math.prod(self._kernel))

    def forward(self, tensor: Tensor) -> Tensor:
        """The same numbers as the pooling it stands for; what pads is below everything."""
        below = float(tensor.detach().amin()) - 1
        windows = F.pad(tensor, [edge for edge in reversed(self._padding) for _ in range(2)], value=below)
        for axis, (kernel, stride) in enumerate(zip(self._kernel, self._stride, strict=True)):
            windows = windows.unfold(2 + axis, kernel, stride)
        size = windows.shape[: 2 + len(self._kernel)]
        found: Tensor = self.pool(windows.flatten(2))
        return found.reshape(size)


def _overlaps(module: nn.Module) -> TypeGuard[MaxPool]:
    """Whether it is a max pooling whose windows may share values; of the plain kind, which can be taken apart."""
    if not isinstance(module, nn.MaxPool1d | nn.MaxPool2d | nn.MaxPool3d) or module.ceil_mode:
        return False
    return module.dilation in (1, (1,), (1, 1), (1, 1, 1)) and module.stride != module.kernel_size


class _NonLinearSteps(TorchFunctionMode):
    """Notes the non-linear functions that are called outside modules with a rule."""

    def __init__(self, running: Sequence[tuple[str, nn.Module]]) -> None:
        super().__init__()
        self._running = running
        self.steps: list[str] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name, module = self._running[-1]
        step = getattr(func, "__name__", "").strip("_")
        if step in NON_LINEAR and type(module) not in WITH_RULE:
            self.steps.append(f"{step} in {name}")
        return func(*args, **(kwargs or {}))


@contextmanager
def _followed(model: nn.Module, running: list[tuple[str, nn.Module]]) -> Iterator[None]:
    """While open, ``running`` ends with the innermost module that runs."""

    def enter(name: str) -> Callable[[nn.Module, Any], None]:
        return lambda module, _: running.append((name, module))

    def leave(*_: Any) -> None:
        running.pop()

    handles = []
    try:
        for name, module in model.named_modules():
            if name:
                handles.append(module.register_forward_pre_hook(enter(name)))
                handles.append(module.register_forward_hook(leave))
        yield
    finally:
        for handle in handles:
            handle.remove()
