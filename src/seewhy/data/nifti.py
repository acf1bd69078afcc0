"""Reading an untrusted NIfTI file: sizes are checked against header, file and limit before anything is allocated."""

from __future__ import annotations

import gzip
import importlib
import math
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from seewhy.data.decoding import revision
from seewhy.data.limits import DEFLATE_RATIO, MAX_BYTES
from seewhy.data.orientation import StoredVolume
from seewhy.values import DataError, MissingExtraError

GZIP_MAGIC: Final = b"\x1f\x8b"
MAGICS: Final = ((slice(344, 347), (b"n+1",)), (slice(4, 7), (b"n+2",)))
HEADER_BYTES: Final = 348
UNITS: Final = {1: "metres", 3: "micrometres"}  # by the header's code; 0 and 2 are unknown and millimetres


@dataclass(frozen=True)
class NiftiFile:
    """A NIfTI file whose header has been checked; ``shape`` is as stored and ``axes`` such as ``"LPS"``."""

    path: Path
    shape: tuple[int, ...]
    axes: str
    image: Any

    def planes(self, z: int, frames: Sequence[int]) -> Float32[np.ndarray, "f y x"]:
        """Slice ``z`` at each frame (0-based, ``(0,)`` for a 3-D file), scaled by the header, as pictures.

        A picture's rows are the stored second axis (y) and its columns the first (x), without any flip: pixel
        ``[r, c]`` is voxel ``[c, r, z]``. Raises ``DataError`` SW-D21 for damage and SW-D23 for NaN or infinite voxels.
        """
        stored = self._stored()  # once through the gzip stream, however many frames are wanted
        chosen = [stored[:, :, z, frame] if stored.ndim == 4 else stored[:, :, z] for frame in frames]
        planes = self._scaled(np.stack(chosen))
        if not np.isfinite(planes).all():
            bad = int((~np.isfinite(planes)).sum())
            raise DataError(
                "SW-D23", f"{self.path.name}: {bad} voxels of slice {z} are NaN or infinite", fix="repair the volume"
            )
        return planes.transpose(0, 2, 1)

    def voxels(self, volume: int | None = None) -> NDArray[np.float32]:
        """All voxels, scaled by the header: ``(I, J, K)``, or ``(N, I, J, K)`` for a file of ``N`` volumes.

        ``volume`` picks one of the N, from 0. Raises ``DataError`` SW-D21 for damage, SW-D62 for a volume that is not
        there.
        """
        stored = self._stored()
        spatial = stored.reshape(*(*self.shape, 1)[:3], -1)
        count = spatial.shape[3]
        if volume is not None and not 0 <= volume < count:
            raise DataError(
                "SW-D62",
                f"{self.path.name}: volume={volume}, but the file holds {count} (shape {self.shape})",
                fix=f"choose volume=0 to {count - 1}, or leave it out",
            )
        if volume is not None or len(self.shape) < 4:
            return self._scaled(spatial[..., volume or 0])
        return self._scaled(np.moveaxis(spatial, 3, 0))

    def _stored(self) -> NDArray[Any]:
        try:
            stored: NDArray[Any] = self.image.dataobj.get_unscaled()
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise _damaged(self.path, error) from error
        return stored

    def _scaled(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        proxy = self.image.dataobj
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and reported as such
            scaled: NDArray[np.float32] = (stored.astype(np.float32) * proxy.slope + proxy.inter).astype(np.float32)
        return scaled


def looks_like_nifti(start: bytes) -> bool:
    """Whether the first bytes of a file, once decompressed, are the header of a single-file NIfTI-1 or NIfTI-2."""
    return any(start[place] in magics for place, magics in MAGICS)


def read_nifti(path: Path, *, volume: int | None = None, max_bytes: int = MAX_BYTES) -> StoredVolume:
    """The voxels of a ``.nii`` or ``.nii.gz`` file as stored, axes ``(i, j, k)``, a fourth axis first as channels.

    Raises what :func:`open_nifti` raises, ``DataError`` SW-D61 for voxels of several numbers each, and SW-D62 for a
    ``volume`` that is not there. ``MissingExtraError`` without nibabel.
    """
    file = open_nifti(path, dimensions=(2, 3, 4, 5), max_bytes=max_bytes)
    stored_type = file.image.get_data_dtype()
    if stored_type.fields is not None or stored_type.kind not in "iuf":
        raise DataError(
            "SW-D61",
            f"{path.name}: a voxel is of type {stored_type} (colour or complex), not one number",
            fix="save each component as a volume of its own along the fourth axis",
        )
    values = file.voxels(volume)
    return StoredVolume(
        values, np.asarray(file.image.affine, np.float64), True, revision(path), _header_notes(file, volume)
    )


def open_nifti(path: Path, dimensions: int | Collection[int], *, max_bytes: int = MAX_BYTES) -> NiftiFile:
    """The header of a ``.nii`` or ``.nii.gz`` file with so many axes; ``max_bytes`` limits the voxels as float32.

    Raises ``DataError``: SW-D05 absent, SW-D21 damaged or named ``.gz`` wrongly, SW-D22 other axes than expected or
    above the limit, SW-D65 more voxels than the file can hold. ``MissingExtraError`` without nibabel.
    """
    nibabel = _nibabel()
    _check_compression(path)
    try:
        image = _image_class(nibabel, path).from_file_map({"image": nibabel.FileHolder(str(path))}, mmap=False)
        kind = image.get_data_dtype()
    except (
        nibabel.filebasedimages.ImageFileError,
        nibabel.spatialimages.HeaderDataError,
        nibabel.wrapstruct.WrapStructError,
        OSError,
        EOFError,
        ValueError,
        OverflowError,
        zlib.error,
    ) as error:
        raise _damaged(path, error) from error
    shape = tuple(int(length) for length in image.shape)
    wanted = (dimensions,) if isinstance(dimensions, int) else tuple(dimensions)
    size = math.prod(shape) * max(kind.itemsize, 4)
    if len(shape) not in wanted or min(shape) < 1 or size > max_bytes or _vectors_of_volumes(shape):
        raise DataError(
            "SW-D22",
            f"{path.name}: the header says shape {shape} ({size} bytes); expected {_alternatives(wanted)} axes, "
            f"at most {max_bytes} bytes",
            fix="use the file as the data set was published, or raise max_bytes where the reader has it",
        )
    _check_file_size(path, math.prod(shape) * kind.itemsize + int(image.dataobj.offset))
    codes = nibabel.aff2axcodes(image.affine) if np.isfinite(image.affine).all() else (None,) * 3
    return NiftiFile(path, shape, "".join(code or "?" for code in codes), image)


def _header_notes(file: NiftiFile, volume: int | None) -> tuple[str, ...]:
    header, proxy = file.image.header, file.image.dataobj
    notes = []
    if volume is not None:
        notes.append(f"volume {volume} of {math.prod(file.shape[3:])} used")
    if not int(header["sform_code"]) and not int(header["qform_code"]):
        notes.append("the header names no orientation (qform and sform code 0); left-anterior-superior assumed")
    if (proxy.slope, proxy.inter) != (1, 0):
        notes.append(f"stored values scaled by {proxy.slope:g} and shifted by {proxy.inter:g}, as the header says")
    if unit := UNITS.get(int(header["xyzt_units"]) % 8):
        notes.append(f"lengths are in {unit}, as the header says, not millimetres")
    return tuple(notes)


def _vectors_of_volumes(shape: tuple[int, ...]) -> bool:
    return sum(length > 1 for length in shape[3:]) > 1


def _alternatives(counts: Sequence[int]) -> str:
    return " or ".join(str(count) for count in counts)


def _nibabel() -> Any:
    try:
        return importlib.import_module("nibabel")
    except ImportError as error:
        raise MissingExtraError("nibabel", "medical") from error


def _image_class(nibabel: Any, path: Path) -> Any:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        start = file.read(HEADER_BYTES)
    return nibabel.Nifti2Image if start[MAGICS[1][0]] in MAGICS[1][1] else nibabel.Nifti1Image


def _check_compression(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(2)
    except OSError as error:
        raise DataError(
            "SW-D05", f"{path.name}: cannot be read ({error.strerror})", fix=f"check that {path.name} exists"
        ) from error
    compressed, named = start == GZIP_MAGIC, path.suffix == ".gz"
    if start and compressed != named:
        wrong, right = ("is not compressed", ".nii") if named else ("is compressed", ".nii.gz")
        raise DataError(
            "SW-D21",
            f"{path.name}: the file {wrong}, against its name",
            fix=f"rename it to end in {right}",
        )


def _check_file_size(path: Path, claimed: int) -> None:
    held = path.stat().st_size
    most = held * DEFLATE_RATIO if path.suffix == ".gz" else held
    if claimed > most:
        raise DataError(
            "SW-D65",
            f"{path.name}: the header claims {claimed} bytes of voxels and header, the file of {held} bytes holds "
            f"{'at most ' if most != held else ''}{most}",
            fix="copy the file again; if it stays so, its header is wrong",
        )


def _damaged(path: Path, error: Exception) -> DataError:
    kind = "its compressed stream is cut short or damaged" if isinstance(error, EOFError | gzip.BadGzipFile) else error
    return DataError("SW-D21", f"{path.name}: not a readable NIfTI file ({kind})", fix="copy the file again")
