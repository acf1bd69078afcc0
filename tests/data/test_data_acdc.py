"""ACDC trees written as real NIfTI files: what is read from where, and lies in headers that are refused."""

from __future__ import annotations

import gzip
import pickle
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from acdc_samples import SHAPE, cine, heart, write_nifti, write_patient
from seewhy.data.acdc_tree import parse_info
from seewhy.data.cmr_acdc import CmrAcdc
from seewhy.values import DataError, Geometry, MissingExtraError

PLAIN: dict[str, Any] = {"mean": [0] * 3, "std": [1] * 3}
WIDTH, HEIGHT = SHAPE[:2]  # the first stored axis runs rightwards


def stored_size(root: Path, **settings: Any) -> CmrAcdc:
    """The data set without any resizing, so that pixels are voxels."""
    return CmrAcdc(root, size=(HEIGHT, WIDTH), crop="none", **PLAIN, **settings)


def refusal(root: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        CmrAcdc(root)
    return caught.value


def refused_record(root: Path) -> DataError:
    dataset = CmrAcdc(root)
    with pytest.raises(DataError) as caught:
        dataset.read(0)
    return caught.value


def test_channels_are_the_middle_slice_at_ed_half_way_and_es(tmp_path: Path) -> None:
    write_patient(tmp_path / "training" / "patient001", ed=2, es=6)
    image = stored_size(tmp_path).read(0).inputs["image"]
    voxels = cine()[:, :, SHAPE[2] // 2, [1, 3, 5]].astype(np.float64)  # frames 2, 4 and 6 counted from 1
    low, high = np.percentile(voxels, (1, 99))
    expected = ((voxels - low) / (high - low)).clip(0, 1).transpose(2, 1, 0)
    assert torch.allclose(image.double(), torch.from_numpy(expected), atol=1e-5)


def test_mask_box_and_geometry_land_on_the_stored_slice(tmp_path: Path) -> None:
    write_patient(tmp_path / "patient001")
    record = stored_size(tmp_path).read(0)
    assert record.geometry == Geometry.identity((HEIGHT, WIDTH))
    assert record.mask is not None
    assert np.array_equal(record.mask, (heart()[:, :, 2] > 0).T)
    assert record.box == (14.0, 3.0, 20.0, 9.0)  # x 14..19 and y 3..8 as stored


def test_resizing_moves_picture_mask_and_box_together(tmp_path: Path) -> None:
    write_patient(tmp_path / "patient001")
    record = CmrAcdc(tmp_path, size=40).read(0)  # 20 high and 24 wide, doubled, four columns cut on each side
    assert record.geometry == Geometry((20, 24), (40, 40), (2.0, 2.0), (0.0, 4.0))
    assert record.box == (24.0, 6.0, 36.0, 18.0)


def test_notes_say_which_voxels_were_used(tmp_path: Path) -> None:
    write_patient(tmp_path / "patient001", ed=1, es=4)
    notes = CmrAcdc(tmp_path).read(0).notes
    assert notes[:2] == ("slice 3 of 5, frames 1, 2, 4", "stored axes LPS, not reoriented")


def test_the_picture_is_the_ed_channel_in_gray(tmp_path: Path) -> None:
    write_patient(tmp_path / "patient001")
    dataset = CmrAcdc(tmp_path, size=(HEIGHT, WIDTH), crop="none", mean=[0.1, 0.2, 0.3], std=[0.5, 0.6, 0.7])
    inputs = dataset.read(0).inputs
    picture = dataset.picture(inputs)
    ed = (inputs["image"][0] * 0.5 + 0.1).clamp(0, 1).numpy()
    assert np.abs(picture / 255 - ed[..., None]).max() <= 0.5 / 255 + 1e-6


def test_headers_scale_and_offset_apply(tmp_path: Path) -> None:
    folder = write_patient(tmp_path / "patient001")
    plain = stored_size(tmp_path).read(0)
    write_nifti(folder / "patient001_4d.nii.gz", cine().astype(np.float64) * 0.5 - 7)
    scaled = stored_size(tmp_path).read(0)
    assert torch.allclose(plain.inputs["image"], scaled.inputs["image"], atol=1e-4)
    assert plain.notes[2] != scaled.notes[2]


def test_labels_follow_the_groups_and_arv_means_rv(tmp_path: Path) -> None:
    for number, group in enumerate(("NOR", "MINF", "DCM", "HCM", "RV", "ARV"), start=1):
        write_patient(tmp_path / f"patient{number:03d}", Group=group)
    assert [ref.label for ref in CmrAcdc(tmp_path).index()] == [3, 2, 0, 1, 4, 4]
    own = CmrAcdc(tmp_path, class_names=["NOR", "MINF", "DCM", "HCM", "ARV"])
    assert [ref.label for ref in own.index()] == [0, 1, 2, 3, 4, 4]
    assert own.class_names == ["NOR", "MINF", "DCM", "HCM", "RV"]


def test_a_patient_without_group_or_mask_is_read_without_them(tmp_path: Path) -> None:
    write_patient(tmp_path / "patient001", Group=None, with_mask=False)
    dataset = CmrAcdc(tmp_path)
    record = dataset.read(0)
    assert (record.label, record.mask, record.box) == (None, None, None)


def test_training_is_divided_within_each_group_and_testing_is_test(tmp_path: Path) -> None:
    for number in range(1, 11):
        folder = tmp_path / "training" / f"patient{number:03d}"
        folder.mkdir(parents=True)
        (folder / "Info.cfg").write_text(f"ED: 1\nES: 4\nGroup: {'NOR' if number % 2 else 'RV'}\n")
    folder = tmp_path / "testing" / "patient101"
    folder.mkdir(parents=True)
    (folder / "Info.cfg").write_text("ED: 1\nES: 4\n")
    refs = CmrAcdc(tmp_path, split_ratio=(0.6, 0.4, 0)).index()
    counts = Counter((ref.split, ref.label) for ref in refs)
    assert counts == {("train", 3): 3, ("val", 3): 2, ("train", 4): 3, ("val", 4): 2, ("test", None): 1}


def test_the_training_folder_itself_may_be_the_root(tmp_path: Path) -> None:
    for number in range(10):
        folder = tmp_path / "training" / f"patient{number:03d}"
        folder.mkdir(parents=True)
        (folder / "Info.cfg").write_text("ED: 1\nES: 4\n")
    inside = {ref.record_id: ref.split for ref in CmrAcdc(tmp_path / "training").index()}
    assert inside == {ref.record_id: ref.split for ref in CmrAcdc(tmp_path).index()}
    assert set(inside.values()) == {"train", "val"}


def test_uncompressed_copies_are_read(tmp_path: Path) -> None:
    folder = write_patient(tmp_path / "patient001")
    before = stored_size(tmp_path).read(0)
    for path in list(folder.glob("*.nii.gz")):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    after = stored_size(tmp_path).read(0)
    assert after.inputs["image"].equal(before.inputs["image"])
    assert after.box == before.box


def test_info_is_key_colon_value() -> None:
    assert parse_info("ED: 1\r\nES : 12\nnonsense\nGroup: DCM\n") == {"ED": "1", "ES": "12", "Group": "DCM"}


@pytest.mark.parametrize("info", [{"ED": None}, {"ED": 0}, {"ES": "x"}, {"Group": "XYZ"}], ids=str)
def test_an_info_that_says_nonsense_is_refused(tmp_path: Path, info: dict[str, Any]) -> None:
    write_patient(tmp_path / "patient001")
    fields = {"ED": 1, "ES": 4, "Group": "NOR", **info}
    text = "\n".join(f"{key}: {value}" for key, value in fields.items() if value is not None)
    (tmp_path / "patient001" / "Info.cfg").write_text(text)
    error = refusal(tmp_path)
    assert error.code == "SW-D20"
    assert next(iter(info)).replace("Group", "group") in error.message


def test_an_empty_tree_and_a_patient_twice_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path).code == "SW-D03"
    write_patient(tmp_path / "training" / "patient001")
    write_patient(tmp_path / "copy" / "patient001")
    assert refusal(tmp_path).code == "SW-D04"


@pytest.mark.parametrize("info", [{"NbFrame": 30}, {"es": 9}], ids=str)
def test_frames_that_disagree_with_the_header_are_refused(tmp_path: Path, info: dict[str, Any]) -> None:
    write_patient(tmp_path / "patient001", **info)
    error = refused_record(tmp_path)
    assert (error.code, "8 frames" in error.message) == ("SW-D24", True)


def test_a_3_d_file_in_place_of_the_cine_is_refused(tmp_path: Path) -> None:
    folder = write_patient(tmp_path / "patient001")
    write_nifti(folder / "patient001_4d.nii.gz", cine()[..., 0])
    assert refused_record(tmp_path).code == "SW-D22"


def test_a_header_that_asks_for_too_much_is_refused_before_reading(tmp_path: Path) -> None:
    folder = write_patient(tmp_path / "patient001")
    path = folder / "patient001_4d.nii.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[40:50] = np.array([4, 32000, 32000, 100, 30], "<i2").tobytes()
    path.write_bytes(gzip.compress(bytes(content)))
    assert refused_record(tmp_path).code == "SW-D22"


def test_a_name_that_lies_about_compression_is_refused(tmp_path: Path) -> None:
    folder = write_patient(tmp_path / "patient001")
    path = folder / "patient001_4d.nii.gz"
    path.write_bytes(gzip.decompress(path.read_bytes()))
    error = refused_record(tmp_path)
    assert (error.code, error.fix) == ("SW-D21", "rename it to end in .nii")


@pytest.mark.parametrize("keep", [0, 100, 0.5])
def test_a_cut_cine_is_damaged(tmp_path: Path, keep: float) -> None:
    folder = write_patient(tmp_path / "patient001")
    path = folder / "patient001_4d.nii.gz"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep) if 0 < keep < 1 else int(keep)])
    assert refused_record(tmp_path).code == "SW-D21"


def test_nan_voxels_are_refused(tmp_path: Path) -> None:
    folder = write_patient(tmp_path / "patient001")
    values = cine().astype(np.float32)
    values[3, 4, 2, 0] = np.nan
    write_nifti(folder / "patient001_4d.nii.gz", values)
    error = refused_record(tmp_path)
    assert (error.code, "1 voxels" in error.message) == ("SW-D23", True)


def test_a_segmentation_of_another_grid_is_refused(tmp_path: Path) -> None:
    folder = write_patient(tmp_path / "patient001")
    write_nifti(folder / "patient001_frame01_gt.nii.gz", heart((24, 20, 6)))
    assert refused_record(tmp_path).code == "SW-D24"
    write_nifti(folder / "patient001_frame01_gt.nii.gz", heart(), np.diag([1.5, -1.5, 8.0, 1.0]))
    assert refused_record(tmp_path).code == "SW-D24"


def test_an_absent_cine_is_named(tmp_path: Path) -> None:
    folder = write_patient(tmp_path / "patient001")
    (folder / "patient001_4d.nii.gz").unlink()
    error = refused_record(tmp_path)
    assert (error.code, "patient001_4d.nii.gz" in error.message) == ("SW-D05", True)


def test_class_names_that_are_not_the_groups_are_refused(tmp_path: Path) -> None:
    write_patient(tmp_path / "patient001")
    for names in (["NOR", "MINF"], ["NOR", "MINF", "DCM", "HCM", "XYZ"]):
        with pytest.raises(DataError) as caught:
            CmrAcdc(tmp_path, class_names=names)
        assert caught.value.code == "SW-D11"


def test_without_nibabel_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_patient(tmp_path / "patient001")
    dataset = CmrAcdc(tmp_path)
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(MissingExtraError, match=r"seewhy\[medical\]"):
        dataset.read(0)


def test_the_revision_follows_every_file(tmp_path: Path) -> None:
    folder = write_patient(tmp_path / "patient001")
    dataset = CmrAcdc(tmp_path)
    assert dataset.read(0).revision == dataset.revision(0)
    before = dataset.revision(0)
    write_nifti(folder / "patient001_frame01_gt.nii.gz", 1 - heart())
    after = dataset.revision(0)
    assert before != after
    assert pickle.loads(pickle.dumps(dataset)).revision(0) == after
