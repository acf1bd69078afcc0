"""Reading planes of an untrusted NIfTI file: sizes are checked in the header before anything is allocated."""

from __future__ import annotations

import gzip
import importlib
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from seewhy.values import DataError, MissingExtraError

MAX_BYTES: Final = 2 * 1024**3
GZIP_MAGIC: Final = b"\x1f\x8b"


@dataclass(frozen=True)
class Volume:
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
        proxy = self.image.dataobj
        try:
            stored = proxy.get_unscaled()  # once through the gzip stream, however many frames are wanted
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise _damaged(self.path, error) from error
        chosen = [stored[:, :, z, frame] if stored.ndim == 4 else stored[:, :, z] for frame in frames]
        planes: NDArray[np.float32] = (np.stack(chosen).astype(np.float32) * proxy.slope + proxy.inter).astype(
            np.float32
        )
        if not np.isfinite(planes).all():
            bad = int((~np.isfinite(planes)).sum())
            raise DataError(
                "SW-D23", f"{self.path.name}: {bad} voxels of slice {z} are NaN or infinite", fix="repair the volume"
            )
        return planes.transpose(0, 2, 1)


def open_volume(path: Path, dimensions: int) -> Volume:
    """The header of a ``.nii`` or ``.nii.gz`` file with so many axes.

    Raises ``DataError``: SW-D05 absent, SW-D21 damaged or named ``.gz`` wrongly, SW-D22 other axes than expected or
    larger than 2 GiB. ``MissingExtraError`` without nibabel.
    """
    nibabel = _nibabel()
    _check_compression(path)
    try:
        image = nibabel.load(path, mmap=False)
    except (nibabel.filebasedimages.ImageFileError, OSError, EOFError, ValueError, zlib.error) as error:
        raise _damaged(path, error) from error
    shape = tuple(int(length) for length in image.shape)
    size = math.prod(shape) * image.get_data_dtype().itemsize
    if len(shape) != dimensions or min(shape) < 1 or size > MAX_BYTES:
        raise DataError(
            "SW-D22",
            f"{path.name}: the header says shape {shape} ({size} bytes); expected {dimensions} axes, at most 2 GiB",
            fix="use the file as the data set was published",
        )
    return Volume(path, shape, "".join(code or "?" for code in nibabel.aff2axcodes(image.affine)), image)


def _nibabel() -> Any:
    try:
        return importlib.import_module("nibabel")
    except ImportError as error:
        raise MissingExtraError("nibabel", "medical") from error


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


def _damaged(path: Path, error: Exception) -> DataError:
    kind = "its compressed stream is cut short or damaged" if isinstance(error, EOFError | gzip.BadGzipFile) else error
    return DataError("SW-D21", f"{path.name}: not a readable NIfTI file ({kind})", fix="copy the file again")
