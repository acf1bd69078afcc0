"""Nothing that a medical file says of a person, and no place of a machine, gets into a run's pages or shards."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pydicom
import torch
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from torch import nn

import seewhy
from seewhy.data.volume_folder import VolumeFolder

NAME, NUMBER, STREET = "Lovelace^Ada", "MRN-18151210", "12 St James Square"


class Mean(nn.Module):
    """Logits that follow from a convolution's mean over the volume."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc = nn.Conv3d(1, 2, 1), nn.Linear(2, 2)

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        return self.fc(self.conv(volume).mean(dim=(2, 3, 4)))


def write_nifti(path: Path) -> None:
    path.parent.mkdir(parents=True)
    image = nibabel.Nifti1Image(np.random.default_rng(0).normal(size=(5, 6, 7)).astype(np.float32), np.eye(4))
    image.header["descrip"], image.header["aux_file"] = NAME.encode(), NUMBER.encode()
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", STREET.encode()))
    nibabel.save(image, path)


def write_dicom(folder: Path, slices: int = 4) -> None:
    folder.mkdir(parents=True)
    series, frame = generate_uid(entropy_srcs=["series"]), generate_uid(entropy_srcs=["frame"])
    for number in range(slices):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[f"slice {number}"])
        scan = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        scan.SOPClassUID, scan.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        scan.SeriesInstanceUID, scan.FrameOfReferenceUID, scan.Modality = series, frame, "CT"
        scan.PatientName, scan.PatientID, scan.PatientAddress = NAME, NUMBER, STREET
        scan.InstanceNumber, scan.Rows, scan.Columns = number + 1, 6, 7
        scan.ImagePositionPatient, scan.ImageOrientationPatient = [0, 0, number], [1, 0, 0, 0, 1, 0]
        scan.PixelSpacing, scan.SliceThickness = [1, 1], 1
        scan.SamplesPerPixel, scan.PhotometricInterpretation = 1, "MONOCHROME2"
        scan.BitsAllocated, scan.BitsStored, scan.HighBit, scan.PixelRepresentation = 16, 16, 15, 0
        scan.RescaleSlope, scan.RescaleIntercept = 1, 0
        scan.PixelData = np.random.default_rng(number).integers(0, 500, (6, 7), dtype=np.uint16).tobytes()
        pydicom.dcmwrite(folder / f"{number}.dcm", scan, enforce_file_format=True)


def test_headers_and_places_of_medical_files_are_in_no_file_of_a_run(tmp_path: Path) -> None:
    root = tmp_path / "secret_ward"
    write_nifti(root / "test" / "ill" / "one.nii")
    write_dicom(root / "test" / "well" / "two")
    (root / "test" / "ill" / "torn.nii").write_bytes(b"no volume")
    run = tmp_path / "run"
    summary = seewhy.run(
        Mean(), VolumeFolder(root), run, command=["generate_artifacts", f"data.root={root}"], generate_attention=False
    )
    assert {failure.record_id for failure in summary.failures} == {"test/ill/torn"}
    assert {row.record_id for row in seewhy.RunReader(run).rows("test")} >= {"test/ill/one", "test/well/two"}
    page = (run / "report" / "index.html").read_text("utf-8")
    assert "torn" in page
    for told in (NAME, NUMBER, STREET, str(root), str(tmp_path)):
        assert told not in page, told
    for path in run.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        assert not any(told.encode() in data for told in (NAME, NUMBER, STREET)), path
