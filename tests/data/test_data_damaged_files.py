"""Files of every kind with bytes changed at random: a volume, a clip, or an error that names a code."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from seewhy.data.clips import Clip, read_clip
from seewhy.data.volumes import Volume, read_volume
from seewhy.values import SeewhyError

COPIES = 150
VALUES = np.random.default_rng(0).integers(0, 256, (4, 16, 18), np.uint8)


def nifti(path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(VALUES, np.diag([1.0, 2, 3, 1])), path)


def dicom(path: Path) -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    file = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    file.Rows, file.Columns, file.SamplesPerPixel = 16, 18, 1
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 8, 8, 7, 0
    file.PhotometricInterpretation = "MONOCHROME2"
    file.ImagePositionPatient, file.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    file.PixelSpacing, file.RescaleSlope, file.RescaleIntercept = [1, 1], 1, 0
    file.PixelData = VALUES[0].tobytes()
    file["PixelData"].VR = "OB"
    file.save_as(path, enforce_file_format=True)


def pages(path: Path) -> None:
    first, *others = [Image.fromarray(page) for page in VALUES]
    first.save(path, save_all=True, append_images=others)


def video(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = 16, 18, "yuv420p"
        for page in VALUES:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(page, format="gray8")))
        container.mux(stream.encode())


def damaged(path: Path) -> Iterator[int]:
    """Writes copy after copy over the file: a few bytes changed, mostly near the beginning, a fifth of them cut."""
    draw, content = random.Random(0), path.read_bytes()
    for copy in range(COPIES):
        changed = bytearray(content)
        reach = min(len(content), draw.choice((64, 400, 1500, len(content))))
        for _ in range(draw.choice((1, 2, 5))):
            changed[draw.randrange(reach)] = draw.choice((0, 1, 127, 128, 255, draw.randrange(256)))
        path.write_bytes(bytes(changed[: draw.randrange(len(changed))] if draw.random() < 0.2 else changed))
        yield copy


@pytest.mark.parametrize(
    ("name", "write", "read"),
    [
        ("v.nii", nifti, read_volume),
        ("v.nii.gz", nifti, read_volume),
        ("v.dcm", dicom, read_volume),
        ("v.tif", pages, read_volume),
        ("v.tif", pages, read_clip),
        ("v.gif", pages, read_clip),
        ("v.mp4", video, read_clip),
        ("v.mkv", video, read_clip),
    ],
)
def test_random_damage_is_read_or_refused_by_code(
    tmp_path: Path, name: str, write: Callable[[Path], None], read: Callable[..., Volume | Clip]
) -> None:
    path = tmp_path / name
    write(path)
    codes = []
    for _ in damaged(path):
        try:
            read(path, max_bytes=10**7)
        except SeewhyError as error:
            codes.append(error.code)
    assert 0 < len(codes) < COPIES
    assert {code[:4] for code in codes} == {"SW-D"}
