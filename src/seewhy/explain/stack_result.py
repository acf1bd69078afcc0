"""A volume or a clip explained: a dictionary that can be saved as a sheet, a stack, a film or a NIfTI map."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float32, UInt8

from seewhy.data.volumes import Volume, to_source
from seewhy.explain.answer_values import predicted_words
from seewhy.explain.drawing import Destination, Look
from seewhy.explain.result import plain
from seewhy.render.encode import encode_jpeg, encode_png
from seewhy.render.overlay import overlay
from seewhy.render.slices import slice_grid
from seewhy.render.stacks import encode_gif, encode_mp4, encode_nifti, encode_tiff
from seewhy.values import ConfigError, Json, nearest

Heat = Float32[np.ndarray, "n h w"]
DEFAULT_FPS: Final = 8.0
"""Slices of a volume, and frames that tell no times, are shown this fast."""


@dataclass(frozen=True)
class Stack:
    """What is drawn: ``pictures`` ``(N, H, W, 3)`` of the original, ``heat`` ``(N, H, W)`` in [0, 1] over them.

    ``reference`` is the raw value at full colour; ``volume`` the source of a volume's map.
    """

    pictures: UInt8[np.ndarray, "n h w 3"]
    heat: Heat
    labels: Sequence[str]
    reference: float
    fps: float | None = None
    volume: Volume | None = None

    def overlays(self, look: Look) -> UInt8[np.ndarray, "n h w 3"]:
        """Every slice or frame with its heat map over it."""
        pairs = zip(self.pictures, self.heat, strict=True)
        return np.stack([overlay(picture, heat, look.colormap, look.alpha) for picture, heat in pairs])


class StackResult(dict[str, Any]):
    """One volume or clip explained.

    Keys as of :class:`~seewhy.explain.result.Result`, with ``heatmap`` ``(N, H, W)`` in [0, 1] at the original's size
    and ``raw``, the signed map at the method's resolution; ``stack`` is what is drawn.
    """

    def __init__(self, values: Mapping[str, Any], stack: Stack, look: Look) -> None:
        super().__init__(values)
        self.stack, self.look = stack, look

    def sheet(self, most: int = 12) -> UInt8[np.ndarray, "height width 3"]:
        """Evenly spaced slices or frames in one picture."""
        return slice_grid(
            self.stack.pictures,
            self.stack.heat,
            labels=self.stack.labels,
            most=most,
            title=f"{self['method']} · {self['target_label']}" if self["target_label"] else str(self["method"]),
            caption=predicted_words(self),
            colormap=self.look.colormap,
            alpha=self.look.alpha,
            reference=self.stack.reference or None,
            note="" if self.stack.reference else "no positive evidence: the map is zero",
        )

    def save(self, path: Destination, *, fps: float | None = None) -> Path:
        """Write what the file's ending says: ``.png``, ``.jpg`` a sheet of slices; ``.tiff`` every slice; ``.gif``,
        ``.mp4`` a film; ``.nii``, ``.nii.gz`` a volume's heat map in the source's voxel order and affine.

        Raises:
            ConfigError: ``SW-F140`` another ending, or NIfTI for what is no volume.
        """
        target = Path(path).expanduser()
        data = self._encoder(target)(fps or self.stack.fps or DEFAULT_FPS)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        self["save_path"] = str(target)
        return target

    def to_json(self) -> dict[str, Json]:
        """Everything but the maps, as plain values."""
        return {name: plain(value) for name, value in self.items() if name not in ("heatmap", "raw")}

    def _encoder(self, target: Path) -> Callable[[float], bytes]:
        encoders: dict[str, Callable[[float], bytes]] = {
            ".png": lambda _: encode_png(self.sheet()),
            ".jpg": lambda _: encode_jpeg(self.sheet()),
            ".jpeg": lambda _: encode_jpeg(self.sheet()),
            ".tif": lambda _: encode_tiff(self.stack.overlays(self.look)),
            ".tiff": lambda _: encode_tiff(self.stack.overlays(self.look)),
            ".gif": lambda fps: encode_gif(self.stack.overlays(self.look), fps),
            ".mp4": lambda fps: encode_mp4(self.stack.overlays(self.look), fps),
        }
        if self.stack.volume is not None:
            encoders[".nii.gz"] = lambda _: self._nifti()
        ending = ".nii.gz" if target.name.lower().endswith(".nii.gz") else target.suffix.lower()
        if ending not in encoders:
            raise ConfigError(
                "SW-F140",
                f"{target.name}: this result is written as {', '.join(encoders)}, not as {ending or 'a bare name'}",
                near=nearest(ending, encoders),
                fix="choose one of these endings",
            )
        return encoders[ending]

    def _nifti(self) -> bytes:
        volume = self.stack.volume
        if volume is None:
            raise ConfigError("SW-F140", "a clip has no place in space", fix="write .tiff, .gif or .mp4")
        return encode_nifti(*to_source(volume, self.stack.heat))

    def _repr_png_(self) -> bytes:
        return encode_png(self.sheet())

    def __repr__(self) -> str:
        told = ((name, value) for name, value in self.items() if name not in ("heatmap", "raw", "probabilities"))
        return f"StackResult({', '.join(f'{name}={value!r}' for name, value in told)})"
