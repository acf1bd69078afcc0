"""How a picture becomes a detector's input, and which canvas its layers lie on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from seewhy.data.images import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from seewhy.data.pictures import read_picture, rgb8
from seewhy.explain.prepared import ImageLike, Prepared, prepare, stem_of
from seewhy.explain.recipe import Given, Recipe, find_recipe
from seewhy.pixels import Normalisation
from seewhy.values import Geometry

UNIT: Final = Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
SHORTEST, LONGEST = 800, 1333
"""The sides that DETR was trained with (Carion et al. 2020, arXiv:2005.12872, section 4)."""


@dataclass(frozen=True)
class DetectorInput:
    """One picture for a detector: ``prepared`` for the model, ``canvas`` the geometry that its layers' maps lie on.

    The canvas is larger than the input where the detector pads what it is given.
    """

    prepared: Prepared
    canvas: Geometry
    normalisation: Normalisation
    told: str


@dataclass(frozen=True)
class OwnResize:
    """A detector that resizes and pads by itself: shorter side, longest side or a fixed size, and the divisor."""

    shortest: int
    longest: int
    fixed: tuple[int, int] | None
    divisor: int

    def size(self, height: int, width: int) -> tuple[int, int]:
        """What a picture of this height and width becomes, before padding."""
        if self.fixed is not None:
            return self.fixed[1], self.fixed[0]
        return shrunk(height, width, self.shortest, self.longest)

    def padded(self, size: tuple[int, int]) -> tuple[int, int]:
        """The canvas around a picture of this size."""
        height, width = (math.ceil(length / self.divisor) * self.divisor for length in size)
        return height, width


def own_resize(model: nn.Module) -> OwnResize | None:
    """The resizing inside a detector, as torchvision's do it; None where it has none."""
    for module in model.modules():
        if all(hasattr(module, name) for name in ("min_size", "max_size", "size_divisible", "image_mean")):
            inside: Any = module
            return OwnResize(inside.min_size[-1], inside.max_size, inside.fixed_size, inside.size_divisible)
    return None


def shrunk(height: int, width: int, shortest: int, longest: int) -> tuple[int, int]:
    """The size whose shorter side is ``shortest``, or whose longer side is ``longest`` if it would become longer.

    Example:
        >>> shrunk(480, 640, 800, 1333), shrunk(300, 1200, 800, 1333)
        ((800, 1066), (333, 1333))
    """
    scale = min(shortest / min(height, width), longest / max(height, width))
    return max(1, int(height * scale + 1e-6)), max(1, int(width * scale + 1e-6))


def detr_size(height: int, width: int) -> tuple[int, int]:
    """The size that DETR and its descendants make of a picture: as :func:`shrunk`, rounded as their programs round.

    Example:
        >>> detr_size(480, 640), detr_size(300, 1200)
        ((800, 1066), (333, 1333))
    """
    low, high = min(height, width), max(height, width)
    exact = SHORTEST if high / low * SHORTEST <= LONGEST else LONGEST * low / high
    short, long = round(exact), int(exact * high / low)
    return (short, long) if height <= width else (long, short)


def detector_input(model: nn.Module, image: ImageLike, given: Given | Recipe, dtype: torch.dtype) -> DetectorInput:
    """Prepare one image for a detector, in this order of precedence.

    ``given`` says how. A detector that resizes by itself gets values in [0, 1] at the size it would make of them, so
    that its layers lie on its input. A Hugging Face detector gets DETR's sizes and ImageNet's normalisation, which is
    said to be assumed. Any other gets values in [0, 1] at the picture's own size. A tensor is taken as it is.
    """
    resize = own_resize(model)
    if given is not None:
        recipe = given if isinstance(given, Recipe) else find_recipe(model, given)
        return _placed(prepare(image, recipe, dtype), resize, recipe.normalisation, str(recipe))
    if resize is not None:
        return _placed(_plain(image, dtype), resize, UNIT, "values in [0, 1]; the detector normalises and resizes")
    if hasattr(model, "config"):
        normalisation = Normalisation(IMAGENET_MEAN, IMAGENET_STD)
        told = f"assumed: shorter side {SHORTEST}, longer at most {LONGEST}, ImageNet's normalisation"
        return _placed(_at_detr_size(image, normalisation, dtype), None, normalisation, told)
    return _placed(_plain(image, dtype), None, UNIT, "values in [0, 1] at the picture's own size")


def _plain(image: ImageLike, dtype: torch.dtype) -> Prepared:
    """Values in [0, 1] at the picture's own size."""
    if isinstance(image, Tensor):
        return prepare(image, Recipe(Preprocessing((1, 1), UNIT, "none"), "values in [0, 1]"), dtype)
    return _stretched(image, UNIT, _as_it_is, dtype)


def _at_detr_size(image: ImageLike, normalisation: Normalisation, dtype: torch.dtype) -> Prepared:
    if isinstance(image, Tensor):
        return prepare(image, Recipe(Preprocessing((1, 1), normalisation, "none"), "as given"), dtype)
    return _stretched(image, normalisation, detr_size, dtype)


def _as_it_is(height: int, width: int) -> tuple[int, int]:
    return height, width


def _stretched(
    image: ImageLike, normalisation: Normalisation, sized: Callable[[int, int], tuple[int, int]], dtype: torch.dtype
) -> Prepared:
    decoded = read_picture(image)  # type: ignore[arg-type]
    width, height = decoded.picture.size
    loaded = Preprocessing(sized(height, width), normalisation, "none").prepare(decoded)
    draw = partial(rgb8, decoded.picture)
    return Prepared(loaded.pixels.to(dtype), loaded.geometry, loaded.notes, stem_of(image), draw)


def _placed(prepared: Prepared, resize: OwnResize | None, normalisation: Normalisation, told: str) -> DetectorInput:
    """The input at the size the detector makes of it, and the canvas it pads it to."""
    if resize is None:
        return DetectorInput(prepared, prepared.geometry, normalisation, told)
    height, width = prepared.pixels.shape[1:]
    size = resize.size(height, width)
    pixels = resized(prepared.pixels, size)
    before = prepared.geometry
    factors = [now / length for now, length in zip(size, (height, width), strict=True)]
    geometry = Geometry(
        before.original,
        size,
        tuple(scale * factor for scale, factor in zip(before.scale, factors, strict=True)),
        tuple(offset * factor for offset, factor in zip(before.offset, factors, strict=True)),
    )
    canvas = replace(geometry, input=resize.padded(size))
    return DetectorInput(replace(prepared, pixels=pixels, geometry=geometry), canvas, normalisation, told)


def resized(pixels: Float[Tensor, "c h w"], size: tuple[int, int]) -> Float[Tensor, "c p q"]:
    """Bilinear, without antialiasing: as the detector would."""
    if pixels.shape[1:] == size:
        return pixels
    return F.interpolate(pixels[None], size=size, mode="bilinear", align_corners=False)[0]
