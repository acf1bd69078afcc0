"""Pixel flipping: how the probability falls as places are turned to their opposites."""

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


@metric(
    "pixel_flipping",
    family="faithfulness",
    better="lower",
    range=(0.0, 1.0),
    cite="Bach et al. 2015, PLOS ONE 10(7) e0130140, section on pixel-flipping",
)
def pixel_flipping(
    evidence: Float[Tensor, "b *s"],
    image: Float[Tensor, "b c *s"],
    probability: Asking,
    baseline: Callable[[str | Tensor], Float[Tensor, "b c *s"]],
    ids: Sequence[str],
    *,
    steps: int = 50,
    fill: str | Tensor = "flip",
    seed: int = 0,
) -> Grade:
    """The area under the probability while pixels are flipped to their opposites, those that speak most first.

    ``fill="flip"`` is the paper's flip of a black and white picture and its like for any other: what lies as far below
    the highest value of its channel in that image as the pixel lies above the lowest. A baseline's name or values are
    taken too. A pixel is flipped in all channels; ``curve`` is ``(B, steps + 1)`` from the image to the picture that
    is flipped throughout, over the ``fraction`` really flipped.

    Raises ``ConfigError`` SW-F252 for ``steps`` below 1 or a seed that is none, SW-F40, SW-F41 and SW-F227 for a
    filling that cannot be.

    Example:
        >>> image = torch.tensor([[[0.0, 1.0, 1.0, 0.0]]])
        >>> second = Asking.of(lambda images: images[:, 0, 1], image)
        >>> pixel_flipping(image[:, 0], image, second, lambda fill: image, ("",), steps=2).details["curve"]
        tensor([[1., 0., 0.]], dtype=torch.float64)
    """
    steps = whole("steps", steps, 1)
    gone = counts(evidence[0].numel(), steps)
    filling = flipped(image) if isinstance(fill, str) and fill == "flip" else baseline(fill)
    change = replaced(image, filling, ranks(evidence, ids, seed), gone[1:])
    curve = torch.cat([probability.clean.unsqueeze(1), probability.each(steps, change)], dim=1)
    fraction = fractions(gone, curve)
    return graded(area(curve, fraction), {UNCHANGED: unchanged(image, filling)}, curve=curve, fraction=fraction)


def flipped(image: Float[Tensor, "b c *s"]) -> Float[Tensor, "b c *s"]:
    """Every value mirrored between the lowest and the highest of its channel in that image.

    Example:
        >>> flipped(torch.tensor([[[0.0, 1.0, 4.0]]])).tolist()
        [[[4.0, 3.0, 0.0]]]
    """
    flat = image.flatten(2)
    ends = flat.amin(dim=2) + flat.amax(dim=2)
    return ends.reshape(*image.shape[:2], *[1] * (image.ndim - 2)) - image
