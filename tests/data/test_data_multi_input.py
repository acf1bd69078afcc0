"""Records of several pictures: found in folders or a table, read input by input, and nothing missing goes unsaid."""

from __future__ import annotations

import csv
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from seewhy.data.multi_input import MultiInput, side_by_side
from seewhy.data.records import Dataset
from seewhy.store.names import SafeNames
from seewhy.values import DataError

HEIGHT, WIDTH = 12, 16


def gray(path: Path, level: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, level).save(path)


@pytest.fixture
def eyes(tmp_path: Path) -> Path:
    """Two patients in two classes and splits; the level tells input and patient apart."""
    for number, input_name in enumerate(("mnv", "ga")):
        gray(tmp_path / input_name / "train" / "late" / "p1.png", 10 + number)
        gray(tmp_path / input_name / "valid" / "early" / "p1.png", 20 + number)
    return tmp_path


def refusal(*arguments: Any, **settings: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        MultiInput(*arguments, **settings)
    return caught.value


def table(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "eyes.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def levels(dataset: MultiInput, position: int) -> dict[str, int]:
    pictures = dataset.pictures(dataset.read(position).inputs)
    return {name: int(picture[0, 0, 0]) for name, picture in pictures.items()}


def test_folders_of_inputs_become_records_with_split_and_class(eyes: Path) -> None:
    dataset = MultiInput(eyes, inputs=["mnv", "ga"], size=8)
    assert isinstance(dataset, Dataset)
    assert dataset.class_names == ["early", "late"]
    assert [(ref.record_id, ref.split, ref.label) for ref in dataset.index()] == [
        ("train/late/p1", "train", 1),
        ("valid/early/p1", "val", 0),
    ]
    assert [levels(dataset, i) for i in (0, 1)] == [{"mnv": 10, "ga": 11}, {"mnv": 20, "ga": 21}]


def test_inputs_come_in_the_order_asked_for_and_else_sorted(eyes: Path) -> None:
    assert list(MultiInput(eyes, inputs=["mnv", "ga"], size=8).read(0).inputs) == ["mnv", "ga"]
    assert MultiInput(eyes, size=8).input_names == ("ga", "mnv")


def test_one_patient_in_two_folders_stays_two_records_on_disk_too(eyes: Path) -> None:
    ids = [ref.record_id for ref in MultiInput(eyes, size=8).index()]
    names = SafeNames(ids)
    assert len({names[record_id].lower() for record_id in ids}) == 2
    assert not any("/" in names[record_id] for record_id in ids)


def test_a_file_may_carry_its_inputs_name_and_another_suffix(tmp_path: Path) -> None:
    gray(tmp_path / "mnv" / "x_mnv.png", 1)
    gray(tmp_path / "ga" / "x_ga.tif", 2)
    gray(tmp_path / "mnv" / "y.v1.png", 3)
    gray(tmp_path / "ga" / "y.v1.png", 4)
    dataset = MultiInput(tmp_path, inputs=["mnv", "ga"], size=8)
    assert [ref.record_id for ref in dataset.index()] == ["x", "y.v1"]
    assert levels(dataset, 0) == {"mnv": 1, "ga": 2}


def test_without_split_folders_each_class_is_divided_alike_for_all_inputs(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for number in range(20):
            gray(tmp_path / name / "sick" / f"{number:02d}.png", number)
    dataset = MultiInput(tmp_path, size=8, split_ratio=(0.5, 0.25, 0.25), seed=3)
    splits = [ref.split for ref in dataset.index()]
    assert [splits.count(name) for name in ("train", "val", "test")] == [10, 5, 5]


@pytest.mark.parametrize("as_parquet", [False, True])
def test_a_manifest_has_a_column_for_each_input(eyes: Path, as_parquet: bool) -> None:
    late, early = "train/late/p1.png", "valid/early/p1.png"
    rows = [
        {"id": "p2", "label": "late", "split": "train", "age": 70, "ga": f"ga/{late}", "mnv": f"mnv/{early}"},
        {"id": "p1", "label": "early", "split": "", "age": 60, "ga": f"ga/{early}", "mnv": f"mnv/{late}"},
    ]
    path = table(eyes, *rows)
    if as_parquet:
        path = eyes / "eyes.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path)
    dataset = MultiInput(manifest=path, size=8)
    assert dataset.input_names == ("ga", "mnv")  # the age is no path
    assert [(ref.record_id, ref.split, ref.label) for ref in dataset.index()] == [("p2", "train", 1), ("p1", "test", 0)]
    assert levels(dataset, 0) == {"ga": 11, "mnv": 20}
    assert MultiInput(manifest=path, inputs=["mnv"], size=8).input_names == ("mnv",)


def test_every_input_has_its_own_preprocessing(tmp_path: Path) -> None:
    deep = np.full((HEIGHT, WIDTH), 65535 // 4, np.uint16)
    (tmp_path / "scan").mkdir()
    Image.fromarray(deep).save(tmp_path / "scan" / "x.tiff")
    (tmp_path / "photo").mkdir()
    Image.new("RGB", (WIDTH, HEIGHT), (255, 0, 51)).save(tmp_path / "photo" / "x.png")
    dataset = MultiInput(
        tmp_path,
        inputs=["scan", "photo"],
        size={"scan": 8, "photo": [10, 14]},
        channels={"scan": 1, "photo": 3},
        mean={"scan": [0.25], "photo": [0.0, 0.0, 0.2]},
        std={"scan": [0.5], "photo": [1.0, 1.0, 0.4]},
    )
    record = dataset.read(0)
    assert record.inputs["scan"].shape == (1, 8, 8)
    assert record.inputs["scan"].abs().max() < 1e-4  # a quarter of the range, less a quarter
    assert record.inputs["photo"].shape == (3, 10, 14)
    torch.testing.assert_close(record.inputs["photo"][:, 0, 0], torch.tensor([1.0, 0.0, 0.0]))
    assert record.geometry is None  # the inputs lie on their originals differently
    assert any(note.startswith("scan: 16-bit") for note in record.notes)


def test_gray_fills_minus_one_to_one_and_colour_is_imagenets_by_default(tmp_path: Path) -> None:
    gray(tmp_path / "a" / "x.png", 255)
    assert MultiInput(tmp_path, size=8).read(0).inputs["a"].unique().tolist() == [1.0]
    rgb = MultiInput(tmp_path, size=8, channels=3).read(0).inputs["a"][:, 0, 0]
    torch.testing.assert_close(rgb, (1 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225]))


def test_nothing_is_cropped_unless_asked_so_that_places_correspond(tmp_path: Path) -> None:
    half = np.zeros((HEIGHT, WIDTH), np.uint8)
    half[:, : WIDTH // 8] = 255  # a centre crop of 12 × 12 would leave it out
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(half).save(tmp_path / name / "x.png")
    kept = MultiInput(tmp_path, size=16).read(0)
    assert kept.geometry is not None
    assert kept.geometry.scale == (16 / HEIGHT, 1.0)
    assert kept.inputs["a"][0, :, :2].min() == 1
    assert MultiInput(tmp_path, size=16, crop="center").read(0).inputs["a"].max() < 1


def test_a_revision_follows_every_file_and_the_label(eyes: Path) -> None:
    dataset = MultiInput(eyes, inputs=["mnv", "ga"], size=8)
    before = [dataset.revision(i) for i in (0, 1)]
    assert [dataset.read(i).revision for i in (0, 1)] == before
    gray(eyes / "ga" / "train" / "late" / "p1.png", 99)
    assert dataset.revision(0) != before[0]
    assert dataset.revision(1) == before[1]
    assert MultiInput(eyes, inputs=["mnv", "ga"], size=8, class_names=["late", "early"]).revision(1) != before[1]


def test_the_picture_of_a_record_is_its_inputs_in_a_row(eyes: Path) -> None:
    dataset = MultiInput(eyes, inputs=["mnv", "ga"], size=8)
    row = dataset.picture(dataset.read(0).inputs)
    assert row.shape == (8, 16, 3)
    assert (row[:, :8] == 10).all()
    assert (row[:, 8:] == 11).all()


def test_shorter_pictures_in_a_row_stand_on_black() -> None:
    row = side_by_side([np.full((2, 1, 3), 7, np.uint8), np.full((1, 1, 3), 9, np.uint8)])
    assert row[..., 0].tolist() == [[7, 9], [7, 0]]


def test_it_travels_to_a_worker_and_its_fingerprint_to_a_file(eyes: Path) -> None:
    dataset = MultiInput(eyes, inputs=["mnv", "ga"], size=8)
    copy = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(copy.read(1).inputs["ga"], dataset.read(1).inputs["ga"])
    assert str(eyes) not in str(dataset.fingerprint())
    assert dataset.fingerprint() != MultiInput(eyes, inputs=["mnv", "ga"], size=8, mean=[0.1]).fingerprint()


def test_all_missing_files_are_told_at_once(eyes: Path) -> None:
    gray(eyes / "mnv" / "train" / "late" / "p2.png", 0)
    gray(eyes / "ga" / "train" / "late" / "p3.png", 0)
    error = refusal(eyes, inputs=["mnv", "ga"])
    assert error.code == "SW-D82"
    assert "2 pictures are missing" in error.message
    assert "train/late/p2 has no ga; train/late/p3 has no mnv" in error.message


def test_all_missing_cells_and_files_of_a_manifest_are_told_at_once(eyes: Path) -> None:
    rows = [{"id": f"p{n}", "mnv": "mnv/train/late/p1.png", "ga": "" if n == 3 else f"no{n}.png"} for n in range(12)]
    error = refusal(manifest=table(eyes, *rows), inputs=["mnv", "ga"])
    assert error.code == "SW-D82"
    assert "12 pictures are missing" in error.message
    assert "row 5 (id 'p3') has no ga;" in error.message
    assert error.message.endswith("has no ga: no9.png … and 2 more")


@pytest.mark.parametrize(
    ("settings", "code", "part"),
    [
        ({"inputs": ["mnv", "mnv"]}, "SW-D81", "different names"),
        ({"inputs": ["mnw", "ga"]}, "SW-D81", "nearest: mnv"),
        ({"size": {"mnv": 8, "gs": 8}}, "SW-D85", "nearest: ga"),
        ({"mean": {"mnv": [0.5]}}, "SW-D85", "ga, mnv"),
        ({"channels": 2}, "SW-D86", "channels=2"),
        ({"channels": 1, "mean": [0.5, 0.5, 0.5]}, "SW-D86", "3 values of mean"),
        ({"mean": [0.5], "std": [1, 1, 1]}, "SW-D86", "3 values of std"),
        ({"class_names": ["late", "earli"]}, "SW-D11", "earli"),
        ({"size": 0}, "SW-D01", "size"),
    ],
)
def test_settings_that_do_not_work_are_named(eyes: Path, settings: dict[str, Any], code: str, part: str) -> None:
    error = refusal(eyes, **settings)
    assert (error.code, part in str(error)) == (code, True), str(error)


def test_split_folders_above_the_inputs_are_no_inputs(tmp_path: Path) -> None:
    gray(tmp_path / "train" / "late" / "p1" / "mnv.png", 0)
    error = refusal(tmp_path)
    assert error.code == "SW-D81"
    assert "root/INPUT/SPLIT/CLASS" in error.fix


def test_two_files_for_one_input_of_a_record_are_refused(tmp_path: Path) -> None:
    gray(tmp_path / "mnv" / "x.png", 0)
    gray(tmp_path / "mnv" / "x_mnv.png", 0)
    assert refusal(tmp_path).code == "SW-D83"


def test_nowhere_to_look_is_refused() -> None:
    assert refusal().code == "SW-D80"


def test_a_manifest_without_a_needed_column_names_the_nearest(eyes: Path) -> None:
    path = table(eyes, {"id": "p1", "mnv": "mnv/train/late/p1.png", "gaa": "ga/train/late/p1.png"})
    error = refusal(manifest=path, inputs=["mnv", "ga"])
    assert (error.code, error.near[0]) == ("SW-D84", "gaa")
    assert refusal(manifest=table(eyes, {"id": "p1", "age": 3})).code == "SW-D84"
    twice = table(eyes, *[{"id": "p1", "mnv": "mnv/train/late/p1.png"}] * 2)
    assert refusal(manifest=twice).code == "SW-D04"
