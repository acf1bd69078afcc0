"""Parameters as constants: what a backward to the inputs alone need not keep, it does not keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from seewhy.capture.lean import lean_batch_norm, lean_convolution, lean_max_pool2d, lean_relu

_ABOUT_THE_TENSOR_ITSELF = frozenset({"__get__", "__set__", "__delete__", "__hash__", "requires_grad_"})
"""Reading or writing an attribute concerns the parameter, not its values."""


class ConstantParameters(TorchFunctionMode):
    """Hands operations detached parameters, and has them keep no more than a gradient at the inputs takes.

    Gradients at the inputs stay the same to rounding, and no parameter is touched. Linear layers and convolutions keep
    none of their inputs, which only a weight's gradient needs; nor does batch norm in evaluation mode, which is affine
    (Ioffe and Szegedy 2015, algorithm 2, step 11); ReLU keeps a mask. On a residual network more than half the memory
    of a backward goes.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in _ABOUT_THE_TENSOR_ITSELF or not torch.is_grad_enabled():
            return func(*args, **(kwargs or {}))
        args = tuple(_constant(value) for value in args)
        kwargs = {name: _constant(value) for name, value in (kwargs or {}).items()}
        lean = _LEAN.get(func)
        found = None if lean is None else lean(*args, **kwargs)
        return func(*args, **kwargs) if found is None else found


def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor | None:
    """None where statistics are those of the batch, types are mixed or weights carry a graph."""
    del momentum
    if training or running_mean is None or running_var is None or not input.requires_grad:
        return None
    if not _are_constants_like(input, running_mean, running_var, weight, bias):
        return None
    return lean_batch_norm(input, running_mean, running_var, weight, bias, eps)


def _convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor | None:
    """None where weights carry a graph, records are not batched or types are mixed: the operation itself knows."""
    is_plain = input.ndim == weight.ndim and not isinstance(padding, str) and input.requires_grad
    if not (is_plain and _are_constants_like(input, weight, bias)):
        return None
    if torch.is_autocast_enabled(input.device.type):
        return None
    stride, padding, dilation = (_per_axis(size, input.ndim - 2) for size in (stride, padding, dilation))
    return lean_convolution(input, weight, bias, stride, padding, dilation, groups)


def _relu(input: Tensor, inplace: bool = False) -> Tensor | None:
    return lean_relu(input, inplace) if input.requires_grad and input.ndim else None


def _relu_in_place(input: Tensor) -> Tensor | None:
    return _relu(input, inplace=True)


def _max_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | None:
    if return_indices or input.ndim != 4 or not input.requires_grad:
        return None
    kernel = _per_axis(kernel_size, 2)
    steps = _per_axis(stride, 2) if stride is not None else kernel
    return lean_max_pool2d(input, kernel, steps, _per_axis(padding, 2), _per_axis(dilation, 2), ceil_mode)


def _per_axis(size: Any, axes: int) -> list[int]:
    sizes = list(size) if isinstance(size, Sequence) else [size]
    return sizes * axes if len(sizes) == 1 else sizes


_LEAN: dict[Callable[..., Any], Callable[..., Tensor | None]] = {
    F.batch_norm: _batch_norm,
    F.conv1d: _convolution,
    F.conv2d: _convolution,
    F.conv3d: _convolution,
    F.relu: _relu,
    torch.relu: _relu,
    Tensor.relu: _relu,
    torch.relu_: _relu_in_place,
    Tensor.relu_: _relu_in_place,
    F.max_pool2d: _max_pool2d,
    torch.max_pool2d: _max_pool2d,
}
"""What each operation is done by; None where it must be done by itself."""


def _are_constants_like(input: Tensor, *values: Tensor | None) -> bool:
    """Whether they have no gradient of their own and the input's type."""
    return all(value is None or (not value.requires_grad and value.dtype == input.dtype) for value in values)


def _constant(value: Any) -> Any:
    if isinstance(value, nn.Parameter):
        return value.detach()
    if type(value) in (list, tuple) and any(isinstance(item, nn.Parameter) for item in value):
        return type(value)(_constant(item) for item in value)
    return value
