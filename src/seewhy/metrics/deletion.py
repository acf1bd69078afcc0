"""Deletion and insertion: how the probability falls and rises as places go and come in the order of the map."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy.metrics.asking import Asking
from seewhy.metrics.grade import Grade, graded
from seewhy.metrics.removal import UNCHANGED, area, counts, fractions, ranks, replaced, unchanged
from seewhy.metrics.settings import whole
from seewhy.registry import metric

PETSIUK = "Petsiuk, Das and Saenko 2018, arXiv:1806.07421, section 4.2"
Fill = str | Tensor
Baseline = Callable[[Fill], Float[Tensor, "b c *s"]]


@metric("deletion", family="faithfulness", better="lower", range=(0.0, 1.0), cite=PETSIUK)
def deletion(
    evidence: Float[Tensor, "b *s"],
    image: Float[Tensor, "b c *s"],
    probability: Asking,
    baseline: Baseline,
    ids: Sequence[str],
    *,
    steps: int = 50,
    fill: Fill = "blur",
    seed: int = 0,
) -> Grade:
    """The area under the probability while places are replaced, those that speak most first.

    A place is all channels at once. The curve ``(B, steps + 1)`` goes from the image to the filling; every place is
    replaced in the end, and the horizontal axis is the fraction really replaced. ``fill`` is a baseline ("blur",
    "mean", "black", "white", "random") or values. Places that speak alike go in an order drawn by ``seed`` and id, so
    a map without information is graded as random order is.

    Raises ``ConfigError`` SW-F252 for ``steps`` below 1 or a seed that is none, SW-F40, SW-F41 and SW-F227 for a
    filling that cannot be.

    Example:
        >>> image = torch.tensor([[[1.0, 3.0, 0.0, 0.0]]])
        >>> share = Asking.of(lambda images: images.sum(dim=(1, 2)) / 4, image)
        >>> deletion(image[:, 0], image, share, lambda fill: torch.zeros_like(image), ("",), steps=4).details["curve"]
        tensor([[1.0000, 0.2500, 0.0000, 0.0000, 0.0000]], dtype=torch.float64)
    """
    steps = whole("steps", steps, 1)
    gone = counts(evidence[0].numel(), steps)
    filling = baseline(fill)
    change = replaced(image, filling, ranks(evidence, ids, seed), gone[1:])
    curve = torch.cat([probability.clean.unsqueeze(1), probability.each(steps, change)], dim=1)
    fraction = fractions(gone, curve)
    return graded(area(curve, fraction), {UNCHANGED: unchanged(image, filling)}, curve=curve, fraction=fraction)


@metric("insertion", family="faithfulness", better="higher", range=(0.0, 1.0), cite=PETSIUK)
def insertion(
    evidence: Float[Tensor, "b *s"],
    image: Float[Tensor, "b c *s"],
    probability: Asking,
    baseline: Baseline,
    ids: Sequence[str],
    *,
    steps: int = 50,
    fill: Fill = "blur",
    seed: int = 0,
) -> Grade:
    """The area under the probability while places of the image come back, those that speak most first.

    As :func:`deletion`, but the curve ``(B, steps + 1)`` goes from the filling to the image.

    Raises ``ConfigError`` SW-F252 for ``steps`` below 1 or a seed that is none, SW-F40, SW-F41 and SW-F227 for a
    filling that cannot be.

    Example:
        >>> image = torch.tensor([[[1.0, 3.0, 0.0, 0.0]]])
        >>> share = Asking.of(lambda images: images.sum(dim=(1, 2)) / 4, image)
        >>> insertion(image[:, 0], image, share, lambda fill: torch.zeros_like(image), ("",), steps=4).values
        tensor([0.8125], dtype=torch.float64)
    """
    steps = whole("steps", steps, 1)
    come = counts(evidence[0].numel(), steps)
    filling = baseline(fill)
    change = replaced(filling, image, ranks(evidence, ids, seed), come[:-1])
    curve = torch.cat([probability.each(steps, change), probability.clean.unsqueeze(1)], dim=1)
    fraction = fractions(come, curve)
    return graded(area(curve, fraction), {UNCHANGED: unchanged(image, filling)}, curve=curve, fraction=fraction)
