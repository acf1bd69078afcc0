"""A picture however a person has it: a file, a Pillow image or an array, told apart by stated rules, never by guessing.

A tensor is no picture here: it counts as a model's input, already prepared.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from jaxtyping import Float32, Shaped, UInt8
from numpy.typing import NDArray
from PIL import Image

from seewhy.data.conversion import Color, to_plain
from seewhy.data.decoding import (
    DAMAGE,
    MAX_PIXELS,
    SMALLEST_SIDE,
    UPRIGHT,
    Decoded,
    check_picture_size,
    decode,
    decode_values,
    orientation,
    upright,
)
from seewhy.values import DataError

Picture: TypeAlias = str | os.PathLike[str] | Image.Image | NDArray[Any]
Window = tuple[float, float]
CHANNELS: Final = (1, 3, 4)
WHITE: Final = (255, 255, 255)
ENLARGE: Final = "pass the whole picture, or enlarge it first"


def read_picture(
    image: Picture,
    *,
    background: Color = WHITE,
    max_pixels: int = MAX_PIXELS,
    window: Window | None = None,
) -> Decoded:
    """The upright picture behind a path, a Pillow image of any mode or an array, with a note for every change.

    An array is ``(H, W)``, ``(H, W, C)`` or ``(C, H, W)`` with 1, 3 or 4 channels in the order red, green, blue, alpha.
    Since a side has at least 8 pixels, the axis of 1, 3 or 4 entries is the channels. Its values are 8-bit, 16-bit
    (scaled by the full range), boolean, or floating-point in [0, 1]. ``window`` ``(low, high)`` gives any other range
    its black and white; what lies outside is clipped.

    Raises:
        DataError: ``SW-D44`` a web address, ``SW-D45`` no picture at all, ``SW-D46`` a damaged Pillow image,
            ``SW-D47`` axes that are no picture's, ``SW-D48`` numbers without a known range, ``SW-D49`` values that are
            not finite, ``SW-D50`` a window that is none, and for files what :func:`decode` raises.

    Example:
        >>> read_picture(np.zeros((3, 20, 30), np.uint8)).picture.size
        (30, 20)
    """
    _check_window(window)
    if isinstance(image, np.ndarray):
        return _from_array(image, background, max_pixels, window)
    if isinstance(image, Image.Image):
        return _from_pillow(image, background, max_pixels, window)
    if isinstance(image, str | os.PathLike):
        return _from_path(image, background, max_pixels, window)
    raise DataError(
        "SW-D45",
        f"an image is a path, a PIL image, an array or a tensor; got {type(image).__name__}",
        fix="pass one of these, or a list of them to a function that takes several",
    )


def rgb8(picture: Image.Image) -> UInt8[np.ndarray, "h w 3"]:
    """The pixels of a decoded picture (mode ``RGB``, ``L`` or ``F`` in [0, 1]) for showing."""
    if picture.mode == "F":
        gray = np.rint(np.asarray(picture) * 255).clip(0, 255).astype(np.uint8)
        return np.repeat(gray[..., None], 3, axis=2)
    return np.asarray(picture.convert("RGB"))


def _from_path(image: str | os.PathLike[str], background: Color, max_pixels: int, window: Window | None) -> Decoded:
    text = os.fspath(image)
    if re.match(r"(?:[a-z][a-z0-9+.-]+://|data:)", text, re.IGNORECASE):
        raise DataError(
            "SW-D44",
            f"{text:.80} is a web address; nothing is fetched from the network",
            fix="download the picture and pass its path",
        )
    if not text:
        raise DataError("SW-D05", "the path is empty", fix="pass the path of a picture")
    path = Path(text).expanduser()
    if window is None:
        return decode(path, max_pixels=max_pixels, background=background)
    values, revision = decode_values(path, max_pixels=max_pixels)
    return replace(_from_array(values, background, max_pixels, window), revision=revision)


def _from_pillow(image: Image.Image, background: Color, max_pixels: int, window: Window | None) -> Decoded:
    name = Path(getattr(image, "filename", "") or "the PIL image").name
    check_picture_size(name, image.size, max_pixels, fix=ENLARGE)
    frames = getattr(image, "n_frames", 1)
    notes = [f"frame {image.tell() + 1} of {frames} used"] if frames > 1 else []
    try:
        turn = orientation(image)
        if window is not None and image.mode in ("I", "F", "I;16", "I;16B", "I;16L", "I;16N"):
            plain, changed = _gray_in_window(np.asarray(image), window)
        else:
            plain, changed = to_plain(name, image, background)
    except DAMAGE as error:
        raise DataError(
            "SW-D46",
            f"{name}: the PIL image cannot be loaded ({type(error).__name__}: {error})",
            fix="open the file again while it exists, or pass its path to learn what is wrong with it",
        ) from error
    turned = [f"turned upright by EXIF orientation {turn}"] if turn in UPRIGHT else []
    return Decoded(upright(plain, turn), "", (*notes, *changed, *turned))


def _from_array(array: NDArray[Any], background: Color, max_pixels: int, window: Window | None) -> Decoded:
    if array.dtype.kind not in "biuf":
        raise _no_range(f"values of type {array.dtype} are no pixels")
    laid = _channels_last(array)
    check_picture_size("the array", (laid.shape[1], laid.shape[0]), max_pixels, fix=ENLARGE)
    values, notes = _eight_bit_or_unit(laid, window)
    if values.shape[2] == 1:
        plane = values[..., 0]
        return Decoded(Image.fromarray(np.ascontiguousarray(plane)), "", tuple(notes))
    if values.dtype != np.uint8:
        values, notes = np.rint(values * 255).astype(np.uint8), [*notes, "colour rounded to 8 bits"]
    plain, changed = to_plain("the array", Image.fromarray(np.ascontiguousarray(values)), background)
    return Decoded(plain, "", (*notes, *changed))


def _channels_last(array: NDArray[Any]) -> Shaped[np.ndarray, "h w c"]:
    if array.ndim == 2:
        return array[..., None]
    first, last = (array.ndim == 3 and array.shape[axis] in CHANNELS for axis in (0, -1))
    if first != last:
        return array.transpose(1, 2, 0) if first else array
    why = f"; both ends could be the channels, since a side has at least {SMALLEST_SIDE} pixels" if first else ""
    raise DataError(
        "SW-D47",
        f"an array of shape {array.shape} is no picture: expected (H, W), (H, W, C) or (C, H, W), C being 1, 3 or 4"
        f"{why}",
        fix="pass one picture at a time, its channels first or last",
    )


def _eight_bit_or_unit(values: Shaped[np.ndarray, "h w c"], window: Window | None) -> tuple[NDArray[Any], list[str]]:
    """Values as 8-bit, or float32 in [0, 1], and what was done to them."""
    kind = values.dtype
    if kind.kind == "f" and not np.isfinite(values).all():
        bad = int(values.size - np.count_nonzero(np.isfinite(values)))
        raise DataError("SW-D49", f"the array holds {bad} NaN or infinite values", fix="replace them first")
    if window is not None:
        return _in_window(values, window)
    if kind == np.uint8:
        return values, []
    if kind == np.bool_:
        return values.astype(np.uint8) * np.uint8(255), ["false and true shown as black and white"]
    if kind == np.uint16:
        return (values.astype(np.float32) / 65535).astype(np.float32), ["16-bit scaled by its full range (0..65535)"]
    low, high = float(values.min()), float(values.max())
    if kind.kind != "f":
        raise _no_range(f"{kind} values from {low:g} to {high:g} have no known range")
    if low < 0 or high > 1:
        raise _no_range(f"floating-point values from {low:g} to {high:g} are not in [0, 1]")
    return values.astype(np.float32), []


def _gray_in_window(values: NDArray[Any], window: Window) -> tuple[Image.Image, list[str]]:
    scaled, notes = _in_window(values, window)
    return Image.fromarray(scaled), notes


def _in_window(values: NDArray[Any], window: Window) -> tuple[Float32[np.ndarray, "..."], list[str]]:
    low, high = window
    share = (values.astype(np.float64) - low) / (high - low)
    return share.clip(0, 1).astype(np.float32), [f"window {low:g} to {high:g} shown as black to white"]


def _check_window(window: Window | None) -> None:
    if window is None:
        return
    numbers = np.asarray(window, dtype=object).ravel().tolist()
    real = len(numbers) == 2 and all(isinstance(edge, int | float) and np.isfinite(edge) for edge in numbers)
    if not real or not numbers[0] < numbers[1]:
        raise DataError(
            "SW-D50", f"a window is two numbers, the lower first; got {window!r}", fix="write window=(low, high)"
        )


def _no_range(found: str) -> DataError:
    return DataError(
        "SW-D48",
        found,
        fix="pass 8-bit values, floating-point ones in [0, 1] (divide by 255), or window=(low, high); "
        "what is already normalised goes in as a tensor",
    )
