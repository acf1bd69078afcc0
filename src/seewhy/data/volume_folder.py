"""A data set of volumes: NIfTI files, folders of DICOM slices, multi-page TIFF files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from seewhy.data.custom import stretched
from seewhy.data.folder_listing import Kind, PathLike, listing
from seewhy.data.limits import MAX_BYTES
from seewhy.data.listed_files import ListedFiles
from seewhy.data.places import on_disk
from seewhy.data.records import Record, Slices, Space, View
from seewhy.data.volume_input import Percentiles, Scaling, Window, ZScore, volume_input
from seewhy.data.volumes import RADIOLOGICAL, read_volume
from seewhy.pixels import to_rgb8
from seewhy.values import DataError, Json, nearest

VOLUMES: Final = Kind("volumes", (".nii", ".nii.gz", ".tif", ".tiff"), series=True)
STORED: Final = "stored"
ASSUMED: Final = "percentiles"
"""The scaling where none is said, that of :func:`seewhy.explain_volume`."""
SCALINGS: Final = ("percentiles", "window", "zscore")


class VolumeFolder(ListedFiles):
    """Volumes ``{"volume": (C, D, H, W)}`` from ``root/{train,val,test}/CLASS/``, ``root/CLASS/`` or ``root/``, or from
    a ``manifest`` with the columns id, path, label and split.

    A volume is a NIfTI or multi-page TIFF file, or a folder that holds the slices of one DICOM series. ``axes`` are the
    directions of D, H and W (``stored``: the file's own), ``volume`` picks one of a 4-D file and ``fill`` replaces NaN
    (:func:`seewhy.data.volumes.read_volume`). ``scaling`` is ``percentiles`` (with ``percentiles``), ``zscore`` or
    ``window`` (with ``window``, in the file's own units); the first two ``per_channel`` or jointly. None is
    ``percentiles``, as in :func:`seewhy.explain_volume`, and said to be assumed. ``size`` is ``(depth, height,
    width)``; None keeps each volume's own, and volumes of one size go through the model together.

    Raises ``DataError`` SW-D104 for a scaling that is none, and what :func:`seewhy.data.folder_listing.listing` raises.
    """

    def __init__(
        self,
        root: PathLike | None = None,
        manifest: PathLike | None = None,
        size: Sequence[int] | None = None,
        *,
        scaling: str | None = None,
        window: Sequence[float] | None = None,
        percentiles: Sequence[float] = (1.0, 99.0),
        per_channel: bool = True,
        axes: str = RADIOLOGICAL,
        volume: int | None = None,
        fill: float | None = None,
        class_names: Sequence[str] | None = None,
        split_ratio: Sequence[float] = (0.7, 0.15, 0.15),
        seed: int = 0,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.scaling = _scaling(ASSUMED if scaling is None else scaling, window, percentiles, per_channel)
        self.size = None if size is None else tuple(size)
        self._reading: dict[str, Any] = {"axes": None if axes == STORED else axes, "volume": volume, "fill": fill}
        self._max_bytes = max_bytes
        assumed = {} if scaling is not None else {"scaling": _told(self.scaling)}
        super().__init__(listing(VOLUMES, root, manifest, class_names, split_ratio, seed), "volume", assumed)

    def read(self, position: int) -> Record:
        """Decode, reorder, scale and resize one volume; raises what ``read_volume`` and ``volume_input`` raise."""
        with on_disk(self._paths[position]) as path:
            volume = read_volume(path, max_bytes=self._max_bytes, **self._reading)
            loaded = volume_input(volume, self.scaling, self.size)
        space = Space(volume.source_order, volume.source_affine) if volume.orientation else None
        return self._record(position, loaded, space)

    def pictures(self, inputs: Mapping[str, Tensor]) -> Mapping[str, View]:
        """Every slice along D; values scaled by mean and deviation are stretched between their own percentiles."""
        return {"volume": self._slices(inputs["volume"])}

    def picture(self, inputs: Mapping[str, Tensor]) -> UInt8[np.ndarray, "h w 3"]:
        """The middle slice."""
        return self._slices(inputs["volume"]).middle

    def fingerprint(self) -> Mapping[str, Json]:
        """What decides voxel values."""
        scaling = {"scaling": type(self.scaling).__name__, **asdict(self.scaling)}
        return {"data": "volumes", "size": None if self.size is None else list(self.size), **scaling, **self._reading}

    def _slices(self, values: Tensor) -> Slices:
        shown = values.detach().cpu() if values.shape[0] == 3 else values[:1].detach().cpu()
        unit = stretched(shown) if isinstance(self.scaling, ZScore) else shown
        return Slices(to_rgb8(unit.flatten(1, 2)).reshape(*values.shape[1:], 3))


def _told(scaling: Scaling) -> str:
    settings = ", ".join(f"{name}={value}" for name, value in asdict(scaling).items())
    return f"{type(scaling).__name__}({settings}) of each volume (data.scaling={'|'.join(SCALINGS)} to say otherwise)"


def _scaling(name: str, window: Sequence[float] | None, percentiles: Sequence[float], per_channel: bool) -> Scaling:
    ends = window if name == "window" else percentiles
    pair = isinstance(ends, Sequence) and not isinstance(ends, str) and len(ends) == 2
    if name not in SCALINGS or (name != "zscore" and not pair):
        raise DataError(
            "SW-D104",
            f"scaling={name!r}" + (f" with {ends!r}" if name in SCALINGS else f" is none of {', '.join(SCALINGS)}"),
            near=nearest(str(name), SCALINGS),
            fix="set scaling=percentiles percentiles=[1,99], scaling=zscore, or scaling=window window=[-160,240]",
        )
    if name == "zscore":
        return ZScore(per_channel)
    low, high = (float(end) for end in ends or ())
    return Window(low, high) if name == "window" else Percentiles(low, high, per_channel)
