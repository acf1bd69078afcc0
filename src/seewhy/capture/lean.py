"""Operations that keep for their backward to the inputs only what it takes: a mask, indices, a shape.

None of them turns a missing gradient into zeros: behind a step without a backward (a quantised layer) there is no path
to the inputs, and the caller must learn of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

Values = Float[Tensor, "b *s"]


@dataclass
class ReluRule:
    """What a ReLU passes back, from the gradient at its output and where its input was positive; counts its uses."""

    pass_back: Callable[[Values, Bool[Tensor, "b *s"]], Values]
    calls: int = 0


def masked(gradient: Values, mask: Bool[Tensor, "b *s"]) -> Values:
    """The gradient where the mask is on, else 0.

    On a CPU a product of different types first copies the mask as floats, bytes faster than booleans; record by record
    that copy stays small.
    """
    if gradient.device.type != "cpu":
        return gradient * mask
    found = torch.empty_like(gradient)
    for out, part, is_on in zip(found, gradient, mask.view(torch.uint8), strict=True):
        torch.mul(part, is_on, out=out)
    return found


_PLAIN = ReluRule(masked)
_rule: ContextVar[ReluRule] = ContextVar("how a ReLU passes gradients back", default=_PLAIN)


@contextmanager
def relu_backward(backward: Callable[[Values, Bool[Tensor, "b *s"]], Values]) -> Iterator[ReluRule]:
    """Another backward for every ReLU that runs while gradients at the inputs are captured in this thread."""
    token = _rule.set(ReluRule(backward))
    try:
        yield _rule.get()
    finally:
        _rule.reset(token)


def lean_relu(values: Values, inplace: bool = False) -> Values:
    """ReLU that keeps one byte for each value: whether it was positive."""
    rule = _rule.get()
    rule.calls += 1
    # A custom function may not change a view; copying into it is the same to whoever reads it.
    if inplace and values._base is not None:
        return values.copy_(_applied(_Relu, values, False, rule))
    return _applied(_Relu, values, inplace, rule)


def lean_convolution(
    values: Float[Tensor, "b c *s"],
    weight: Float[Tensor, "d e *k"],
    bias: Float[Tensor, " d"] | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Float[Tensor, "b d *t"]:
    """Convolution by constant weights, which needs no values for its gradient."""
    return _applied(_Convolution, values, weight, bias, stride, padding, dilation, groups)


def lean_batch_norm(
    values: Float[Tensor, "b c *s"],
    mean: Float[Tensor, " c"],
    variance: Float[Tensor, " c"],
    weight: Float[Tensor, " c"] | None,
    bias: Float[Tensor, " c"] | None,
    eps: float,
) -> Float[Tensor, "b c *s"]:
    """Batch norm with fixed statistics: ``weight / sqrt(variance + eps)`` times the values, and a constant."""
    return _applied(_BatchNorm, values, mean, variance, weight, bias, eps)


def lean_max_pool2d(values: Float[Tensor, "b c h w"], *settings: Any) -> Float[Tensor, "b c i j"]:
    """``F.max_pool2d`` (kernel, stride, padding, dilation, ceil) that keeps the places of the largest values only."""
    return _applied(_MaxPool2d, values, *settings)


def _applied(function: type[torch.autograd.Function], *args: Any) -> Tensor:
    found: Tensor = function.apply(*args)
    return found


class _Relu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, inplace: bool, rule: ReluRule) -> Tensor:
        ctx.set_materialize_grads(False)
        found = torch.relu_(values) if inplace else torch.relu(values)
        if inplace:
            ctx.mark_dirty(values)
        ctx.save_for_backward(found > 0)
        ctx.rule = rule
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> Any:
        (is_positive,) = ctx.saved_tensors
        return None if gradient is None else ctx.rule.pass_back(gradient, is_positive), None, None


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, bias: Tensor | None, *settings: Any) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(weight)
        ctx.shape, ctx.settings = values.shape, settings
        convolve: Callable[..., Tensor] = _CONVOLUTIONS[values.ndim]
        return convolve(values, weight, bias, *settings)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> Any:
        if gradient is None:
            return (None,) * 7
        (weight,) = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.settings
        no_output_padding = [0] * len(stride)
        only_values = (True, False, False)
        found, _, _ = torch.ops.aten.convolution_backward(
            gradient, _of_shape(ctx.shape, gradient), weight, None,
            stride, padding, dilation, False, no_output_padding, groups, only_values,
        )  # fmt: skip
        return found, *[None] * 6


class _BatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, values: Tensor, mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> Tensor:
        ctx.set_materialize_grads(False)
        scale = (variance + eps).rsqrt()
        scale = scale if weight is None else scale * weight
        ctx.save_for_backward(scale.reshape(-1, *[1] * (values.ndim - 2)))
        return F.batch_norm(values, mean, variance, weight, bias, eps=eps)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> Any:
        (scale,) = ctx.saved_tensors
        return None if gradient is None else gradient * scale, *[None] * 5


class _MaxPool2d(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, *settings: Any) -> Tensor:
        ctx.set_materialize_grads(False)
        found, places = F.max_pool2d_with_indices(values, *settings)
        ctx.save_for_backward(places)
        ctx.shape, ctx.settings = values.shape, settings
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> Any:
        if gradient is None:
            return (None,) * (1 + len(ctx.settings))
        (places,) = ctx.saved_tensors
        values = _of_shape(ctx.shape, gradient)
        found = torch.ops.aten.max_pool2d_with_indices_backward(gradient, values, *ctx.settings, places)
        return found, *[None] * len(ctx.settings)


_CONVOLUTIONS = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}


def _of_shape(shape: torch.Size, like: Tensor) -> Tensor:
    """A tensor of one cell that stands for one of this shape, whose values nobody reads."""
    return like.new_zeros(1).expand(shape)
