"""From a picture file to what a model gets: upright pixels, resized, cropped, normalised, with the geometry kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from PIL import Image
from torch import Tensor

from seewhy.data.conversion import Color
from seewhy.data.decoding import MAX_PIXELS, Decoded, decode
from seewhy.data.geometry import INTERPOLATIONS, Size, centre_crop, kept_fraction, resample, stretch
from seewhy.data.settings import check_background, check_choice, check_frame, check_max_pixels, check_ratio
from seewhy.pixels import Normalisation
from seewhy.values import DataError, Geometry, Json

CROPS: Final = ("center", "none")
IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class LoadedImage:
    """A picture as a model gets it: ``pixels`` ``(C, H, W)`` normalised, and how they came to be."""

    pixels: Tensor
    geometry: Geometry
    revision: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Preprocessing:
    """Everything between a picture file and a model's input.

    ``size`` is ``(height, width)`` of the input in pixels. ``crop="center"`` resizes so that the crop covers
    ``crop_ratio`` of the resized shorter side, and keeps the centre; ``"none"`` stretches the whole picture.
    One mean and std make a gray input, three an RGB one. Transparency shows ``background`` (8-bit RGB).
    ``interpolation`` is how pixels are resized, antialiased.
    """

    size: Size
    normalisation: Normalisation
    crop: str = "center"
    crop_ratio: float = 0.875
    background: Color = (255, 255, 255)
    max_pixels: int = MAX_PIXELS
    interpolation: str = "bilinear"

    @classmethod
    def checked(
        cls,
        size: int | Sequence[int],
        mean: Sequence[float],
        std: Sequence[float],
        *,
        crop: str = "center",
        crop_ratio: float = 0.875,
        background: Sequence[int] = (255, 255, 255),
        max_pixels: int = MAX_PIXELS,
        interpolation: str = "bilinear",
    ) -> Preprocessing:
        """Preprocessing from a user's settings; DataError SW-D01 for one out of range."""
        normalisation = Normalisation(tuple(mean), tuple(std))
        if len(normalisation.mean) not in (1, 3):
            raise DataError(
                "SW-D01",
                f"pictures have 1 or 3 channels; mean and std have {len(normalisation.mean)} values",
                fix="give one value for gray input or three for RGB",
            )
        return cls(
            check_frame(size),
            normalisation,
            check_choice("crop", crop, CROPS),
            check_ratio("crop_ratio", crop_ratio),
            check_background(background),
            check_max_pixels(max_pixels),
            check_choice("interpolation", interpolation, tuple(INTERPOLATIONS)),
        )

    def geometry(self, original: Size) -> Geometry:
        """Where the input lies on an original of ``(height, width)`` pixels."""
        if self.crop == "none":
            return stretch(original, self.size)
        return centre_crop(original, self.size, self.crop_ratio)

    def load(self, path: Path) -> LoadedImage:
        """Read a file. Raises what :func:`seewhy.data.decoding.decode` raises."""
        return self.prepare(decode(path, max_pixels=self.max_pixels, background=self.background))

    def prepare(self, decoded: Decoded) -> LoadedImage:
        """Resize, crop and normalise a decoded picture."""
        width, height = decoded.picture.size
        geometry = self.geometry((height, width))
        plane, notes = _with_channels(decoded.picture, len(self.normalisation.mean))
        pixels = to_unit(resample(plane, geometry, self.interpolation))
        if pixels.shape[0] < len(self.normalisation.mean):
            pixels = pixels.expand(len(self.normalisation.mean), -1, -1)
        notes = [*decoded.notes, *notes, *_warnings(pixels, geometry)]
        return LoadedImage(self.normalisation.apply(pixels).contiguous(), geometry, decoded.revision, tuple(notes))

    def picture(self, inputs: Mapping[str, Tensor]) -> UInt8[np.ndarray, "h w 3"]:
        """The input ``image`` with the normalisation undone."""
        return self.normalisation.picture(inputs["image"])

    def fingerprint(self) -> dict[str, Json]:
        """What decides pixel values."""
        return {
            "size": list(self.size),
            "mean": list(self.normalisation.mean),
            "std": list(self.normalisation.std),
            "crop": self.crop,
            "crop_ratio": self.crop_ratio,
            "background": list(self.background),
            **({} if self.interpolation == "bilinear" else {"interpolation": self.interpolation}),
        }


def to_unit(plane: Image.Image) -> Float32[Tensor, "c h w"]:
    """A Pillow picture (8-bit RGB or L, or F already in [0, 1]) as values in [0, 1]."""
    pixels = np.array(plane, dtype=np.float32)
    if plane.mode != "F":
        pixels /= 255
    return torch.from_numpy(pixels if pixels.ndim == 3 else pixels[..., None]).permute(2, 0, 1)


def _with_channels(picture: Image.Image, channels: int) -> tuple[Image.Image, list[str]]:
    """Colour turned to gray where the model wants one channel; gray stays one plane, to be repeated after resizing."""
    if picture.mode == "RGB":
        return (picture, []) if channels == 3 else (picture.convert("L"), ["colour converted to gray"])
    return picture, ["gray repeated in 3 channels"] if channels == 3 else []


def _warnings(pixels: Float[Tensor, "c h w"], geometry: Geometry) -> list[str]:
    notes = []
    kept = kept_fraction(geometry)
    if kept < 0.5:
        notes.append(f"the centre crop keeps {kept:.0%} of the picture")
    if bool(pixels.min() == pixels.max()):
        notes.append("flat: every pixel has the same value")
    return notes
