"""The area over the curve of a perturbation of regions: most and least relevant first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy import ops
from seewhy.metrics.asking import Asking
from seewhy.metrics.grade import Grade, graded
from seewhy.metrics.regions import grid, region_ranks
from seewhy.metrics.removal import UNCHANGED, replaced, unchanged
from seewhy.metrics.settings import seeded, whole
from seewhy.registry import metric

SAMEK = "Samek et al. 2017, arXiv:1509.06321, equation 12"
Fill = str | Tensor
Baseline = Callable[[Fill], Float[Tensor, "b c *s"]]


@metric("aopc_morf", family="faithfulness", better="higher", range=(-1.0, 1.0), cite=SAMEK, also=("aopc",))
def aopc_morf(
    evidence: Float[Tensor, "b *s"],
    image: Float[Tensor, "b c *s"],
    probability: Asking,
    baseline: Baseline,
    ids: Sequence[str],
    *,
    region: int = 9,
    steps: int = 100,
    fill: Fill = "uniform",
    seed: int = 0,
) -> Grade:
    """How far the probability falls on average while regions are replaced, those that speak most first.

    The mean of ``f(x0) - f(xk)`` over ``k = 0 … L``: the image itself counts, as in the paper. Regions are blocks of
    ``region`` places along every axis that do not overlap; one goes at each of the ``steps``, until none is left.
    ``fill="uniform"`` draws each value between the lowest and the highest of its channel in that image, by ``seed`` and
    id; a baseline's name or values are taken too. ``curve`` ``(B, L + 1)`` are the probabilities.

    Raises ``ConfigError`` SW-F252 for ``region`` or ``steps`` below 1 or a seed that is none, SW-F40, SW-F41 and
    SW-F227 for a filling that cannot be.

    Example:
        >>> image = torch.tensor([[[1.0, 3.0, 0.0, 0.0]]])
        >>> share = Asking.of(lambda images: images.sum(dim=(1, 2)) / 4, image)
        >>> aopc_morf(image[:, 0], image, share, lambda fill: torch.zeros_like(image), ("",), region=1, fill="black")
        Grade(values=tensor([0.7500], dtype=torch.float64), ...
    """
    return _aopc(evidence, image, probability, baseline, ids, region, steps, fill, seed)


@metric("aopc_lerf", family="faithfulness", better="lower", range=(-1.0, 1.0), cite=SAMEK)
def aopc_lerf(
    evidence: Float[Tensor, "b *s"],
    image: Float[Tensor, "b c *s"],
    probability: Asking,
    baseline: Baseline,
    ids: Sequence[str],
    *,
    region: int = 9,
    steps: int = 100,
    fill: Fill = "uniform",
    seed: int = 0,
) -> Grade:
    """How far the probability falls on average while regions are replaced, those that speak least first.

    As :func:`aopc_morf` in the opposite order.

    Raises ``ConfigError`` SW-F252 for ``region`` or ``steps`` below 1 or a seed that is none, SW-F40, SW-F41 and
    SW-F227 for a filling that cannot be.

    Example:
        >>> image = torch.tensor([[[1.0, 3.0, 0.0, 0.0]]])
        >>> share = Asking.of(lambda images: images.sum(dim=(1, 2)) / 4, image)
        >>> aopc_lerf(image[:, 0], image, share, lambda fill: torch.zeros_like(image), ("",), region=1, fill="black")
        Grade(values=tensor([0.2500], dtype=torch.float64), ...
    """
    return _aopc(-evidence, image, probability, baseline, ids, region, steps, fill, seed)


def uniform(image: Float[Tensor, "b c *s"], ids: Sequence[str], seed: int) -> Float[Tensor, "b c *s"]:
    """Values drawn between the lowest and the highest of each channel of each image, by ``seed`` and id."""
    flat = image.flatten(2)
    low, high = (values.reshape(*image.shape[:2], *[1] * (image.ndim - 2)) for values in (flat.amin(2), flat.amax(2)))
    number = seeded(seed)
    drawn = torch.stack([torch.rand(image.shape[1:], generator=ops.generator(number, "uniform", key)) for key in ids])
    return low + (high - low) * drawn.to(image)


def _aopc(
    evidence: Float[Tensor, "b *s"],
    image: Float[Tensor, "b c *s"],
    probability: Asking,
    baseline: Baseline,
    ids: Sequence[str],
    region: int,
    steps: int,
    fill: Fill,
    seed: int,
) -> Grade:
    regions = grid(evidence.shape[1:], whole("region", region, 1)).to(image.device)
    taken = min(whole("steps", steps, 1), int(regions.max()) + 1)
    drawn = isinstance(fill, str) and fill == "uniform"
    filling = uniform(image, ids, seed) if drawn else baseline(fill)
    turns = region_ranks(evidence, regions.expand_as(evidence), ids, seed)
    after = probability.each(taken, replaced(image, filling, turns, range(1, taken + 1)))
    curve = torch.cat([probability.clean.unsqueeze(1), after], dim=1).double()
    falls = (curve[:, :1] - curve).mean(dim=1)
    return graded(falls, {UNCHANGED: unchanged(image, filling)}, curve=curve)
