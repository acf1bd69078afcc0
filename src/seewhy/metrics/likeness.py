"""How much of a map another one still shows, for tests in which it ought to have changed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from seewhy.evidence import Scale
from seewhy.metrics.similarity import hog_similarity, spearman, ssim
from seewhy.values import ConfigError, nearest

Similarity = Literal["spearman", "spearman_magnitude", "ssim", "hog"]

CONSTANT = "the map is constant"
BROKEN_OTHER = "the map it is compared with holds NaN or infinite values"


def _of_what_is_said(a: Float[Tensor, "b *s"], b: Float[Tensor, "b *s"]) -> Float64[Tensor, " b"]:
    """The correlation of ranks over the places of which one of the maps says something.

    Where a map is sparse, most places are exactly zero in both whatever is asked; counted, they alone would make maps
    alike that agree in nothing they say.
    """
    said = ((a != 0) | (b != 0)).flatten(1)
    if bool(said.all()):
        return spearman(a, b)
    first, second = a.flatten(1), b.flatten(1)
    return torch.cat(
        [
            spearman(first[row : row + 1, places], second[row : row + 1, places])
            if int(places.sum()) > 1
            else spearman(first[row : row + 1], second[row : row + 1])
            for row, places in enumerate(said)
        ]
    )


def _of_magnitudes(a: Float[Tensor, "b *s"], b: Float[Tensor, "b *s"]) -> Float64[Tensor, " b"]:
    return _of_what_is_said(a.abs(), b.abs())


MEASURES: Final[Mapping[str, Callable[[Tensor, Tensor], Tensor]]] = MappingProxyType(
    {"spearman": _of_what_is_said, "spearman_magnitude": _of_magnitudes, "ssim": ssim, "hog": hog_similarity}
)


def as_read(maps: Float[Tensor, "b *s"], scale: Scale) -> Float[Tensor, "b *s"]:
    """What a reader sees of maps: magnitudes, where the sign of a method says nothing of the class."""
    return maps.abs() if scale == "magnitude" else maps


def likeness(
    maps: Float[Tensor, "b *s"], other: Float[Tensor, "b *s"], similarity: Similarity = "spearman"
) -> Float64[Tensor, " b"]:
    """One of :data:`MEASURES` for each record; 0 where ``other`` has become constant, for then nothing is shown.

    Rank correlations leave out the places where both maps are exactly zero.

    NaN where ``maps`` is constant itself or either is not finite. Raises ``ConfigError`` SW-F271 for an unknown
    similarity, SW-F261 for oriented gradients of what is no picture.

    Example:
        >>> map = torch.tensor([[1.0, 2.0, 3.0]])
        >>> [round(likeness(map, other).item(), 6) for other in (2 * map, 0 * map)]
        [1.0, 0.0]
    """
    if not isinstance(similarity, str) or similarity not in MEASURES:
        known = ", ".join(MEASURES)
        raise ConfigError(
            "SW-F271",
            f"a similarity is one of {known}, got {similarity!r}",
            near=nearest(str(similarity), MEASURES),
            fix="use one of these",
        )
    seen, compared = (_seen(each, similarity) for each in (maps, other))
    if similarity in possible(maps) and torch.equal(maps, other):  # as of a control, at every stage
        without = is_constant(seen) | ~_finite(seen)
        return torch.ones(len(maps), dtype=torch.float64, device=maps.device).masked_fill(without, math.nan)
    faded = _finite(compared) & is_constant(compared) & _finite(seen) & ~is_constant(seen)
    return MEASURES[similarity](maps, other).masked_fill(faded, 0.0)


def possible(maps: Float[Tensor, "b *s"]) -> tuple[Similarity, ...]:
    """The measures there are for maps of this rank and size: oriented gradients are those of pictures."""
    picture = maps.ndim == 3 and min(maps.shape[1:]) >= 2
    return ("spearman", "spearman_magnitude", "ssim", "hog") if picture else ("spearman", "spearman_magnitude", "ssim")


def is_constant(maps: Float[Tensor, "b *s"]) -> Bool[Tensor, " b"]:
    """Which maps say the same of every place."""
    flat = maps.flatten(1)
    return flat.amin(dim=1) == flat.amax(dim=1)


def undefined(
    maps: Float[Tensor, "b *s"], found: Float64[Tensor, "b ..."], similarity: Similarity
) -> dict[str, Bool[Tensor, " b"]]:
    """Why a record has no likeness: its own map is constant, or what it was compared with is not finite."""
    constant = is_constant(_seen(maps, similarity))
    return {CONSTANT: constant, BROKEN_OTHER: ~found.isfinite().reshape(len(found), -1).all(dim=1) & ~constant}


def _seen(maps: Float[Tensor, "b *s"], similarity: Similarity) -> Float[Tensor, "b *s"]:
    return maps.abs() if similarity == "spearman_magnitude" else maps


def _finite(maps: Float[Tensor, "b *s"]) -> Bool[Tensor, " b"]:
    return maps.flatten(1).isfinite().all(dim=1)
