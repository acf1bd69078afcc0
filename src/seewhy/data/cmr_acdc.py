"""Cardiac MRI of the ACDC challenge: the middle slice at three moments of the heart beat as one picture."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from seewhy.data.acdc_tree import Patient, find_patients, group_order
from seewhy.data.decoding import revision
from seewhy.data.geometry import mask_to_input, resample
from seewhy.data.images import Preprocessing, to_unit
from seewhy.data.masks import box_of
from seewhy.data.nifti import NiftiFile, open_nifti
from seewhy.data.records import Record, RecordRef
from seewhy.data.settings import check_directory, check_seed, check_split_ratio
from seewhy.data.splitting import stratified_splits
from seewhy.pixels import to_rgb8
from seewhy.values import DataError, Json

HALF: Final = (0.5, 0.5, 0.5)
WINDOW: Final = (1.0, 99.0)  # percentiles of the three planes that become 0 and 1


class CmrAcdc:
    """The patients of an ACDC tree: ``**/patientNNN/Info.cfg`` with ``patientNNN_4d.nii.gz`` beside it.

    The record is the patient (``patient001``), the label its group's place in ``class_names`` (by default alphabetical:
    DCM, HCM, MINF, NOR, RV). The input holds the middle z-slice at end-diastole, half way, and end-systole as three
    channels; the record's 1st and 99th percentile become 0 and 1, then ``mean`` and ``std`` apply. The mask is the
    heart in the end-diastolic segmentation (any label above 0), where the copy has one; the box is drawn around it.

    Nothing is reoriented: the picture is the stored slice, its columns the first stored axis and its rows the second,
    so that maps land on the stored voxels; the anatomical axes are noted. ``testing/`` is the split ``test``,
    ``training/`` is divided into train and val by the first two of ``split_ratio``, a tree without both by all three:
    within each group, by ``seed`` and patient id.

    Needs nibabel (``seewhy[medical]``). Raises ``DataError`` SW-D01, SW-D02, SW-D11 for settings, and what
    :func:`seewhy.data.acdc_tree.find_patients` raises.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        size: int | Sequence[int] = 224,
        *,
        mean: Sequence[float] = HALF,
        std: Sequence[float] = HALF,
        crop: str = "center",
        crop_ratio: float = 1.0,
        class_names: Sequence[str] | None = None,
        split_ratio: Sequence[float] = (0.7, 0.15, 0.15),
        seed: int = 0,
    ) -> None:
        self.preprocessing = Preprocessing.checked(size, mean, std, crop=crop, crop_ratio=crop_ratio)
        if len(self.preprocessing.normalisation.mean) != 3:
            raise DataError("SW-D01", "cmr_acdc has 3 channels (ED, mid, ES)", fix="give three values in mean and std")
        groups = group_order(class_names)
        ratio, seed = check_split_ratio(split_ratio), check_seed(seed)
        self.class_names: Sequence[str] | None = groups
        self._patients = find_patients(check_directory("root", root))
        splits = _splits(self._patients, ratio, seed)
        self._index = [
            RecordRef(
                patient.patient_id,
                splits[patient.patient_id],
                None if patient.group is None else groups.index(patient.group),
            )
            for patient in self._patients
        ]

    def index(self) -> Sequence[RecordRef]:
        """Every patient, sorted by id."""
        return self._index

    def read(self, position: int) -> Record:
        """The three planes of one patient, with mask and box on the input.

        Raises ``DataError``: SW-D05 a file is absent, SW-D21 to SW-D24 it is damaged, has other axes, NaN voxels, or
        frames and shapes that disagree with ``Info.cfg`` or one another.
        """
        patient, ref = self._patients[position], self._index[position]
        cine = open_nifti(patient.cine(), dimensions=4)
        _check_frames(patient, cine)
        z = cine.shape[2] // 2
        planes = cine.planes(z, [frame - 1 for frame in (patient.ed, patient.middle, patient.es)])
        unit, window = _to_window(planes)
        geometry = self.preprocessing.geometry((planes.shape[1], planes.shape[2]))
        pixels = torch.cat([to_unit(resample(Image.fromarray(plane), geometry)) for plane in unit])
        original = _heart(patient, cine, z)
        mask = None if original is None else mask_to_input(original, geometry)
        return Record(
            record_id=ref.record_id,
            split=ref.split,
            inputs={"image": self.preprocessing.normalisation.apply(pixels)},
            label=ref.label,
            geometry=geometry,
            box=None if mask is None else box_of(mask),
            mask=mask,
            revision=self.revision(position),
            notes=(
                f"slice {z + 1} of {cine.shape[2]}, frames {patient.ed}, {patient.middle}, {patient.es}",
                f"stored axes {cine.axes}, not reoriented",
                window,
            ),
        )

    def revision(self, position: int) -> str:
        """Digests of the cine, of ``Info.cfg`` and of the segmentation, joined."""
        patient = self._patients[position]
        gt = patient.ed_mask()
        files = [patient.cine(), patient.folder / "Info.cfg", *([gt] if gt else [])]
        return "-".join(revision(file) for file in files)

    def picture(self, inputs: Mapping[str, Tensor]) -> UInt8[np.ndarray, "h w 3"]:
        """The end-diastolic plane as a gray picture."""
        return to_rgb8(self.preprocessing.normalisation.undo(inputs["image"].detach().float())[:1])

    def fingerprint(self) -> Mapping[str, Json]:
        """What decides pixel values."""
        return {"data": "cmr_acdc", "window": list(WINDOW), **self.preprocessing.fingerprint()}


def _splits(patients: Sequence[Patient], ratio: Sequence[float], seed: int) -> dict[str, str]:
    published = {p.patient_id: p.group for p in patients if p.part == "train"}
    loose = {p.patient_id: p.group for p in patients if p.part is None}
    fitting = ratio[0] + ratio[1]
    two = [ratio[0] / fitting, ratio[1] / fitting] if fitting else [1.0, 0.0]
    return {
        **{p.patient_id: "test" for p in patients if p.part == "test"},
        **stratified_splits(published, two, seed, ("train", "val")),
        **stratified_splits(loose, ratio, seed),
    }


def _check_frames(patient: Patient, cine: NiftiFile) -> None:
    frames = cine.shape[3]
    if patient.frames not in (None, frames):
        raise DataError(
            "SW-D24",
            f"{cine.path.name} has {frames} frames, Info.cfg says NbFrame: {patient.frames}",
            fix="use the cine file and the Info.cfg of the same patient",
        )
    if max(patient.ed, patient.es) > frames:
        raise DataError(
            "SW-D24",
            f"{cine.path.name} has {frames} frames, Info.cfg says ED: {patient.ed} and ES: {patient.es} (from 1)",
            fix="use the cine file and the Info.cfg of the same patient",
        )


def _heart(patient: Patient, cine: NiftiFile, z: int) -> Bool[np.ndarray, "y x"] | None:
    path = patient.ed_mask()
    if path is None:
        return None
    volume = open_nifti(path, dimensions=3)
    if volume.shape != cine.shape[:3] or volume.axes != cine.axes:
        raise DataError(
            "SW-D24",
            f"{path.name} has shape {volume.shape} and axes {volume.axes}, the cine {cine.shape[:3]} and {cine.axes}",
            fix="use the segmentation that belongs to this cine file",
        )
    heart: NDArray[np.bool_] = volume.planes(z, [0])[0] > 0
    return heart


def _to_window(planes: Float32[np.ndarray, "f y x"]) -> tuple[Float32[np.ndarray, "f y x"], str]:
    low, high = (float(value) for value in np.percentile(planes, WINDOW))
    if high <= low:
        return np.zeros_like(planes), f"flat: nearly every voxel is {low:g}"
    unit: NDArray[np.float32] = ((planes - low) / (high - low)).clip(0, 1).astype(np.float32)
    return unit, f"intensities {low:g} to {high:g} (1st and 99th percentile) became 0 to 1"
