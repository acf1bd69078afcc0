"""One image as the model gets it, whatever form it came in, and where it lies on the picture a person knows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from seewhy.data.decoding import Decoded
from seewhy.data.geometry import kept_fraction
from seewhy.data.images import Preprocessing
from seewhy.data.pictures import Picture, read_picture, rgb8
from seewhy.explain.learnt_transform import LearntTransform
from seewhy.explain.recipe import Recipe
from seewhy.explain.warning import warn_caller
from seewhy.pixels import Normalisation, to_rgb8
from seewhy.values import ConfigError, DataError, Geometry

ImageLike: TypeAlias = Picture | Tensor
WITHOUT_ORDER: Final = (Mapping, Set, bytes, bytearray)
"""What can be gone through and is no list of images."""
ASSUMED: Final = (
    "the model does not tell how pictures become its input: ImageNet's normalisation and size are assumed; "
    "pass preprocessing=... to say otherwise"
)
Pixels = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class Prepared:
    """``pixels`` ``(C, H, W)`` for the model; ``geometry`` from the original to them; ``stem`` of its file's name.

    ``draw()`` gives the original ``(height, width, 3)`` in 8 bits; of a tensor, its normalisation undone. ``kind`` is
    what the image was given as: its type, mode and shape.
    """

    pixels: Float[Tensor, "c h w"]
    geometry: Geometry
    notes: tuple[str, ...]
    stem: str
    draw: Callable[[], Pixels]
    kind: str = ""


def prepare(image: ImageLike, recipe: Recipe, dtype: torch.dtype = torch.float32) -> Prepared:
    """Read one image and prepare it; a tensor ``(C, H, W)`` or ``(1, C, H, W)`` counts as prepared already.

    Raises:
        DataError: ``SW-D51`` a tensor that is no prepared image, ``SW-D52`` several images, and what
            :func:`seewhy.data.pictures.read_picture` raises.
    """
    if isinstance(image, Tensor):
        return _of_tensor(image, recipe, dtype)
    if recipe.channels not in (1, 3):
        raise ConfigError(
            "SW-F74",
            f"the model's first convolution takes {recipe.channels} channels, which no picture has",
            fix="pass tensors already prepared for the model",
        )
    if isinstance(image, list | tuple) or (isinstance(image, np.ndarray) and image.ndim == 4 and len(image) != 1):
        raise several(len(image))
    picture: Picture = image[0] if isinstance(image, np.ndarray) and image.ndim == 4 else image
    if recipe.assumed:
        warn_caller(ASSUMED)
    decoded = read_picture(picture, window=recipe.window)
    if isinstance(recipe.how, LearntTransform):
        prepared = _by_transform(decoded, recipe.how)
    else:
        prepared = _by_settings(decoded, recipe.how)
    pixels, stem = prepared.pixels.to(dtype), stem_of(image)
    return Prepared(pixels, prepared.geometry, prepared.notes, stem, prepared.draw, kind_of(picture))


def each_image(images: Any) -> Sequence[ImageLike]:
    """The images of a list, a batch tensor ``(B, C, H, W)`` or an array ``(B, ...)``; one image is a list of one.

    Raises:
        DataError: ``SW-D53``, no images at all; ``SW-D45``, what holds no images in an order.
    """
    if isinstance(images, Tensor | np.ndarray):
        found: Sequence[ImageLike] = list(images) if images.ndim == 4 else [images]
    elif isinstance(images, str | os.PathLike | Image.Image):
        found = [images]
    elif images is None:
        found = []
    elif isinstance(images, WITHOUT_ORDER) or not (hasattr(images, "__iter__") or hasattr(images, "__getitem__")):
        raise DataError(
            "SW-D45",
            "images are a list of paths, PIL images, arrays or tensors, or one batch (B, C, H, W); "
            f"got {_short(images)}",
            fix="put the images into a list, in the order of the answers; one image alone is a list of one",
        )
    else:
        found = list(images)
    if not found:
        raise DataError("SW-D53", "no images were given", fix="pass at least one image")
    return found


def _short(value: Any) -> str:
    kind = type(value).__name__
    return f"{kind} {value!r}" if isinstance(value, bool | int | float) else f"an object of type {kind}"


def stem_of(image: ImageLike) -> str:
    """The name of the file an image came from, without its ending; empty where it came from none."""
    path = image if isinstance(image, str | os.PathLike) else getattr(image, "filename", "")
    return Path(os.fspath(path)).stem if isinstance(path, str | os.PathLike) and path else ""


def kind_of(image: ImageLike) -> str:
    """Type, mode and shape of an image as it was given; what a file holds is seen by its pixels.

    >>> kind_of(np.zeros((8, 9), np.uint8)), kind_of(Image.new("L", (9, 8))), kind_of("a.png")
    ('array uint8 (8, 9)', 'picture L (9, 8)', 'file')
    """
    if isinstance(image, Tensor):
        return f"tensor {image.dtype} {tuple(image.shape)}"
    if isinstance(image, np.ndarray):
        return f"array {image.dtype} {image.shape}"
    return f"picture {image.mode} {image.size}" if isinstance(image, Image.Image) else "file"


def chunks_of_one_shape(shapes: Sequence[tuple[int, ...]], size: int) -> Iterator[list[int]]:
    """Positions grouped by shape, each group cut into parts of at most ``size``.

    >>> list(chunks_of_one_shape([(2, 2), (3, 3), (2, 2), (2, 2)], 2))
    [[0, 2], [3], [1]]
    """
    groups: dict[tuple[int, ...], list[int]] = {}
    for position, shape in enumerate(shapes):
        groups.setdefault(shape, []).append(position)
    for positions in groups.values():
        yield from (positions[start : start + size] for start in range(0, len(positions), size))


def several(count: int) -> DataError:
    """The error for a batch where one image is explained."""
    return DataError(
        "SW-D52",
        f"one image is explained at a time here, got {count}",
        fix="use explain_batch(images) for several images",
    )


def _by_settings(decoded: Decoded, how: Preprocessing) -> Prepared:
    loaded = how.prepare(decoded)
    return Prepared(loaded.pixels, loaded.geometry, loaded.notes, "", partial(rgb8, decoded.picture))


def _by_transform(decoded: Decoded, how: LearntTransform) -> Prepared:
    width, height = decoded.picture.size
    shown = decoded.picture if decoded.picture.mode == "RGB" else Image.fromarray(rgb8(decoded.picture))
    pixels = how(shown)
    geometry = how.geometry((height, width))
    if geometry is None:
        lost = "where the transform puts each pixel could not be followed: the heat map lies on the model's input"
        size = (pixels.shape[1], pixels.shape[2])
        return Prepared(
            pixels, Geometry.identity(size), (*decoded.notes, lost), "", partial(how.normalisation.picture, pixels)
        )
    kept = kept_fraction(geometry)
    cropped = (f"the centre crop keeps {kept:.0%} of the picture",) if kept < 0.5 else ()
    return Prepared(pixels, geometry, (*decoded.notes, *cropped), "", partial(rgb8, decoded.picture))


def _of_tensor(image: Tensor, recipe: Recipe, dtype: torch.dtype) -> Prepared:
    if image.ndim == 4 and len(image) != 1:
        raise several(len(image))
    pixels = image[0] if image.ndim == 4 else image
    if pixels.ndim != 3 or not pixels.is_floating_point() or not pixels.numel():
        raise DataError(
            "SW-D51",
            f"a tensor counts as prepared for the model: expected floating-point (C, H, W), got {image.dtype} "
            f"{tuple(image.shape)}",
            fix="pass the prepared tensor, or the picture itself as an array or PIL image",
        )
    pixels = pixels.detach()
    low, high = (float(edge) for edge in torch.aminmax(pixels))
    if not np.isfinite([low, high]).all():
        raise DataError("SW-D49", "the tensor holds NaN or infinite values", fix="replace them first")
    size = (pixels.shape[1], pixels.shape[2])
    notes = _range_notes(low, high, recipe.normalisation)
    shown = partial(_shown, pixels, recipe.normalisation)
    return Prepared(pixels.to(dtype), Geometry.identity(size), notes, "", shown, kind_of(pixels))


def _range_notes(low: float, high: float, normalisation: Normalisation) -> tuple[str, ...]:
    """A tensor is taken as it is; values that look like plain pixels are pointed out."""
    notes = ["flat: every value is the same"] if low == high else []
    plain = (
        low >= 0 and min((0 - mean) / std for mean, std in zip(normalisation.mean, normalisation.std, strict=True)) < 0
    )
    if plain and high > 2:
        notes.append(f"values from {low:g} to {high:g} look like pixels: a tensor is taken as already normalised")
    return tuple(notes)


def _shown(pixels: Float[Tensor, "c h w"], normalisation: Normalisation) -> Pixels:
    """A tensor as a picture: its normalisation undone, or its own range where the channels do not match."""
    if pixels.shape[0] == len(normalisation.mean):
        shown: NDArray[np.uint8] = normalisation.picture(pixels)
        return shown
    values = pixels.float()
    low, high = torch.aminmax(values)
    return to_rgb8((values - low) / (high - low).clamp(min=1e-12))
