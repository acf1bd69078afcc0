"""How much of a map's evidence lies on the object: by its mass, by its highest places, and by where it is cut."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from seewhy.metrics.grade import Grade, graded
from seewhy.metrics.levels import levels_of, positive, shares_of_maximum, thresholds
from seewhy.metrics.masks import EMPTY, NO_EVIDENCE, empty, fitting
from seewhy.metrics.ranks import among_the_highest
from seewhy.metrics.settings import as_real, whole
from seewhy.registry import metric
from seewhy.values import ConfigError


@metric(
    "relevance_mass_accuracy",
    family="localization",
    better="higher",
    range=(0.0, 1.0),
    cite="Arras et al. 2022, arXiv:2003.07258, equation 2; with a box the energy-based pointing game of Wang et al. "
    "2020, arXiv:1910.01279, section 4.3",
    also=("energy_in_box", "energy_pointing_game"),
)
def relevance_mass_accuracy(evidence: Float[Tensor, "b *s"], mask: Bool[Tensor, "b *s"]) -> Grade:
    """The share of the positive evidence that lies on the object; the mask's share of the places is what chance has.

    NaN for an empty mask and for a map without a positive value. Raises ``ConfigError`` SW-F263 for a mask of another
    shape.

    Example:
        >>> relevance_mass_accuracy(torch.tensor([[3.0, 1.0, -9.0]]), torch.tensor([[True, False, True]])).values
        tensor([0.7500], dtype=torch.float64)
    """
    inside, values = fitting(mask, evidence).flatten(1), positive(evidence).flatten(1)
    total = values.sum(dim=1)
    return graded((values * inside).sum(dim=1) / total, {EMPTY: empty(mask), NO_EVIDENCE: total == 0})


@metric(
    "relevance_rank_accuracy",
    family="localization",
    better="higher",
    range=(0.0, 1.0),
    cite="Arras et al. 2022, arXiv:2003.07258, equation 3",
)
def relevance_rank_accuracy(evidence: Float[Tensor, "b *s"], mask: Bool[Tensor, "b *s"]) -> Grade:
    """The share of the ``K`` highest places that lie on the object, which has ``K`` places.

    Places without positive evidence are equal. Equal places share what is left of the ``K``, so that no order decides;
    a map without evidence scores what chance would, the mask's share of the places. NaN for an empty mask. Raises
    ``ConfigError`` SW-F263 for a mask of another shape.

    Example:
        >>> mask = torch.tensor([[True, True, False, False]])
        >>> relevance_rank_accuracy(torch.tensor([[3.0, 1.0, 2.0, 0.0]]), mask).values.tolist()
        [0.5]
    """
    inside = fitting(mask, evidence).flatten(1)
    count = inside.sum(dim=1)
    chosen = among_the_highest(positive(evidence).flatten(1), count)
    return graded((chosen * inside).sum(dim=1) / count, {EMPTY: empty(mask)})


@metric(
    "iou",
    family="localization",
    better="higher",
    range=(0.0, 1.0),
    cite="Zhou et al. 2016, arXiv:1512.04150, section 3.2 (the cut at 20 % of the maximum)",
)
def iou(
    evidence: Float[Tensor, "b *s"], mask: Bool[Tensor, "b *s"], *, threshold: float = 0.2, cuts: int = 100
) -> Grade:
    """The overlap of the object with the places of at least ``threshold`` times the map's maximum: common over joint.

    The cut is not chosen by the answer. What it could have been is told beside: ``curve`` ``(B, cuts)`` at
    ``1 / cuts, …, 1`` of the maximum, its ``best`` and where that is, ``best_threshold``.

    NaN for an empty mask and for a map without a positive value. Raises ``ConfigError`` SW-F264 for a threshold that is
    not in (0, 1], SW-F252 for cuts below 1, SW-F263 for a mask of another shape.

    Example:
        >>> found = iou(torch.tensor([[5.0, 4.0, 1.0, 0.0]]), torch.tensor([[True, True, False, False]]), cuts=5)
        >>> round(found.values.item(), 4), found.details["best"].item()
        (0.6667, 1.0)
    """
    cut, count = _share("threshold", threshold), whole("cuts", cuts, 1)
    inside = fitting(mask, evidence).flatten(1)
    shown = shares_of_maximum(evidence).flatten(1) >= cut
    curve = _overlaps(levels_of(evidence, count).flatten(1), inside, count)
    best, place = curve.max(dim=1)
    undefined = {EMPTY: empty(mask), NO_EVIDENCE: (evidence.flatten(1) <= 0).all(dim=1)}
    return graded(
        (shown & inside).sum(dim=1).double() / (shown | inside).sum(dim=1),
        undefined,
        curve=curve,
        best=best,
        best_threshold=thresholds(count, curve.device)[place],
    )


def _overlaps(levels: Int[Tensor, "b n"], inside: Bool[Tensor, "b n"], count: int) -> Float64[Tensor, "b count"]:
    """Common over joint places at every threshold, from how many places reach each."""
    at_level = torch.zeros(2, len(levels), count + 1, dtype=torch.float64, device=levels.device)
    at_level[0].scatter_add_(1, levels, inside.double())
    at_level[1].scatter_add_(1, levels, (~inside).double())
    common, beside = at_level[:, :, 1:].flip(2).cumsum(dim=2).flip(2)
    found: Float64[Tensor, "b count"] = common / (inside.sum(dim=1, keepdim=True) + beside)
    return found


def _share(name: str, value: object) -> float:
    share = as_real(value)
    if not 0 < share <= 1:
        raise ConfigError("SW-F264", f"{name} must be in (0, 1], got {value!r}", fix="give a share of the maximum")
    return share
