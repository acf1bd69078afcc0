"""Run only what lies behind a layer: the batch grows at the layer, so that what is before it runs once per record."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy.capture.probe import Probe
from seewhy.capture.taps import edits
from seewhy.core import Inputs
from seewhy.models.borrow import borrowed
from seewhy.values import ModelError

Vary = Callable[[Tensor], Tensor]
"""From a layer's output for one record ``(1, ...)`` to ``(N, ...)`` variants of it."""


def record_of(inputs: Inputs, record: int) -> Inputs:
    """One record of a batch, as a batch of one."""
    return {name: tensor[record : record + 1] for name, tensor in inputs.items()}


def score_by_tail(probe: Probe, record: Inputs, layer: str, vary: Vary) -> Float[Tensor, "k n"]:
    """The scores ``(K, N)`` of variants of a layer's output, the layers before it run on the one record only.

    The layer's output of one record is replaced by ``N`` rows on its way, and the model goes on with a batch of ``N``;
    where it adds something from before the layer, that is one row and broadcasts. Nothing in the model is replaced.
    Ask :func:`tail_can_grow` first: a model that joins or reshapes by the batch it began with cannot be run so.
    """
    adapter, grown = probe.adapter, 0

    def grow(output: Tensor) -> Tensor:
        nonlocal grown
        variants = vary(output)
        grown = variants.shape[0] // output.shape[0]
        return variants

    with borrowed(adapter.model), edits(adapter.model, {adapter.layer(layer): grow}):
        given = {name: tensor.to(adapter.device).clone() for name, tensor in record.items()}
        raw = adapter.call(given)
        outputs = adapter.outputs(raw, batch=grown)
        return torch.stack([target(outputs) for target in probe.take([0] * grown).targets])


def score_by_repeating(probe: Probe, record: Inputs, layer: str, vary: Vary, count: int) -> Float[Tensor, "k n"]:
    """The same scores from whole forwards of ``count`` copies of the record: slower, and possible on any model."""
    copies = {name: tensor.expand(count, *tensor.shape[1:]) for name, tensor in record.items()}
    return probe.take([0] * count).score(copies, edit={layer: lambda output: vary(output[: output.shape[0] // count])})


SAME = 1e-4
"""Scores that differ by less than this share of the largest are the same."""


def tail_can_grow(probe: Probe, record: Inputs, layer: str) -> bool:
    """Whether :func:`score_by_tail` tells the truth: tried on the layer's output as it is, doubled and zeroed."""

    def vary(output: Tensor) -> Tensor:
        return torch.cat([output, output * 2, torch.zeros_like(output)])

    true = score_by_repeating(probe, record, layer, vary, 3)
    try:
        found = score_by_tail(probe, record, layer, vary)
    except (RuntimeError, ValueError, IndexError, AssertionError, ModelError):
        return False
    return found.shape == true.shape and bool((found - true).abs().max() <= SAME * true.abs().max())
