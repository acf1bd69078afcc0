"""How much an explanation changes when its input hardly does."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from seewhy.metrics.asking import Asking
from seewhy.metrics.grade import Grade, graded
from seewhy.metrics.nearby import NO_MAP, NO_UNIT, Nearby, apart, norm
from seewhy.metrics.settings import real, whole
from seewhy.registry import metric

YEH = "Yeh et al. 2019, arXiv:1901.09392, max-sensitivity; divided by the map's length as in the authors' code"
BHATT = "Bhatt et al. 2020, arXiv:2005.00631, average sensitivity; divided by the map's length as in Yeh et al. 2019"


@metric("average_sensitivity", family="robustness", better="lower", range=(0.0, float("inf")), cite=BHATT)
def average_sensitivity(
    image: Float[Tensor, "b c *s"],
    explain: Asking,
    unit: Float[Tensor, "b c"],
    ids: Sequence[str],
    *,
    radius: float = 0.02,
    samples: int = 10,
    seed: int = 0,
) -> Grade:
    """How far a map moves on average when every value of the input moves by at most ``radius``, of the map's length.

    The mean of ``‖φ(x + δ) − φ(x)‖ / ‖φ(x)‖`` over ``samples`` copies with uniform noise; the question stays that of
    the clean record. ``radius`` counts pixels' 0 to 1 or, where nobody knows how the values came from pixels, the
    record's standard deviation: ``reach`` in the details is what that was for each channel. ``raw`` is the mean without
    the division. What is drawn depends on ``seed`` and the record's id alone; a radius of 0 changes nothing, and gives
    0. NaN where the map is zero everywhere, or where the record is constant and its unit unknown.

    Raises ``ConfigError`` SW-F252 for no samples, SW-F253 for the radius.

    Example:
        >>> image = torch.rand(2, 1, 4, 4)
        >>> unmoved = Asking.of(lambda images: torch.ones(len(images), 4, 4), image)
        >>> average_sensitivity(image, unmoved, torch.ones(2, 1), ["a", "b"]).values
        tensor([0., 0.], dtype=torch.float64)
    """
    nearby = Nearby(image, unit, ids, real("radius", radius), seed)
    moved = _moved(nearby, explain, whole("samples", samples, 1))
    return _relative(moved.mean(dim=1), moved, explain, nearby)


@metric("max_sensitivity", family="robustness", better="lower", range=(0.0, float("inf")), cite=YEH)
def max_sensitivity(
    image: Float[Tensor, "b c *s"],
    explain: Asking,
    unit: Float[Tensor, "b c"],
    ids: Sequence[str],
    *,
    radius: float = 0.02,
    samples: int = 10,
    seed: int = 0,
) -> Grade:
    """How far a map moves at most when every value of the input moves by at most ``radius``, of the map's length.

    The largest of the changes that :func:`average_sensitivity` averages, over the same copies: an estimate from below
    that grows with ``samples``. Settings, details, what is undefined and errors are those of
    :func:`average_sensitivity`.

    Example:
        >>> image = torch.rand(2, 1, 4, 4)
        >>> unmoved = Asking.of(lambda images: torch.ones(len(images), 4, 4), image)
        >>> max_sensitivity(image, unmoved, torch.ones(2, 1), ["a", "b"], radius=0.1).details["reach"]
        tensor([[0.1000],
                [0.1000]], dtype=torch.float64)
    """
    nearby = Nearby(image, unit, ids, real("radius", radius), seed)
    moved = _moved(nearby, explain, whole("samples", samples, 1))
    return _relative(moved.amax(dim=1), moved, explain, nearby)


@metric(
    "local_lipschitz",
    family="robustness",
    better="lower",
    range=(0.0, float("inf")),
    cite="Alvarez-Melis and Jaakkola 2018, arXiv:1806.08049, local Lipschitz estimate, over random copies",
)
def local_lipschitz(
    image: Float[Tensor, "b c *s"],
    explain: Asking,
    unit: Float[Tensor, "b c"],
    ids: Sequence[str],
    *,
    radius: float = 0.02,
    samples: int = 10,
    seed: int = 0,
) -> Grade:
    """How far a map moves at most for each unit that the input moves, near the record.

    The largest ``‖φ(x) − φ(x')‖ / ‖x − x'‖`` over ``samples`` copies within ``radius``, which the settings draw as for
    :func:`average_sensitivity`; an estimate from below. Lengths are in the map's and the input's own units, so that
    only maps of one scale compare. NaN where the record is constant and its unit unknown, or no copy differs from it.

    Raises ``ConfigError`` SW-F252 for no samples, SW-F253 for a radius that is not above 0.

    Example:
        >>> image = torch.rand(1, 1, 4, 4, dtype=torch.float64)
        >>> steep = Asking.of(lambda images: -3 * images[:, 0], image)
        >>> local_lipschitz(image, steep, torch.ones(1, 1), ["a"]).values.round(decimals=6)
        tensor([3.], dtype=torch.float64)
    """
    nearby = Nearby(image, unit, ids, real("radius", radius, above_zero=True), seed)

    def told(images: Float[Tensor, "n c *s"], rows: Sequence[int]) -> Float64[Tensor, "n facts"]:
        chosen = list(rows)
        maps = explain.ask(images, rows)
        return torch.stack([apart(maps, explain.clean[chosen]), apart(images, image[chosen])], dim=1)

    moved, away = nearby.ask(told, explain, whole("samples", samples, 1)).unbind(dim=2)
    ratios = torch.where(away > 0, moved / away, 0.0)
    nowhere = nearby.nowhere | (away == 0).all(dim=1)
    return graded(ratios.amax(dim=1), {NO_UNIT: nowhere}, ratios=ratios, reach=nearby.reach)


def _moved(nearby: Nearby, explain: Asking, samples: int) -> Float64[Tensor, "b samples"]:
    """How far the map of each copy is from the clean one; without noise there is nothing to ask."""
    if nearby.radius == 0:
        return torch.zeros((len(nearby.image), samples), dtype=torch.float64, device=nearby.image.device)

    def told(images: Float[Tensor, "n c *s"], rows: Sequence[int]) -> Float64[Tensor, "n facts"]:
        return apart(explain.ask(images, rows), explain.clean[list(rows)]).unsqueeze(1)

    return nearby.ask(told, explain, samples)[:, :, 0]


def _relative(
    value: Float64[Tensor, " b"], moved: Float64[Tensor, "b samples"], explain: Asking, nearby: Nearby
) -> Grade:
    length = norm(explain.clean)
    undefined = {NO_MAP: length == 0, NO_UNIT: nearby.nowhere}
    return graded(value / length, undefined, raw=value, changes=moved, reach=nearby.reach)
