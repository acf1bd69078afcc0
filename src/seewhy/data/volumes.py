"""One door to volumes: NIfTI, DICOM and multi-page TIFF become float32 ``(D, H, W)`` with a known place in space."""

from __future__ import annotations

import gzip
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Shaped
from numpy.typing import NDArray

from seewhy.data.decoding import unreadable
from seewhy.data.dicom import read_dicom
from seewhy.data.dicom_header import looks_like_dicom
from seewhy.data.limits import MAX_BYTES, check_limit
from seewhy.data.nifti import GZIP_MAGIC, looks_like_nifti, read_nifti
from seewhy.data.orientation import (
    STRAIGHT_WITHIN_DEGREES,
    Affine,
    Reordering,
    StoredVolume,
    axis_codes,
    check_axes,
    reordering,
    spacing,
    tilt_degrees,
)
from seewhy.data.tiff_stack import looks_like_tiff, read_tiff_stack
from seewhy.values import DataError

RADIOLOGICAL: Final = "SPL"
START_BYTES: Final = 512


@dataclass(frozen=True)
class Volume:
    """Voxels and where they lie.

    ``values`` is float32 ``(D, H, W)`` or ``(C, D, H, W)``, finite. ``axes`` names the direction in which D, H and W
    run, ``"SPL"`` by default: D from feet to head, H from front to back, W from the patient's right to left, so that
    ``values[d]`` is an axial slice as radiology draws it. ``affine`` takes the index ``(d, h, w, 1)`` to RAS+
    millimetres: an array of this shape written as NIfTI with it lies on the source in any viewer.

    ``orientation`` names the file's own axes (``"LPS"``); both names are empty where the file says nothing of a
    patient, and then the axes are the file's. ``source_affine`` and ``source_order`` undo the reordering, see
    :func:`to_source`.
    """

    values: NDArray[np.float32]
    affine: Affine
    axes: str
    orientation: str
    source_affine: Affine
    source_order: Reordering
    revision: str
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """``(D, H, W)``."""
        return self.values.shape[-3:]

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between voxels along D, H and W; between pages and pixels (1) where the file has no lengths."""
        return spacing(self.affine)


def read_volume(
    path: str | os.PathLike[str],
    *,
    volume: int | None = None,
    axes: str | None = RADIOLOGICAL,
    fill: float | None = None,
    max_bytes: int = MAX_BYTES,
) -> Volume:
    """Read a NIfTI file, a DICOM file, a folder of DICOM slices or a multi-page TIFF, told apart by their content.

    Args:
        path: the file, or the folder of one series.
        volume: which volume (from 0) of a 4-D NIfTI file; None makes all of them channels ``C``.
        axes: the directions D, H and W are to run in, as three letters (``"RAS"`` for models trained on nibabel's
            canonical order without transposition); None keeps the file's axes. Voxels are moved, never interpolated.
        fill: what stands for NaN and infinite voxels, counted in the notes; None refuses them.
        max_bytes: the most a volume may take as float32, checked in the headers before anything is decoded.

    Raises ``ConfigError`` SW-F100 for axes, SW-F101 for a limit that is none; ``DataError`` SW-D05 absent, SW-D23 NaN
    or infinite voxels, SW-D60 no volume in a known format, SW-D62 no such ``volume``, SW-D63 an unusable affine, and
    what :func:`read_nifti`, :func:`read_dicom` and :func:`read_tiff_stack` raise. ``MissingExtraError`` without nibabel
    or pydicom.
    """
    axes = None if axes is None else check_axes(axes)
    check_limit("max_bytes", max_bytes)
    file = Path(path).expanduser()
    stored = _stored(file, volume, max_bytes)
    return _oriented(_finite(file, stored, fill), axes)


def to_source(volume: Volume, values: Shaped[np.ndarray, "d h w"]) -> tuple[Shaped[np.ndarray, "i j k"], Affine]:
    """A map on the volume's voxels in the file's own voxel order, with the file's own affine, bit for bit.

    ``values`` is ``(D, H, W)`` as ``volume.shape``; a map of other size is resized first. DataError SW-D75 otherwise.
    """
    if values.shape != volume.shape:
        raise DataError(
            "SW-D75",
            f"a map of shape {values.shape} does not lie on a volume of shape {volume.shape}",
            fix="resize the map to the volume's shape first (`Attribution` maps are at the model's resolution)",
        )
    return volume.source_order.undo(values), volume.source_affine.copy()


def _stored(file: Path, volume: int | None, max_bytes: int) -> StoredVolume:
    if file.is_dir():
        _check_single(file, volume)
        return read_dicom(file, max_bytes=max_bytes)
    start = _start(file)
    if looks_like_nifti(start):
        return read_nifti(file, volume=volume, max_bytes=max_bytes)
    _check_single(file, volume)
    if looks_like_dicom(start):
        return read_dicom(file, max_bytes=max_bytes)
    if looks_like_tiff(start):
        return read_tiff_stack(file, max_bytes=max_bytes)
    raise _no_volume(file, start)


def _start(file: Path) -> bytes:
    """The first bytes of a file, those of the content where it is gzip."""
    try:
        with file.open("rb") as opened:
            start = opened.read(START_BYTES)
        if start[:2] != GZIP_MAGIC:
            return start
        with gzip.open(file) as opened:
            return opened.read(START_BYTES)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            "SW-D21", f"{file.name}: its compressed stream is cut short or damaged ({error})", fix="copy the file again"
        ) from error
    except OSError as error:
        raise unreadable(file, error) from error


def _check_single(file: Path, volume: int | None) -> None:
    if volume is not None:
        raise DataError(
            "SW-D62", f"{file.name}: volume={volume}, but only NIfTI files hold several", fix="leave volume out"
        )


def _finite(file: Path, stored: StoredVolume, fill: float | None) -> StoredVolume:
    usable = np.isfinite(stored.values)
    bad = int(usable.size - np.count_nonzero(usable))
    if not bad:
        return stored
    if fill is None or not np.isfinite(fill):
        raise DataError(
            "SW-D23",
            f"{file.name}: {bad} of {usable.size} voxels are NaN or infinite",
            fix="repair the volume, or say what stands for them with fill=0.0",
        )
    values = np.where(usable, stored.values, np.float32(fill))
    note = f"{bad} NaN or infinite voxels replaced by {fill:g}"
    return StoredVolume(values, stored.affine, stored.anatomical, stored.revision, (*stored.notes, note))


def _oriented(stored: StoredVolume, axes: str | None) -> Volume:
    orientation = axis_codes(stored.affine) if stored.anatomical else ""
    moves = reordering(stored.affine, axes) if stored.anatomical and axes else Reordering()
    now = axes if orientation and axes else orientation
    notes = [*stored.notes]
    if now != orientation:
        notes.append(f"stored axes {orientation}, read as {now}")
    if orientation and (tilt := tilt_degrees(stored.affine)) > STRAIGHT_WITHIN_DEGREES:
        notes.append(f"oblique: axes are up to {tilt:.1f}° from the directions they are named by")
    return Volume(
        moves.apply(stored.values),
        moves.affine(stored.affine, stored.values.shape[-3:]),
        now,
        orientation,
        stored.affine,
        moves,
        stored.revision,
        tuple(notes),
    )


def _no_volume(file: Path, start: bytes) -> DataError:
    found = "the file is empty (0 bytes)" if not start else f"it begins with {start[:12]!r}"
    fix = "use NIfTI (one .nii or .nii.gz file), DICOM (a file or the folder of a series) or multi-page TIFF"
    if start.startswith(b"version https://git-lfs"):
        found, fix = "a Git LFS pointer, not the volume itself", "fetch the file with `git lfs pull`"
    elif start[344:347] == b"ni1":
        found = "the header of a NIfTI pair (.hdr and .img)"
    return DataError("SW-D60", f"{file.name}: no volume in a known format; {found}", fix=fix)
