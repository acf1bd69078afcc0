"""How well a map agrees with where people looked: KLD, SIM, AUC-Judd and NSS.

The definitions are those of Bylinskii et al. 2018 (What do different evaluation metrics tell us about saliency models?,
arXiv:1604.03605). Maps are raw and signed: KLD and SIM compare distributions, so that negative values count
as 0 and the rest is divided by its sum; AUC and NSS take the values as they are, as only their order, or their distance
from the mean, matters. All are computed in float64. Where a number is not defined it is NaN, and
:func:`undefined` tells why.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from seewhy.metrics.ranks import average_ranks
from seewhy.values import ConfigError

EPSILON: Final = 2.0**-52
"""What keeps KLD finite where a map is 0 and people looked, as in the reference implementations."""
METRICS: Final = ("kld", "sim", "auc_judd", "nss")
LOWER_IS_BETTER: Final = frozenset({"kld"})


def kld(maps: Float[Tensor, "b h w"], density: Float[Tensor, "b h w"]) -> Float64[Tensor, " b"]:
    """The Kullback-Leibler divergence of each map from the density of fixations, in nats; 0 where they are equal.

    ``sum g log(e + g / (e + p))`` with the density ``g``, the map ``p`` (negative values as 0) and e =
    :data:`EPSILON` (Bylinskii 2018, "KL"). NaN for a map without positive values and for a density that is NaN.

    Raises ``ConfigError`` SW-F152 for maps and densities of different shapes, SW-F153 for a negative density.

    Example:
        >>> density = torch.tensor([[[0.5, 0.5]]])
        >>> round(kld(torch.tensor([[[3.0, 1.0]]]), density).item(), 6)  # log(2 / 3) / 2 + log(2) / 2
        0.143841
    """
    looked, shown = _distributions(maps, density)
    return (looked * torch.log(EPSILON + looked / (EPSILON + shown))).sum(dim=1)


def sim(maps: Float[Tensor, "b h w"], density: Float[Tensor, "b h w"]) -> Float64[Tensor, " b"]:
    """The intersection of the two histograms: 1 where map and density are equal, 0 where they do not overlap.

    ``sum min(p, g)`` with both divided by their sums, negative values of the map as 0 (Bylinskii 2018, "SIM"; Swain
    and Ballard 1991). NaN and errors as in :func:`kld`.

    Example:
        >>> sim(torch.tensor([[[3.0, 1.0, -9.0]]]), torch.tensor([[[0.5, 0.25, 0.25]]])).tolist()
        [0.75]
    """
    looked, shown = _distributions(maps, density)
    return torch.minimum(looked, shown).sum(dim=1)


def auc_judd(maps: Float[Tensor, "b h w"], fixations: Float[Tensor, "b h w"]) -> Float64[Tensor, " b"]:
    """How likely a fixated cell has a higher value than one that nobody looked at: the area under the ROC curve.

    Cells with a count above 0 are the positives, once each, all others the negatives (Judd et al. 2009, Learning to
    predict where humans look; Riche et al. 2013, Saliency and human fixations). The area is exact, by ranks: equal
    values count half, so that a constant map has 0.5, and no random jitter breaks ties.

    Published AUC-Judd values are a little higher: that code puts thresholds at the values of the ``n`` fixated cells
    alone and joins them by straight lines, which adds ``f / (2 n)``, where ``f`` is the share of the other cells that
    lie above the lowest of these values. NaN where no cell or every cell is fixated, and for maps that are not finite.

    Raises ``ConfigError`` SW-F152 for different shapes, SW-F153 for negative counts.

    Example:
        >>> auc_judd(torch.tensor([[[4.0, 3.0, 2.0, 2.0]]]), torch.tensor([[[0.0, 2.0, 1.0, 0.0]]])).tolist()
        [0.375]
    """
    values, counts = _flat(maps, fixations)
    positive = counts > 0
    known = values.isfinite().all(dim=1)
    ranks = average_ranks(torch.where(known[:, None], values, 0.0))
    several = positive.sum(dim=1).double()
    others = values.shape[1] - several
    above = (ranks * positive).sum(dim=1) - several * (several + 1) / 2
    return torch.where(known, above / (several * others), math.nan)  # 0 / 0 without either


def nss(maps: Float[Tensor, "b h w"], fixations: Float[Tensor, "b h w"]) -> Float64[Tensor, " b"]:
    """The mean value at the fixations, in standard deviations of the map from its mean: 0 by chance.

    Every fixation counts, also several in one cell; mean and deviation are those of all cells, the population's (Peters
    et al. 2005, Components of bottom-up gaze allocation in natural images; Bylinskii 2018, "NSS"). NaN for a constant
    map, whose deviation is 0, for one that is not finite, and without fixations. Errors as in :func:`auc_judd`.

    Example:
        >>> nss(torch.tensor([[[0.0, 0.0, 4.0, 4.0]]]), torch.tensor([[[0.0, 1.0, 0.0, 3.0]]])).tolist()
        [0.5]
    """
    values, counts = _flat(maps, fixations)
    spread = values.std(dim=1, correction=0, keepdim=True)
    standard = (values - values.mean(dim=1, keepdim=True)) / spread
    found = (standard * counts).sum(dim=1) / counts.sum(dim=1)
    return torch.where(_constant(values) | ~found.isfinite(), math.nan, found)


def undefined(metric: str, maps: Float[Tensor, "b h w"], fixations: Float[Tensor, "b h w"]) -> list[str | None]:
    """For each record why a metric of :data:`METRICS` is NaN, None where it is not. ``fixations`` are counts."""
    values, counts = _flat(maps, fixations)
    reasons = {
        "no fixations": counts.sum(dim=1) == 0,
        "the map holds NaN or infinite values": ~values.isfinite().all(dim=1),
        "the map has no positive value": (values <= 0).all(dim=1) & (metric in ("kld", "sim")),
        "the map is constant": _constant(values) & (metric == "nss"),
        "every cell is fixated": (counts > 0).all(dim=1) & (metric == "auc_judd"),
    }
    return [next((why for why, rows in reasons.items() if bool(rows[row])), None) for row in range(len(values))]


def _distributions(
    maps: Float[Tensor, "b h w"], density: Float[Tensor, "b h w"]
) -> tuple[Float64[Tensor, "b cells"], Float64[Tensor, "b cells"]]:
    """Density and maps, each divided by its sum; NaN where there is nothing to divide."""
    values, looked = _flat(maps, density)
    shown = torch.where(values.isfinite().all(dim=1, keepdim=True), values.clamp(min=0), math.nan)
    return looked / looked.sum(dim=1, keepdim=True), shown / shown.sum(dim=1, keepdim=True)


def _flat(
    maps: Float[Tensor, "b h w"], people: Float[Tensor, "b h w"]
) -> tuple[Float64[Tensor, "b cells"], Float64[Tensor, "b cells"]]:
    if maps.ndim != 3 or maps.shape != people.shape or not maps[:1].numel():
        raise ConfigError(
            "SW-F152",
            f"maps and fixations must both be (B, H, W); got {tuple(maps.shape)} and {tuple(people.shape)}",
            fix="resize the maps to the grid of the fixations, and flatten frames into the batch",
        )
    if bool((people < 0).any()):
        raise ConfigError(
            "SW-F153",
            "a density or count of fixations is negative",
            fix="make it with fixation_density or fixation_counts",
        )
    values, looked = (each.detach().double().flatten(1) for each in (maps, people))
    return values, looked


def _constant(values: Float64[Tensor, "b cells"]) -> Bool[Tensor, " b"]:
    """By the values themselves: rounding leaves a deviation of constants that is not quite 0."""
    return values.amin(dim=1) == values.amax(dim=1)
