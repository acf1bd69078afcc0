"""A transform known only as a function: what it does to colours and places is learnt by showing it test pictures.

Black and white tell the normalisation; one picture whose colours rise from left to right and from top to bottom tells
where each pixel of the output comes from. So a heat map lands on the right pixels of the original, whatever library
wrote the transform.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from seewhy.pixels import Normalisation
from seewhy.values import ConfigError, Geometry

Transform = Callable[[Image.Image], Any]
PROBE: Final = (240, 320)
FAILURES: Final = (TypeError, ValueError, RuntimeError, AttributeError, KeyError, IndexError, AssertionError)


class LearntTransform:
    """A transform from a PIL image to a ``(C, H, W)`` tensor, with the normalisation and geometry it was seen to have.

    Raises:
        ConfigError: ``SW-F70`` it gives no such tensor or its colours are no normalisation, ``SW-F71`` it is random.

    Example:
        >>> from torchvision.transforms import v2
        >>> to_float = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.25] * 3)]
        >>> learnt = LearntTransform(v2.Compose([v2.Resize(64), v2.CenterCrop(64), *to_float]))
        >>> learnt.normalisation.mean, learnt.geometry((100, 200)).offset[1]
        ((0.5, 0.5, 0.5), 32.0)
    """

    def __init__(self, transform: Transform) -> None:
        self._transform = _of_processor(transform)
        self.normalisation = self._colours()
        self.geometry = lru_cache(maxsize=256)(self._learn_geometry)

    def __call__(self, picture: Image.Image) -> Float[Tensor, "c h w"]:
        """The model's input."""
        try:
            found = self._transform(picture.convert("RGB"))
        except FAILURES as error:
            raise _unusable(f"failed on a PIL image ({type(error).__name__}: {error})") from error
        if isinstance(found, Tensor) and found.ndim == 4 and len(found) == 1:
            found = found[0]
        if not isinstance(found, Tensor) or found.ndim != 3 or not found.is_floating_point():
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise _unusable(f"gave {shape} where a floating-point (C, H, W) tensor was expected")
        return found.detach()

    def _colours(self) -> Normalisation:
        height, width = PROBE
        black, white = (self(Image.new("RGB", (width, height), level)) for level in ("black", "white"))
        if not torch.equal(self(_ramps(PROBE)), self(_ramps(PROBE))):
            raise ConfigError(
                "SW-F71",
                "the preprocessing gives another result each time it is called",
                fix="pass the transform used for evaluation, without random crops, flips or colours",
            )
        low, high = (plane.double().mean(dim=(1, 2)) for plane in (black, white))
        flat = all(bool((plane.amax(dim=(1, 2)) - plane.amin(dim=(1, 2)) < 1e-4).all()) for plane in (black, white))
        if not flat or not bool((high > low).all()):
            raise ConfigError(
                "SW-F70",
                "the preprocessing is no per-channel normalisation: it does not send black and white to two constants",
                fix="pass preprocessing={'size': ..., 'mean': ..., 'std': ...}, or tensors",
            )
        mean, std = -low / (high - low), 1 / (high - low)
        return Normalisation(tuple(_rounded(mean)), tuple(_rounded(std)))

    def _learn_geometry(self, original: tuple[int, int]) -> Geometry | None:
        """Where the input lies on an original of ``(height, width)``; None where no straight line tells."""
        shown = self.normalisation.undo(self(_ramps(original)).float())
        if len(shown) != 3:
            return None
        rows, columns = _line(shown[1], 0, original[0]), _line(shown[0], 1, original[1])
        if rows is None or columns is None:
            return None
        height, width = shown.shape[1:]
        return Geometry(original, (height, width), (rows[0], columns[0]), (rows[1], columns[1]))


def _line(shown: Float[Tensor, "h w"], axis: int, length: int) -> tuple[float, float] | None:
    """Scale and offset along an axis of a plane whose brightness is the place on the original."""
    profile = shown.mean(dim=1 - axis).double().numpy() * length
    if float((shown - shown.mean(dim=1 - axis, keepdim=True)).abs().max()) > 2 / 255:
        return None
    centres = np.arange(len(profile)) + 0.5
    slope, start = np.polyfit(centres, profile, 1) if len(profile) > 1 else (0.0, 0.0)
    misfit = np.abs(slope * centres + start - profile).max()
    if slope <= 0 or misfit > 2 * max(length / 255, slope):
        return None
    return _near_whole(float(1 / slope), length, len(profile), float(start / slope))


def _near_whole(scale: float, length: int, seen: int, offset: float) -> tuple[float, float]:
    """Transforms resize to whole pixels and crop at whole pixels: the measured line, moved to the nearest such."""
    resized = max(seen, round(scale * length))
    return (resized / length, 0.0 if resized == seen else float(round(offset)))


def _ramps(size: tuple[int, int]) -> Image.Image:
    """A picture whose green rises from top to bottom, its red and blue from left to right."""
    down, across = ((np.arange(length) + 0.5) / length for length in size)
    rows, columns = np.broadcast_to(down[:, None], size), np.broadcast_to(across[None], size)
    colours: NDArray[np.uint8] = np.rint(np.stack([columns, rows, columns], axis=2) * 255).astype(np.uint8)
    return Image.fromarray(colours)


def _of_processor(transform: Transform) -> Transform:
    """An image processor of transformers as a plain function of one image."""
    if not hasattr(transform, "image_mean"):
        return transform
    processor: Any = transform

    def apply(picture: Image.Image) -> Any:
        batch: Mapping[str, Any] = processor(images=picture, return_tensors="pt")
        return batch["pixel_values"]

    return apply


def _rounded(values: Tensor) -> list[float]:
    """Float32 arithmetic leaves seven digits; four are what people write."""
    return [round(value, 4) for value in values.tolist()]


def _unusable(found: str) -> ConfigError:
    return ConfigError(
        "SW-F70",
        f"the preprocessing {found}",
        fix="pass a function of a PIL image that returns the model's input, or {'size': ..., 'mean': ..., 'std': ...}",
    )
