"""From a volume or a clip to what a model gets: scaled, resized, with the geometry of all three axes kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from seewhy.data.clips import Clip
from seewhy.data.geometry import crop_notes, resample
from seewhy.data.images import Preprocessing, to_unit
from seewhy.data.volumes import Volume
from seewhy.ops import resize
from seewhy.values import ConfigError, Geometry, nearest


@dataclass(frozen=True)
class ZScore:
    """Mean 0 and standard deviation 1 over all voxels of each channel, or over the channels jointly."""

    per_channel: bool = True


@dataclass(frozen=True)
class Percentiles:
    """The ``low`` and ``high`` percentile of each channel (or of all jointly) become 0 and 1; beyond them is cut."""

    low: float = 1.0
    high: float = 99.0
    per_channel: bool = True


@dataclass(frozen=True)
class Window:
    """The values ``low`` and ``high`` become 0 and 1 (Hounsfield units of a CT, say); beyond them is cut."""

    low: float
    high: float


Scaling = ZScore | Percentiles | Window


@dataclass(frozen=True)
class LoadedInput:
    """What a model gets: ``values`` ``(C, D, H, W)`` or ``(C, T, H, W)`` float32, and how they came to be."""

    values: Tensor
    geometry: Geometry
    revision: str
    notes: tuple[str, ...]


def volume_input(volume: Volume, scaling: Scaling | None, size: Sequence[int] | None = None) -> LoadedInput:
    """A volume as ``(C, D, H, W)``: values scaled over all voxels, then resized to ``size`` by trilinear interpolation.

    ``size`` is ``(depth, height, width)`` in voxels, None keeps the volume's. The geometry's axes are D, H and W.
    Raises ``ConfigError`` SW-F103 for a window or percentiles that are none, SW-F104 for a size that is none, SW-F138
    for a scaling that is none.
    """
    wanted = _check_size(size) or volume.shape
    channels = volume.values.reshape(-1, *volume.shape)
    scaled, notes = scale(channels, scaling)
    values = resize(torch.from_numpy(scaled)[None], wanted)[0]
    if wanted != volume.shape:
        notes.append(f"resized from {_times(volume.shape)} to {_times(wanted)} voxels (trilinear, not antialiased)")
    ratio = tuple(now / before for now, before in zip(wanted, volume.shape, strict=True))
    geometry = Geometry(volume.shape, wanted, ratio, (0.0, 0.0, 0.0))
    return LoadedInput(values, geometry, volume.revision, (*volume.notes, *notes))


def clip_input(clip: Clip, preprocessing: Preprocessing) -> LoadedInput:
    """A clip as ``(C, T, H, W)``: every frame resized, cropped and normalised as a picture would be.

    The geometry's axes are T, H and W; no frame is left out or made up. One mean and std make gray frames.
    """
    frames = [Image.fromarray(frame) for frame in clip.frames]
    count, height, width = clip.frames.shape[:3]
    plane = preprocessing.geometry((height, width))
    gray = len(preprocessing.normalisation.mean) == 1
    pixels = [
        preprocessing.normalisation.apply(
            to_unit(resample(frame.convert("L") if gray else frame, plane, preprocessing.interpolation))
        )
        for frame in frames
    ]
    geometry = Geometry((count, *plane.original), (count, *plane.input), (1.0, *plane.scale), (0.0, *plane.offset))
    notes = (*clip.notes, *(["colour converted to gray"] if gray else []), *crop_notes(plane, "each frame"))
    return LoadedInput(torch.stack(pixels, dim=1), geometry, clip.revision, notes)


def scale(
    channels: Float32[np.ndarray, "c d h w"], scaling: Scaling | None
) -> tuple[Float32[np.ndarray, "c d h w"], list[str]]:
    """Values scaled as said, and what was done. A flat volume becomes zeros, noted, never a division by zero.

    None leaves the values as they are. ConfigError SW-F103 for a window or percentiles whose lower end is not below the
    upper, SW-F138 for a scaling that is none.
    """
    if scaling is None:
        return channels, ["values as they are"]
    _check_scaling(scaling)
    if isinstance(scaling, Window):
        _check_ends(scaling, scaling.low, scaling.high)
        return _between(channels, scaling.low, scaling.high), [f"window {scaling.low:g} to {scaling.high:g} is 0 to 1"]
    parts = np.stack([channels]) if not scaling.per_channel else channels[:, None]
    done = [_by_statistics(part, scaling) for part in parts]
    values = np.concatenate([part for part, _ in done]).reshape(channels.shape)
    return values, [note for _, note in done]


def _by_statistics(values: NDArray[np.float32], scaling: ZScore | Percentiles) -> tuple[NDArray[np.float32], str]:
    if isinstance(scaling, ZScore):
        mean, deviation = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
        if not deviation:
            return np.zeros_like(values), f"flat: every voxel is {mean:g}, so all are 0"
        return ((values - mean) / deviation).astype(
            np.float32
        ), f"mean {mean:.5g} and deviation {deviation:.5g} to 0, 1"
    _check_ends(scaling, scaling.low, scaling.high, (0.0, 100.0))
    low, high = (float(end) for end in np.percentile(values, (scaling.low, scaling.high)))
    if low == high:
        return np.zeros_like(values), f"flat: both percentiles are {low:g}, so all voxels are 0"
    told = f"percentiles {scaling.low:g} and {scaling.high:g} ({low:.5g} and {high:.5g}) are 0 and 1"
    return _between(values, low, high), told


def _between(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = ((values - low) / (high - low)).clip(0, 1).astype(np.float32)
    return scaled


def _check_scaling(scaling: Any) -> None:
    if not isinstance(scaling, Scaling):
        known = [kind.__name__ for kind in get_args(Scaling)]
        raise ConfigError(
            "SW-F138",
            f"scaling must be one of {', '.join(known)}, or None for values as they are; got {scaling!r}",
            near=nearest(str(scaling), known),
            fix="from seewhy.data.volume_input import Percentiles, Window, ZScore; scaling=Percentiles(1, 99)",
        )


def _check_ends(
    scaling: Window | Percentiles, low: Any, high: Any, within: tuple[float, float] = (-math.inf, math.inf)
) -> None:
    numbers = all(isinstance(end, int | float) and math.isfinite(end) for end in (low, high))
    if not numbers or not within[0] <= low < high <= within[1]:
        raise ConfigError(
            "SW-F103",
            f"{type(scaling).__name__}: the lower end must be below the upper; got {low!r} and {high!r}",
            fix="write Window(-160, 240), or Percentiles(1, 99) between 0 and 100",
        )


def _check_size(size: Sequence[int] | None) -> tuple[int, int, int] | None:
    if size is None:
        return None
    lengths = tuple(size) if isinstance(size, Sequence) and not isinstance(size, str) else ()
    if len(lengths) != 3 or not all(type(length) is int and length >= 1 for length in lengths):
        raise ConfigError(
            "SW-F104", f"size must be (depth, height, width) in voxels; got {size!r}", fix="set size=(32, 128, 128)"
        )
    depth, height, width = lengths
    return depth, height, width


def _times(shape: Sequence[int]) -> str:
    return " × ".join(str(length) for length in shape)
