"""Do the parts of the score that a map gives add up to it."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from seewhy.core import Attribution
from seewhy.metrics.asking import Asking
from seewhy.metrics.claims import ROUNDING, Baseline, Fill
from seewhy.metrics.grade import Grade, graded
from seewhy.registry import metric

NO_PARTS = "the map's values are sensitivities, which are not meant to add up to the score"
NOTHING = "neither the map nor the difference of the scores adds up to anything"


@metric(
    "completeness",
    family="axioms",
    better="lower",
    range=(0.0, 2.0),
    cite="Sundararajan et al. 2017, arXiv:1703.01365, completeness; as a relative residual",
)
def completeness(
    attribution: Attribution,
    maps: Float[Tensor, "b *s"],
    image: Float[Tensor, "b c *s"],
    score: Asking,
    baseline: Baseline,
    contributes: bool,
    *,
    fill: Fill | None = None,
) -> Grade:
    """How much is missing between the sum of a map and the score it explains, as a part of the larger of the two.

    ``|Σφ − (f(x) − f(b))| / max(|Σφ|, |f(x) − f(b)|)``: 0 where the parts add up, 1 where they add up to nothing or the
    score does not differ, 2 where they add up to the opposite. ``b`` is the input replaced by ``fill``. Of None it is
    what the method measured itself against (``completeness_residual``: its own baseline, all inputs, and what has no
    place), and zeros for a method that measures nothing. The details hold ``total`` and ``difference``.

    NaN for a map of sensitivities, and where both numbers are rounding.

    Example:
        >>> image = torch.tensor([[[1.0, 2.0]]])
        >>> total = Asking.of(lambda images: images.sum(dim=(1, 2)), image)
        >>> half = Attribution({"signal": image[:, 0] / 2}, torch.tensor([3.0]))
        >>> completeness(half, half.map, image, total, lambda fill: torch.zeros_like(image), True).values
        tensor([0.5000], dtype=torch.float64)
    """
    every = torch.ones(len(maps), dtype=torch.bool)
    if not contributes:
        return graded(torch.full((len(maps),), torch.nan), {NO_PARTS: every})
    if fill is None and "completeness_residual" in attribution.measured:
        total = _sum(attribution)
        difference = total - attribution.measured["completeness_residual"].to(total)
    else:
        total = maps.flatten(1).double().sum(dim=1)
        base = torch.zeros_like(image) if fill is None else baseline(fill)
        difference = score.clean.double() - score(base, range(len(image))).double()
    larger = torch.maximum(total.abs(), difference.abs())
    rounding = ROUNDING * torch.finfo(score.clean.dtype).eps * score.clean.double().abs()
    nothing = larger <= rounding.to(larger.device)
    return graded((total - difference).abs() / larger, {NOTHING: nothing}, total=total, difference=difference)


def _sum(attribution: Attribution) -> Float64[Tensor, " b"]:
    """Of all inputs' maps, with what the method could give no place."""
    total = torch.stack([maps.flatten(1).double().sum(dim=1) for maps in attribution.maps.values()]).sum(dim=0)
    rest = attribution.measured.get("without_place")
    return total if rest is None else total + rest.to(total)
