"""Iterative removal of features: superpixels go in the order of the map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seewhy.metrics.asking import Asking
from seewhy.metrics.grade import Grade, graded
from seewhy.metrics.regions import grid, region_ranks
from seewhy.metrics.removal import UNCHANGED, replaced, unchanged
from seewhy.metrics.settings import seeded, whole
from seewhy.registry import metric
from seewhy.superpixels import superpixels
from seewhy.values import ConfigError, nearest

Regions = Literal["slic", "grid"]
WITHOUT_PROBABILITY = "the clean probability is zero"


@metric(
    "irof",
    family="faithfulness",
    better="higher",
    range=(-torch.inf, 1.0),
    cite="Rieger and Hansen 2020, arXiv:2003.08747, section 3",
)
def irof(
    evidence: Float[Tensor, "b *s"],
    image: Float[Tensor, "b c *s"],
    probability: Asking,
    baseline: Callable[[str | Tensor], Float[Tensor, "b c *s"]],
    ids: Sequence[str],
    *,
    segments: int = 50,
    regions: Regions = "slic",
    fill: str | Tensor = "mean",
    seed: int = 0,
) -> Grade:
    """The area over the probability, as a share of the clean one, while superpixels are replaced, most first.

    Superpixels are ordered by the mean of the map in them. ``curve`` ``(B, L + 1)`` are the ratios ``f(xk) / f(x0)``
    and the value is one less the area under them by the trapezoid rule, with each superpixel as wide as the others;
    it is below zero where the probability rises. A record with fewer superpixels than another of the batch ends its
    curve with repeated values, which its own area leaves out. ``regions="slic"`` cuts a picture into about
    ``segments`` superpixels and needs scikit-image; "grid" cuts any input into about as many equal blocks.

    Raises ``ConfigError`` SW-F252 for ``segments`` below 1 or a seed that is none, SW-F241 for other ``regions``,
    SW-F242 for superpixels of what is no picture, SW-F40, SW-F41 and SW-F227 for a filling that cannot be;
    ``MissingExtraError`` without scikit-image.

    Example:
        >>> image = torch.tensor([[[1.0, 3.0, 0.0, 0.0]]])
        >>> total = Asking.of(lambda images: images.sum(dim=(1, 2)), image)
        >>> black = lambda fill: torch.zeros_like(image)
        >>> irof(image[:, 0], image, total, black, ("",), regions="grid", segments=4).details["curve"]
        tensor([[1.0000, 0.2500, 0.0000, 0.0000, 0.0000]], dtype=torch.float64)
    """
    seed = seeded(seed)
    parts = _cut(image, whole("segments", segments, 1), regions)
    filling = baseline(fill)
    each = parts.flatten(1).amax(dim=1) + 1
    most = int(each.max())
    turns = region_ranks(evidence, parts, ids, seed)
    after = probability.each(most, replaced(image, filling, turns, range(1, most + 1)))
    clean = probability.clean.double()
    curve = torch.cat([torch.ones_like(clean).unsqueeze(1), after.double() / clean.unsqueeze(1)], dim=1)
    middles = (curve[:, 1:] + curve[:, :-1]) / 2
    own = torch.arange(most, device=curve.device) < each.unsqueeze(1)
    values = 1 - torch.where(own, middles, 0.0).sum(dim=1) / each
    return graded(values, {WITHOUT_PROBABILITY: clean == 0, UNCHANGED: unchanged(image, filling)}, curve=curve)


def _cut(image: Float[Tensor, "b c *s"], segments: int, regions: Regions) -> Int[Tensor, "b *s"]:
    size = image.shape[2:]
    if not isinstance(regions, str) or regions not in ("slic", "grid"):
        raise ConfigError(
            "SW-F241",
            f"there are no regions {regions!r}; there are slic, grid",
            near=nearest(str(regions), ("slic", "grid")),
            fix="regions='slic' for pictures, regions='grid' for anything",
        )
    if regions == "grid":
        side = max(1, round(float((size.numel() / segments) ** (1 / len(size)))))
        return grid(size, side).to(image.device).expand(len(image), *size)
    if len(size) != 2:
        raise ConfigError(
            "SW-F242",
            f"superpixels are of pictures (B, C, H, W), and this input has {image.ndim} axes",
            fix="regions='grid', which knows signals and volumes",
        )
    return torch.stack([superpixels(picture, segments=segments) for picture in image]).to(image.device)
