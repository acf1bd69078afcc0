"""What a reader of the maps should know about the model they were made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

if TYPE_CHECKING:
    from seewhy.models.adapter import Adapter

DETERMINISM_TOLERANCE = {"32": 1e-5, "bf16": 1e-2, "16": 1e-2}
"""Relative to the largest output: what two calls on the same inputs may differ by through rounding alone."""


def notes_on(adapter: Adapter, training: Sequence[nn.Module], first: Float[Tensor, "b c"]) -> tuple[str, ...]:
    """Notes in words, given the modules that were in training mode and the outputs of the call before the trace's."""
    return (*_mode(training), *_type(adapter), *_ending(adapter), *_determinism(adapter, first))


def _mode(training: Sequence[nn.Module]) -> Iterator[str]:
    kinds = sorted({type(module).__name__ for module in training if isinstance(module, _BatchNorm | _DropoutNd)})
    if kinds:
        yield f"the model was in training mode ({', '.join(kinds)}); it is explained in evaluation mode"


def _type(adapter: Adapter) -> Iterator[str]:
    given = {tensor.dtype for tensor in adapter.example.values() if tensor.is_floating_point()}
    if adapter.dtype is not None and given - {adapter.dtype}:
        yield f"inputs are converted to {str(adapter.dtype).removeprefix('torch.')}, the type of the weights"


def _ending(adapter: Adapter) -> Iterator[str]:
    if adapter.passed_by is not None:
        kind = type(adapter.model.get_submodule(adapter.passed_by)).__name__
        yield f"the model ends in {kind} ({adapter.passed_by}); its input, the logits, is what is explained"
    elif adapter.activation is not None:
        yield (
            f"the model's outputs are behind a {adapter.activation}, whose gradient vanishes where it saturates; "
            "return the logits, or pick them with output_selector"
        )


def _determinism(adapter: Adapter, first: Float[Tensor, "b c"]) -> Iterator[str]:
    first, second = first.detach(), adapter.trace.logits.detach()  # a model may enable gradients inside
    largest = float(torch.maximum(first.abs().max(), second.abs().max()))
    difference = float((first - second).abs().max())
    if difference > DETERMINISM_TOLERANCE[adapter.precision] * max(largest, 1.0):
        yield f"two calls on the same inputs gave outputs that differ by {difference:.2g}: the model draws at random"
