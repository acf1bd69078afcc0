"""The three layouts of a folder of pictures, their ids, splits, labels, and what is refused."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch
from PIL import Image

from seewhy.data.image_folder import ImageFolder, unique_ids
from seewhy.values import DataError, Geometry


def make(root: Path, *names: str) -> Path:
    for shade, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 10), (shade % 256, 0, 0)).save(path)
    return root


def refusal(root: Path, **settings: object) -> DataError:
    with pytest.raises(DataError) as caught:
        ImageFolder(root, **settings)
    return caught.value


def rows(folder: ImageFolder) -> list[tuple[str, str, int | None]]:
    return [(ref.record_id, ref.split, ref.label) for ref in folder.index()]


def test_split_and_class_folders(tmp_path: Path) -> None:
    folder = ImageFolder(make(tmp_path, "train/dog/b.png", "train/cat/a.png", "validation/cat/c.jpg", "test/dog/d.bmp"))
    assert folder.class_names == ["cat", "dog"]
    assert rows(folder) == [
        ("test/dog/d", "test", 1),
        ("train/cat/a", "train", 0),
        ("train/dog/b", "train", 1),
        ("validation/cat/c", "val", 0),
    ]


def test_pictures_directly_in_a_split_folder_have_no_label(tmp_path: Path) -> None:
    folder = ImageFolder(make(tmp_path, "train/cat/a.png", "test/x.png"))
    assert rows(folder) == [("test/x", "test", None), ("train/cat/a", "train", 0)]


def test_class_folders_are_split_by_the_ratio(tmp_path: Path) -> None:
    names = [f"{kind}/{i}.png" for kind in ("cat", "dog") for i in range(20)]
    folder = ImageFolder(make(tmp_path, *names))
    counts = Counter((label, split) for _, split, label in rows(folder))
    assert counts == {(label, split): n for label in (0, 1) for split, n in (("train", 14), ("val", 3), ("test", 3))}


def test_a_flat_folder_is_the_test_split_without_labels(tmp_path: Path) -> None:
    folder = ImageFolder(make(tmp_path, "b.png", "a.png"))
    assert rows(folder) == [("a", "test", None), ("b", "test", None)]
    assert folder.class_names is None


def test_files_that_differ_only_in_the_suffix_keep_it() -> None:
    paths = [PurePosixPath(name) for name in ("x/a.png", "x/a.jpg", "x/a.jpg.png", "x/b.png", "y/a.png")]
    assert unique_ids(paths) == ["x/a.png", "x/a.jpg", "x/a.jpg.png", "x/b", "y/a"]


def test_hidden_files_and_other_files_are_left_out(tmp_path: Path) -> None:
    make(tmp_path, "a.png", ".hidden.png", ".cache/b.png")
    (tmp_path / "notes.txt").write_text("x")
    assert rows(ImageFolder(tmp_path)) == [("a", "test", None)]


def test_a_link_to_a_folder_is_followed_once(tmp_path: Path) -> None:
    make(tmp_path / "elsewhere", "cat/a.png")
    root = tmp_path / "root"
    root.mkdir()
    (root / "train").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "cat" / "loop").symlink_to(root)
    assert rows(ImageFolder(root)) == [("train/cat/a", "train", 0)]


def test_class_names_set_the_order_and_may_name_more(tmp_path: Path) -> None:
    folder = ImageFolder(make(tmp_path, "test/dog/a.png", "test/cat/b.png"), class_names=["dog", "bird", "cat"])
    assert rows(folder) == [("test/cat/b", "test", 2), ("test/dog/a", "test", 0)]


def test_a_folder_that_is_no_class_names_the_nearest(tmp_path: Path) -> None:
    error = refusal(make(tmp_path, "test/dogs/a.png"), class_names=["cat", "dog"])
    assert (error.code, error.near[0]) == ("SW-D11", "dog")


@pytest.mark.parametrize("names", [["dog", "dog"], "dog", [], 3], ids=str)
def test_class_names_that_are_no_list_of_different_names_are_refused(tmp_path: Path, names: object) -> None:
    assert refusal(make(tmp_path, "test/dog/a.png"), class_names=names).code == "SW-D11"


@pytest.mark.parametrize("names", [("a.png", "cat/b.png"), ("train/cat/a.png", "extra/b.png")])
def test_a_layout_that_reads_in_two_ways_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    assert refusal(make(tmp_path, *names)).code == "SW-D13"


def test_an_empty_folder_and_an_absent_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    assert refusal(tmp_path / "photos").code == "SW-D03"
    error = refusal(tmp_path / "photo")
    assert (error.code, error.near) == ("SW-D02", ("photos",))


@pytest.mark.parametrize("ratio", [(0.5, 0.5), (-1, 1, 1), (0, 0, 0), (float("nan"), 1, 1)])
def test_a_ratio_that_is_none_is_refused(tmp_path: Path, ratio: tuple[float, ...]) -> None:
    assert refusal(make(tmp_path, "a.png"), split_ratio=ratio).code == "SW-D01"


def test_a_record_is_the_picture_with_its_geometry(tmp_path: Path) -> None:
    folder = ImageFolder(
        make(tmp_path, "test/cat/a.png", "test/cat/b.png"), size=8, mean=[0] * 3, std=[1] * 3, crop="none"
    )
    record = folder.read(1)
    assert (record.record_id, record.split, record.label) == ("test/cat/b", "test", 0)
    assert record.geometry == Geometry((10, 20), (8, 8), (0.8, 0.4), (0.0, 0.0))
    assert torch.allclose(record.inputs["image"][:, 0, 0], torch.tensor([1 / 255, 0, 0]))
    assert folder.picture(record.inputs)[4, 4].tolist() == [1, 0, 0]
    assert record.revision == folder.revision(1) != folder.revision(0)


def test_the_index_opens_no_picture_and_a_bad_one_fails_alone(tmp_path: Path) -> None:
    root = make(tmp_path, "a.png")
    (root / "b.png").write_bytes(b"nonsense")
    folder = ImageFolder(root, size=8)
    assert [ref.record_id for ref in folder.index()] == ["a", "b"]
    assert folder.read(0).record_id == "a"
    with pytest.raises(DataError, match="SW-D06"):
        folder.read(1)


def test_the_fingerprint_holds_settings_and_no_path(tmp_path: Path) -> None:
    one, two = (ImageFolder(make(tmp_path / name, "a.png"), size=32) for name in ("one", "two"))
    assert one.fingerprint() == two.fingerprint()
    assert one.fingerprint() != ImageFolder(tmp_path / "one", size=33).fingerprint()


def test_it_survives_pickling(tmp_path: Path) -> None:
    folder = ImageFolder(make(tmp_path, "a.png"), size=16)
    copy = pickle.loads(pickle.dumps(folder))
    assert np.array_equal(copy.picture(copy.read(0).inputs), folder.picture(folder.read(0).inputs))
