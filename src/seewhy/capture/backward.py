"""Partial backwards: the gradient of each score at chosen tensors, and nowhere else."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy.values import LayerError


def partial_backwards(
    scores: Sequence[Float[Tensor, " b"]], leaves: Mapping[str, Tensor], *, may_be_unused: Collection[str] = ()
) -> dict[str, Float[Tensor, "k ..."]]:
    """The gradient of every score, summed over records, at every leaf, by the leaf's name.

    Records do not mix, so the sum separates. No parameter's ``.grad`` is touched. Raises ``LayerError`` SW-L13 for a
    leaf a score does not depend on; the gradient at one that ``may_be_unused`` names is zero where the score depends on
    another leaf.
    """
    if not leaves or not scores:
        return {}
    if not scores[0].requires_grad:
        raise _no_path(", ".join(leaves))
    found: dict[str, list[Tensor]] = {name: [] for name in leaves}
    last = len(scores) - 1
    for index, score in enumerate(scores):
        gradients = torch.autograd.grad(
            score.sum(), list(leaves.values()), retain_graph=index < last, allow_unused=True
        )
        some = any(gradient is not None for gradient in gradients)
        for (name, leaf), gradient in zip(leaves.items(), gradients, strict=True):
            if gradient is None and not (some and name in may_be_unused):
                raise _no_path(name)
            found[name].append(torch.zeros_like(leaf) if gradient is None else gradient.detach())
    return {name: _stacked(gradients) for name, gradients in found.items()}


def _stacked(gradients: list[Tensor]) -> Float[Tensor, "k ..."]:
    return gradients[0].unsqueeze(0) if len(gradients) == 1 else torch.stack(gradients)


def _no_path(name: str) -> LayerError:
    return LayerError(
        "SW-L13",
        f"the score has no gradient path to {name}",
        fix="choose a layer the outputs depend on; no_grad() or detach() in the model's forward cuts the path, and "
        "so do quantised layers: occlusion, rise and scorecam need none",
    )
