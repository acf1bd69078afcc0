"""DICOM series written by pydicom: order, place and values from the tags, and folders that are not one volume."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEGLosslessSV1,
    MediaStorageDirectoryStorage,
    RLELossless,
)

from seewhy.data.dicom import read_dicom
from seewhy.data.volumes import Volume, read_volume, to_source
from seewhy.values import MissingExtraError, SeewhyError

ROWS, COLUMNS = 4, 5
AXIAL = (1, 0, 0, 0, 1, 0)
SAGITTAL = (0, 1, 0, 0, 0, -1)
UID = "1.2.826.0.1.3680043.8.498."


def slice_values(number: int) -> np.ndarray:
    return (100 * number + np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)).astype(np.uint16)


def dataset(values: np.ndarray, position: Sequence[float] | None = (0, 0, 0), **tags: Any) -> FileDataset:
    """A CT slice with 2 mm between rows and 3 mm between columns; a tag given as None is left out."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = tags.pop("syntax", ExplicitVRLittleEndian)
    meta.MediaStorageSOPClassUID = tags.pop("storage", "1.2.840.10008.5.1.4.1.1.2")
    meta.MediaStorageSOPInstanceUID = UID + "9"
    ds = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    colour = values.shape[-1] == 3
    frames = values.ndim - 2 - colour
    fields = {
        "SOPClassUID": meta.MediaStorageSOPClassUID,
        "SOPInstanceUID": UID + "9",
        "SeriesInstanceUID": UID + "1",
        "SeriesDescription": "CHEST",
        "ImagePositionPatient": None if position is None else list(position),
        "ImageOrientationPatient": None if position is None else list(AXIAL),
        "PixelSpacing": [2, 3],
        "SliceThickness": 4,
        "RescaleSlope": 2,
        "RescaleIntercept": -1000,
        "Rows": values.shape[frames],
        "Columns": values.shape[frames + 1],
        "SamplesPerPixel": 3 if colour else 1,
        "NumberOfFrames": values.shape[0] if frames else None,
        "PlanarConfiguration": 0 if colour else None,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "BitsAllocated": values.itemsize * 8,
        "BitsStored": values.itemsize * 8,
        "HighBit": values.itemsize * 8 - 1,
        "PixelRepresentation": int(values.dtype.kind == "i"),
        "PixelData": values.tobytes(),
        **tags,
    }
    for name, value in fields.items():
        if value is not None:
            setattr(ds, name, value)
    if "PixelData" in ds and not meta.TransferSyntaxUID.is_encapsulated:
        ds["PixelData"].VR = "OW" if values.itemsize > 1 else "OB"
    return ds


def write(path: Path, values: np.ndarray, position: Sequence[float] | None = (0, 0, 0), **tags: Any) -> Path:
    dataset(values, position, **tags).save_as(path, enforce_file_format=True)
    return path


def write_series(folder: Path, heights: Sequence[float], **tags: Any) -> Path:
    """A file per height, in this order of names: slice ``n`` is ``n.dcm`` and holds ``slice_values(n)``."""
    folder.mkdir(exist_ok=True)
    for number, height in enumerate(heights):
        write(folder / f"{number}.dcm", slice_values(number), (10, 20, height), InstanceNumber=number + 1, **tags)
    return folder


def refusal(path: Path, **settings: Any) -> SeewhyError:
    with pytest.raises(SeewhyError) as caught:
        read_volume(path, **settings)
    return caught.value


def value_at(volume: Volume, ras: Sequence[float]) -> float:
    """The voxel at a world coordinate."""
    index = np.linalg.solve(volume.affine, [*ras, 1])[:3]
    place = np.round(index).astype(int)
    np.testing.assert_allclose(index, place, atol=1e-6)
    return float(volume.values[tuple(place)])


def test_slices_are_sorted_by_position_not_by_name_or_number(tmp_path: Path) -> None:
    volume = read_volume(write_series(tmp_path, [8, 0, 12, 4]))
    expected = np.stack([slice_values(number) for number in (1, 3, 0, 2)]) * 2.0 - 1000
    assert np.array_equal(volume.values, expected)  # axial slices as stored already run S, P, L
    assert (volume.orientation, volume.axes, volume.spacing) == ("SPL", "SPL", (4.0, 2.0, 3.0))


@pytest.mark.parametrize("directions", [AXIAL, SAGITTAL, (-1, 0, 0, 0, 0, -1), (0, -1, 0, -1, 0, 0)], ids=str)
@pytest.mark.parametrize("axes", ["SPL", "RAS", None])
def test_every_pixel_lies_where_the_standards_equation_puts_it(
    tmp_path: Path, directions: tuple[int, ...], axes: str | None
) -> None:
    """DICOM PS3.3 C.7.6.2.1.1: position + row direction · column spacing · column + the same for rows; LPS to RAS."""
    along_row, along_column = np.array(directions[:3]), np.array(directions[3:])
    normal = np.cross(along_row, along_column)
    origin = np.array([10, 20, 30])
    for number in range(3):
        place = (origin + 4 * (2 - number) * normal).tolist()
        write(tmp_path / f"{number}.dcm", slice_values(number), place, ImageOrientationPatient=list(directions))
    volume = read_volume(tmp_path, axes=axes)
    for number, row, column in [(0, 0, 0), (1, 3, 4), (2, 1, 2)]:
        lps = origin + 4 * (2 - number) * normal + along_row * 3 * column + along_column * 2 * row
        assert value_at(volume, lps * [-1, -1, 1]) == float(slice_values(number)[row, column]) * 2 - 1000


def test_a_map_goes_back_to_slices_rows_and_columns(tmp_path: Path) -> None:
    for number in range(3):
        place = [4 * number, 0, 0]
        write(tmp_path / f"{number}.dcm", slice_values(number), place, ImageOrientationPatient=list(SAGITTAL))
    volume = read_volume(tmp_path)
    assert volume.orientation == "RIP"
    stored, _ = to_source(volume, volume.values)
    by_normal = [slice_values(number) * 2.0 - 1000 for number in (2, 1, 0)]  # the normal of these slices points right
    assert np.array_equal(stored, np.stack(by_normal))


def test_a_tilted_gantry_shears_the_affine(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"{number}.dcm", slice_values(number), (0, 1.5 * number, 4 * number))
    volume = read_volume(tmp_path, axes=None)
    np.testing.assert_allclose(volume.affine[:3, 0], (0, -1.5, 4), atol=1e-12)
    assert not any("line" in note or "gap" in note for note in volume.notes)


def test_missing_rescale_tags_are_noted(tmp_path: Path) -> None:
    volume = read_volume(write(tmp_path / "a.dcm", slice_values(1), RescaleSlope=None, RescaleIntercept=None))
    assert np.array_equal(volume.values[0], slice_values(1))
    assert {"no RescaleSlope: taken as 1", "no RescaleIntercept: taken as 0"} <= set(volume.notes)


def test_a_modality_table_stands_for_slope_and_intercept(tmp_path: Path) -> None:
    table = Dataset()
    table.LUTDescriptor = [4, 0, 16]
    table.ModalityLUTType = "US"
    table.LUTData = np.array([7, 50, 300, 9], "<u2").tobytes()
    stored = np.arange(20, dtype=np.uint16).reshape(ROWS, COLUMNS)
    path = write(tmp_path / "a.dcm", stored, RescaleSlope=None, RescaleIntercept=None, ModalityLUTSequence=[table])
    assert np.array_equal(read_volume(path).values[0], np.array([7, 50, 300, 9])[stored.clip(0, 3)])


@pytest.mark.parametrize(("kind", "total"), [(np.uint16, 4095), (np.int16, -1)])
def test_monochrome_1_is_inverted_within_the_stored_range(tmp_path: Path, kind: type, total: int) -> None:
    stored = slice_values(2).astype(kind)
    path = write(
        tmp_path / "a.dcm", stored, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11, RescaleSlope=1
    )
    volume = read_volume(path)
    assert np.array_equal(volume.values[0], (total - stored.astype(int)) - 1000)
    assert "MONOCHROME1 inverted: more is brighter" in volume.notes


def test_rgb_slices_are_three_channels(tmp_path: Path) -> None:
    pixels = np.arange(ROWS * COLUMNS * 3, dtype=np.uint8).reshape(ROWS, COLUMNS, 3)
    volume = read_volume(write(tmp_path / "a.dcm", pixels, RescaleSlope=None, RescaleIntercept=None))
    assert np.array_equal(volume.values[:, 0], pixels.transpose(2, 0, 1))


def enhanced(path: Path, heights: Sequence[float], slopes: Sequence[float]) -> Path:
    """A multi-frame file whose places and slopes are in functional groups."""
    frames = np.stack([slice_values(number) for number in range(len(heights))])
    ds = dataset(frames, None, PixelSpacing=None, SliceThickness=None, RescaleSlope=None, RescaleIntercept=None)
    shared, measures, turn = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness, turn.ImageOrientationPatient = [2, 3], 4, list(AXIAL)
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [turn]
    ds.SharedFunctionalGroupsSequence = [shared]
    groups = []
    for height, slope in zip(heights, slopes, strict=True):
        group, place, rescale = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = [0, 0, height]
        rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = slope, 1, "US"
        group.PlanePositionSequence, group.PixelValueTransformationSequence = [place], [rescale]
        groups.append(group)
    ds.PerFrameFunctionalGroupsSequence = groups
    ds.save_as(path, enforce_file_format=True)
    return path


def test_frames_of_an_enhanced_file_have_places_and_slopes_of_their_own(tmp_path: Path) -> None:
    volume = read_volume(enhanced(tmp_path / "a.dcm", [4, 0, 8], [2, 3, 5]))
    expected = [slice_values(1) * 3.0 + 1, slice_values(0) * 2.0 + 1, slice_values(2) * 5.0 + 1]
    assert np.array_equal(volume.values, np.stack(expected))
    assert volume.spacing == (4.0, 2.0, 3.0)


def test_two_frames_at_one_place_are_named(tmp_path: Path) -> None:
    error = refusal(enhanced(tmp_path / "a.dcm", [0, 4, 4], [1, 1, 1]))
    assert error.code == "SW-D70"
    assert {"a.dcm frame 2", "a.dcm frame 3"} <= {part.strip() for part in error.message.split(" lie")[0].split(" and")}


def test_frames_without_places_keep_the_order_of_the_file(tmp_path: Path) -> None:
    frames = np.stack([slice_values(number) for number in (2, 0, 1)])
    volume = read_volume(write(tmp_path / "a.dcm", frames, None))
    assert np.array_equal(volume.values, frames * 2.0 - 1000)
    assert (volume.orientation, volume.spacing) == ("", (4.0, 2.0, 3.0))
    assert "no positions: 3 frames in the order of the file" in volume.notes


def test_a_missing_slice_is_noted_and_the_spacing_stays(tmp_path: Path) -> None:
    volume = read_volume(write_series(tmp_path, [0, 4, 8, 16, 20]))
    assert volume.spacing[0] == pytest.approx(4)
    assert any(note.startswith("gap of 8 mm between 2.dcm and 3.dcm where slices are 4 mm") for note in volume.notes)


def test_uneven_and_bent_stacks_are_noted(tmp_path: Path) -> None:
    notes = read_volume(write_series(tmp_path / "uneven", [0, 4, 8.4, 12])).notes
    assert any(note.startswith("uneven slices: 3.6 to 4.4 mm apart; the affine uses 4 mm") for note in notes)
    for number, aside in enumerate((0, 2, 0)):
        write(tmp_path / f"{number}.dcm", slice_values(number), (aside, 0, 4 * number))
    assert any("up to 2 mm beside" in note for note in read_volume(tmp_path).notes)


def test_two_slices_at_one_place_are_both_named(tmp_path: Path) -> None:
    error = refusal(write_series(tmp_path, [0, 8, 4, 8]))
    assert (error.code, "1.dcm and 3.dcm" in error.message) == ("SW-D70", True)


def test_series_in_one_folder_are_listed(tmp_path: Path) -> None:
    write_series(tmp_path, [0, 4])
    write(tmp_path / "x.dcm", slice_values(0), SeriesInstanceUID=UID + "2", SeriesDescription="SCOUT")
    error = refusal(tmp_path)
    assert error.code == "SW-D67"
    assert f"{UID}1 'CHEST': 0.dcm, 1.dcm; {UID}2 'SCOUT': x.dcm" in error.message


def test_sizes_in_one_series_are_listed(tmp_path: Path) -> None:
    write_series(tmp_path, [0, 4])
    write(tmp_path / "x.dcm", np.zeros((6, 7), np.uint16), (0, 0, 8))
    error = refusal(tmp_path)
    assert (error.code, "4 × 5" in error.message, "6 × 7" in error.message) == ("SW-D68", True, True)
    assert "0.dcm, 1.dcm" in error.message
    assert "x.dcm" in error.message


def test_slices_that_are_not_parallel_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path, [0, 4])
    write(tmp_path / "x.dcm", slice_values(0), (0, 0, 8), ImageOrientationPatient=list(SAGITTAL))
    assert refusal(tmp_path).code == "SW-D68"


def test_slices_without_positions_have_no_order(tmp_path: Path) -> None:
    write_series(tmp_path, [0, 4], ImagePositionPatient=None)
    error = refusal(tmp_path)
    assert (error.code, "0.dcm" in error.message) == ("SW-D69", True)


@pytest.mark.parametrize("directions", [[1, 0, 0, 1, 0, 0], [2, 0, 0, 0, 1, 0], [0] * 6, [1, 0, 0]], ids=str)
def test_directions_that_are_none_are_refused(tmp_path: Path, directions: list[float]) -> None:
    assert refusal(write(tmp_path / "a.dcm", slice_values(0), ImageOrientationPatient=directions)).code == "SW-D69"


def test_missing_pixel_spacing_is_noted(tmp_path: Path) -> None:
    volume = read_volume(write(tmp_path / "a.dcm", slice_values(0), PixelSpacing=None))
    assert (volume.spacing, "no PixelSpacing: 1 mm assumed" in volume.notes) == ((4.0, 1.0, 1.0), True)


def test_a_dicomdir_is_never_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.dcm"
    write(secret, slice_values(0))
    folder = write_series(tmp_path / "disc", [0, 4])
    directory = dataset(slice_values(0), storage=MediaStorageDirectoryStorage)
    directory.add(DataElement("ReferencedFileID", "CS", ["..", "secret.dcm"], validation_mode=IGNORE))
    directory.save_as(folder / "DICOMDIR", enforce_file_format=True)
    volume = read_volume(folder)
    assert volume.shape == (2, ROWS, COLUMNS)
    assert "1 files without a DICOM picture left aside" in volume.notes
    assert refusal(folder / "DICOMDIR").code == "SW-D66"


def test_reports_and_other_files_are_left_aside(tmp_path: Path) -> None:
    write_series(tmp_path, [0, 4])
    write(tmp_path / "report.dcm", slice_values(0), Rows=None, Columns=None, PixelData=None)
    (tmp_path / "readme.txt").write_text("hello")
    (tmp_path / "inner").mkdir()
    assert "2 files without a DICOM picture left aside" in read_volume(tmp_path).notes
    assert refusal(tmp_path / "inner").code == "SW-D66"


def test_rle_is_decoded(tmp_path: Path) -> None:
    ds = dataset(slice_values(3))
    ds.compress(RLELossless)
    ds.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert np.array_equal(read_volume(tmp_path / "a.dcm").values[0], slice_values(3) * 2.0 - 1000)


def test_a_codec_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pydicom.pixels import get_decoder

    decoder = get_decoder(JPEGLosslessSV1)
    monkeypatch.setattr(decoder, "_available", {})
    content = encapsulate([b"\xff\xd8\xff\xd9"])
    path = write(tmp_path / "a.dcm", slice_values(0), syntax=JPEGLosslessSV1, PixelData=content)
    error = refusal(path)
    assert (error.code, "JPEG Lossless" in error.message, "pylibjpeg" in error.fix) == ("SW-D71", True, True)


def test_an_unknown_transfer_syntax_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", slice_values(0))
    content = path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.9.9\0", 1)
    path.write_bytes(content)
    assert refusal(path).code == "SW-D71"


@pytest.mark.parametrize("keep", [140, 300, 700])
def test_a_cut_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = write(tmp_path / "a.dcm", np.zeros((64, 64), np.uint16))
    path.write_bytes(path.read_bytes()[:keep])
    assert refusal(path).code in {"SW-D65", "SW-D66", "SW-D72"}


def test_pixels_that_do_not_come_with_their_header_are_refused(tmp_path: Path) -> None:
    huge = write(tmp_path / "a.dcm", slice_values(0), Rows=60000, Columns=60000)
    assert refusal(huge).code == "SW-D65"
    padded = write(tmp_path / "b.dcm", slice_values(0), PixelData=bytes(8), ImageComments="x" * 100)
    assert refusal(padded).code == "SW-D72"


def test_a_compressed_picture_is_limited_by_what_it_claims(tmp_path: Path) -> None:
    ds = dataset(slice_values(0))
    ds.compress(RLELossless)
    ds.Rows = ds.Columns = 60000
    ds.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert refusal(tmp_path / "a.dcm").code == "SW-D64"


def test_a_deflated_bomb_is_refused_before_it_inflates(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.dcm", np.zeros((1000, 1000), np.uint16), syntax=DeflatedExplicitVRLittleEndian, BitsStored=12
    )
    assert read_volume(path).shape == (1, 1000, 1000)
    error = refusal(path, max_bytes=path.stat().st_size * 1000)
    assert (error.code, "deflated" in error.message) == ("SW-D64", True)


def test_palettes_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", slice_values(0), PhotometricInterpretation="PALETTE COLOR")
    assert refusal(path).code == "SW-D73"


def test_a_slope_of_zero_is_damage(tmp_path: Path) -> None:
    error = refusal(write(tmp_path / "a.dcm", slice_values(0), RescaleSlope=0))
    assert (error.code, "RescaleSlope is 0" in error.message) == ("SW-D72", True)


def test_the_revision_follows_content_not_names(tmp_path: Path) -> None:
    first = read_volume(write_series(tmp_path / "a", [0, 4])).revision
    other = write_series(tmp_path / "b", [0, 4])
    (other / "0.dcm").rename(other / "z.dcm")
    assert read_volume(other).revision == first
    write(other / "1.dcm", slice_values(7), (10, 20, 4))
    assert read_volume(other).revision != first


def test_without_pydicom_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.dcm", slice_values(0))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    monkeypatch.setitem(sys.modules, "pydicom.filereader", None)
    with pytest.raises(MissingExtraError) as caught:
        read_dicom(path)
    assert caught.value.fix == "pip install 'seewhy[medical]'"


def test_pydicoms_complaints_become_notes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", slice_values(0))
    path.write_bytes(path.read_bytes().replace(f"{UID}1".encode(), f"{UID}x".encode()))
    volume = read_volume(path)
    assert volume.shape == (1, ROWS, COLUMNS)
    assert any(note.startswith("pydicom: Invalid value for VR UI") for note in volume.notes)
