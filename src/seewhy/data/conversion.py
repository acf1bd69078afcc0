"""From the many pixel modes of picture files to the three that are used: 8-bit RGB, 8-bit gray, gray in [0, 1]."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, TiffImageFile

from seewhy.values import DataError

SIXTEEN_BIT: Final = frozenset({"I;16", "I;16B", "I;16L", "I;16N"})
Color = tuple[int, int, int]


def to_plain(name: str, opened: Image.Image, background: Color) -> tuple[Image.Image, list[str]]:
    """Pixels in mode ``RGB``, ``L`` or ``F`` (in [0, 1]), and what had to be changed.

    ``name`` is for the error: DataError SW-D10 for samples without a known range (float, signed, 32-bit).
    """
    if opened.mode in SIXTEEN_BIT:
        return _sixteen_bit(opened)
    if opened.mode in ("I", "F"):
        raise DataError(
            "SW-D10",
            f"{name}: its samples (Pillow mode {opened.mode}: float, signed or 32-bit) have no known range",
            fix="export it as 8- or 16-bit with the intensity window you want",
        )
    if opened.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in opened.info:
        return _composite(opened.convert("RGBA"), background)
    if opened.mode == "CMYK":
        return _from_cmyk(opened)
    if opened.mode in ("1", "L"):
        return opened.convert("L"), []
    if opened.mode == "P":
        return opened.convert("RGB"), ["palette converted to RGB"]
    return opened.convert("RGB"), _colour_notes(opened)


def to_rgb_array(plain: Image.Image) -> tuple[UInt8[np.ndarray, "h w 3"], list[str]]:
    """What :func:`to_plain` gives as 8-bit RGB, and what had to be changed."""
    if plain.mode == "F":
        gray = np.round(np.asarray(plain) * 255).astype(np.uint8)
        return np.repeat(gray[..., None], 3, axis=2), ["reduced to 8 bits"]
    return np.asarray(plain.convert("RGB")), []


def _colour_notes(opened: Image.Image) -> list[str]:
    if opened.mode != "RGB":
        return [f"{opened.mode} converted to RGB"]
    raw_modes = {str(tile[3]) for tile in getattr(opened, "tile", ())}
    return ["16-bit colour reduced to 8 bits"] if any("16" in raw for raw in raw_modes) else []


def _sixteen_bit(opened: Image.Image) -> tuple[Image.Image, list[str]]:
    bits, inverted = 16, False
    if isinstance(opened, TiffImageFile):
        bits = int(opened.tag_v2.get(BITSPERSAMPLE, (16,))[0])
        inverted = opened.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == 0
    levels = np.asarray(opened).astype(np.float32) / (2**bits - 1)
    values = 1 - levels if inverted else levels
    return Image.fromarray(values), [f"{bits}-bit gray scaled by its full range (0..{2**bits - 1})"]


def _composite(picture: Image.Image, background: Color) -> tuple[Image.Image, list[str]]:
    lowest, _ = picture.getchannel("A").getextrema()
    if lowest == 255:
        return picture.convert("RGB"), ["opaque alpha channel dropped"]
    ground = Image.new("RGBA", picture.size, (*background, 255))
    return Image.alpha_composite(ground, picture).convert("RGB"), [f"transparency composited on rgb{background}"]


def _from_cmyk(opened: Image.Image) -> tuple[Image.Image, list[str]]:
    profile = opened.info.get("icc_profile")
    if profile:
        try:
            source, target = ImageCms.getOpenProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(opened, source, target, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            return opened.convert("RGB"), ["CMYK converted to RGB without its colour profile (unusable)"]
        if converted is not None:
            return converted, ["CMYK converted to RGB by its colour profile"]
    return opened.convert("RGB"), ["CMYK converted to RGB (no colour profile)"]
