"""Writes small ACDC trees as real NIfTI files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np

SHAPE = (24, 20, 5, 8)  # x, y, z, t
LPS = np.diag([-1.5, -1.5, 8.0, 1.0])


def cine() -> np.ndarray:
    """Voxel value = 1000 t + 10 x + y, so that every voxel tells where it came from; only slice 2 is not zero."""
    x, y, z, t = np.indices(SHAPE)
    return np.where(z == 2, 1000 * t + 10 * x + y, 0).astype(np.int16)


def heart(shape: tuple[int, ...] = SHAPE[:3]) -> np.ndarray:
    """A block of labels 1, 2 and 3 at x 14..19, y 3..8, in slice 2."""
    labels = np.zeros(shape, np.uint8)
    labels[14:20, 3:9, 2] = 3
    labels[14:16, 3:9, 2] = 1
    labels[16:17, 3:9, 2] = 2
    return labels


def write_nifti(path: Path, values: np.ndarray, affine: np.ndarray = LPS) -> None:
    nibabel.save(nibabel.Nifti1Image(values, affine), path)


def write_patient(folder: Path, *, ed: int = 1, es: int = 4, with_mask: bool = True, **info: Any) -> Path:
    """``folder/Info.cfg``, the cine, the two frames, and the segmentation of the first."""
    folder.mkdir(parents=True)
    fields = {"ED": ed, "ES": es, "Group": "DCM", "Height": 184.0, "NbFrame": SHAPE[3], "Weight": 95.0, **info}
    lines = [f"{key}: {value}" for key, value in fields.items() if value is not None]
    (folder / "Info.cfg").write_text("\n".join(lines) + "\n")
    name, values = folder.name, cine()
    write_nifti(folder / f"{name}_4d.nii.gz", values)
    for frame in (ed, es):
        if frame <= SHAPE[3]:
            write_nifti(folder / f"{name}_frame{frame:02d}.nii.gz", values[..., frame - 1])
    if with_mask:
        write_nifti(folder / f"{name}_frame{ed:02d}_gt.nii.gz", heart())
    return folder
