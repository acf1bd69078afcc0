"""A table of records: what each column means, where boxes and masks land, and which row is wrong."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from seewhy.data.manifest import Manifest
from seewhy.data.manifest_table import parse_box
from seewhy.values import DataError

WIDTH, HEIGHT = 40, 20
PLAIN: dict[str, Any] = {"mean": [0] * 3, "std": [1] * 3}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (WIDTH, HEIGHT), (ord(name[0]), 0, 0)).save(tmp_path / name)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[5:15, 12:20] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return tmp_path


def write_csv(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "table.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_parquet(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "table.parquet"
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def refusal(path: Path, **settings: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        Manifest(path, **settings)
    return caught.value


@pytest.mark.parametrize("write", [write_csv, write_parquet])
def test_rows_become_records_in_their_order(folder: Path, write: Any) -> None:
    table = write(
        folder,
        {"id": "p2", "path": "b.png", "label": "sick", "split": "valid"},
        {"id": "p1", "path": "a.png", "label": "healthy", "split": "train"},
        {"id": "p3", "path": "c.png", "label": "", "split": ""},
    )
    manifest = Manifest(table)
    assert manifest.class_names == ["healthy", "sick"]
    assert [(ref.record_id, ref.split, ref.label) for ref in manifest.index()] == [
        ("p2", "val", 1),
        ("p1", "train", 0),
        ("p3", "test", None),
    ]
    assert manifest.picture(Manifest(table, size=8, **PLAIN).read(1).inputs).shape == (8, 8, 3)


def test_each_row_reads_its_own_file(folder: Path) -> None:
    table = write_csv(folder, {"id": "p2", "path": "b.png"}, {"id": "p1", "path": str(folder / "a.png")})
    manifest = Manifest(table, size=8, **PLAIN)
    assert [int(manifest.picture(manifest.read(i).inputs)[0, 0, 0]) for i in (0, 1)] == [ord("b"), ord("a")]


def test_paths_are_relative_to_root(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("tables")
    table = write_csv(elsewhere, {"id": "p1", "path": "a.png"})
    assert Manifest(table, folder).read(0).record_id == "p1"
    error = refusal(table)
    assert (error.code, "row 2: a.png" in error.message) == ("SW-D05", True)


def test_box_and_mask_land_on_the_same_pixels_of_the_crop(folder: Path) -> None:
    row = {"id": "p", "path": "a.png", "box": "12 5 20 15", "mask": "mask.png"}
    record = Manifest(write_csv(folder, row), size=20, crop_ratio=1.0, **PLAIN).read(0)
    # 40 × 20 cropped to the middle 20 × 20: ten columns are cut on the left
    assert record.box == (2.0, 5.0, 10.0, 15.0)
    assert record.mask is not None
    expected = np.zeros((20, 20), bool)
    expected[5:15, 2:10] = True
    assert np.array_equal(record.mask, expected)


def test_a_mask_without_a_box_gives_the_box(folder: Path) -> None:
    row = {"id": "p", "path": "a.png", "mask": "mask.png"}
    record = Manifest(write_csv(folder, row), size=20, crop_ratio=1.0, **PLAIN).read(0)
    assert record.box == (2.0, 5.0, 10.0, 15.0)


@pytest.mark.parametrize(
    "cells",
    [
        {"box": "[12, 5, 20, 15]"},
        {"box": "12;5;20;15"},
        {"x0": 12, "y0": 5, "x1": 20, "y1": 15},
    ],
)
def test_ways_to_write_a_box_in_csv(folder: Path, cells: dict[str, Any]) -> None:
    record = Manifest(write_csv(folder, {"id": "p", "path": "a.png", **cells}), size=40, crop="none").read(0)
    assert record.box == (12.0, 10.0, 20.0, 30.0)  # the height of 20 is stretched to 40


def test_a_list_of_numbers_is_a_box_in_parquet(folder: Path) -> None:
    table = write_parquet(folder, {"id": "p", "path": "a.png", "box": [12, 5, 20, 15]}, {"id": "q", "path": "b.png"})
    manifest = Manifest(table, size=40, crop="none")
    assert manifest.read(0).box == (12.0, 10.0, 20.0, 30.0)
    assert manifest.read(1).box is None


@pytest.mark.parametrize("cell", ["20 5 12 15", "1 5 1 15", "1 2 3", "a b c d", "nan 0 1 1", [1, 2]])
def test_a_malformed_box_names_its_row(cell: object) -> None:
    with pytest.raises(DataError, match=r"row 7.*") as caught:
        parse_box(cell, "row 7")
    assert caught.value.code == "SW-D14"


@pytest.mark.parametrize("box", ["0 0 41 20", "-1 0 5 5", "0 0 5 21"])
def test_a_box_that_leaves_the_picture_fails_that_record(folder: Path, box: str) -> None:
    manifest = Manifest(write_csv(folder, {"id": "p9", "path": "a.png", "box": box}))
    with pytest.raises(DataError, match="p9") as caught:
        manifest.read(0)
    assert caught.value.code == "SW-D14"


def test_a_box_outside_the_crop_is_none_with_a_note(folder: Path) -> None:
    table = write_csv(folder, {"id": "p", "path": "a.png", "box": "0 0 5 5"})
    record = Manifest(table, size=20, crop_ratio=1.0).read(0)
    assert record.box is None
    assert "the box lies outside the crop" in record.notes


def test_boxes_and_masks_count_after_exif_orientation(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (HEIGHT, WIDTH)).save(folder / "turned.jpg", exif=exif)  # seen as 40 wide and 20 high
    row = {"id": "p", "path": "turned.jpg", "box": "30 0 40 20", "mask": "mask.png"}
    record = Manifest(write_csv(folder, row), size=40, crop="none").read(0)
    assert record.geometry is not None
    assert record.geometry.original == (HEIGHT, WIDTH)
    assert record.box == (30.0, 0.0, 40.0, 40.0)


def test_a_mask_of_another_size_fails_that_record(folder: Path) -> None:
    Image.new("L", (10, 10)).save(folder / "small.png")
    manifest = Manifest(write_csv(folder, {"id": "p", "path": "a.png", "mask": "small.png"}))
    with pytest.raises(DataError, match=r"10 × 10.*40 × 20") as caught:
        manifest.read(0)
    assert caught.value.code == "SW-D17"


def test_an_empty_mask_is_noted(folder: Path) -> None:
    Image.new("L", (WIDTH, HEIGHT)).save(folder / "empty.png")
    record = Manifest(write_csv(folder, {"id": "p", "path": "a.png", "mask": "empty.png"})).read(0)
    assert "the mask is empty" in record.notes
    assert record.box is None


def test_duplicate_ids_name_both_rows(folder: Path) -> None:
    rows = [{"id": record_id, "path": "a.png"} for record_id in ("x", "y", "x")]
    error = refusal(write_csv(folder, *rows))
    assert error.code == "SW-D04"
    assert "row 2 and row 4" in error.message


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"id": "p", "file": "a.png"}, "SW-D16"),
        ({"id": "", "path": "a.png"}, "SW-D16"),
        ({"id": "p", "path": "gone.png"}, "SW-D05"),
        ({"id": "p", "path": "a.png", "mask": "gone.png"}, "SW-D05"),
        ({"id": "p", "path": "a.png", "split": "trian"}, "SW-D12"),
        ({"id": "p", "path": "a.png", "label": "-2"}, "SW-D15"),
    ],
    ids=str,
)
def test_a_wrong_cell_has_its_own_code(folder: Path, row: dict[str, str], code: str) -> None:
    assert refusal(write_csv(folder, row)).code == code


def test_a_table_without_rows_or_of_another_format_is_refused(folder: Path) -> None:
    (folder / "table.csv").write_text("id,path\n")
    assert refusal(folder / "table.csv").code == "SW-D03"
    (folder / "ragged.csv").write_text("id,path\np,a.png,extra\n")
    assert refusal(folder / "ragged.csv").code == "SW-D16"
    assert all(name in refusal(folder / "ragged.csv").fix for name in ("CSV", ".tsv", ".parquet"))
    (folder / "fake.parquet").write_text("id,path\n")
    assert refusal(folder / "fake.parquet").code == "SW-D16"
    assert refusal(folder / "none.csv").code == "SW-D02"


def test_numbers_are_labels_as_they_are_and_minus_one_is_none(folder: Path) -> None:
    rows = [{"id": f"p{label}", "path": "a.png", "label": label} for label in ("3", "0", "-1")]
    manifest = Manifest(write_csv(folder, *rows))
    assert [ref.label for ref in manifest.index()] == [3, 0, None]
    assert manifest.class_names is None


def test_whole_floats_are_labels_as_pandas_writes_them(folder: Path) -> None:
    rows = [{"id": "p", "path": "a.png", "label": 2.0}, {"id": "q", "path": "a.png", "label": None}]
    assert [ref.label for ref in Manifest(write_parquet(folder, *rows)).index()] == [2, None]


def test_names_and_numbers_mixed_are_refused_without_class_names(folder: Path) -> None:
    rows = [{"id": "p", "path": "a.png", "label": "cat"}, {"id": "q", "path": "a.png", "label": "1"}]
    table = write_csv(folder, *rows)
    assert refusal(table).code == "SW-D15"
    assert [ref.label for ref in Manifest(table, class_names=["dog", "cat"]).index()] == [1, 1]


def test_a_label_that_is_no_class_names_the_nearest(folder: Path) -> None:
    error = refusal(write_csv(folder, {"id": "p", "path": "a.png", "label": "catt"}), class_names=["cat", "dog"])
    assert (error.code, error.near[0]) == ("SW-D15", "cat")
    assert refusal(write_csv(folder, {"id": "p", "path": "a.png", "label": "2"}), class_names=["cat", "dog"]).code == (
        "SW-D15"
    )


def test_the_revision_follows_picture_mask_box_and_label(folder: Path) -> None:
    def revision(**cells: str) -> str:
        row = {"id": "p", "path": "a.png", "label": "1", "box": "1 1 5 5", "mask": "mask.png", **cells}
        manifest = Manifest(write_csv(folder, row), size=40, crop="none")
        assert manifest.read(0).revision == manifest.revision(0)
        return manifest.revision(0)

    first = revision()
    changed = [revision(path="b.png"), revision(label="2"), revision(box="1 1 5 6"), revision(mask="c.png")]
    assert len({first, *changed}) == 5
    assert revision() == first
