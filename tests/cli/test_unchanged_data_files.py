"""What a data group reads is told from its settings: every file that decides a record is noticed when it changes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cli_samples import rewrite_unseen

from seewhy.cli.build import DATA_KINDS, data_parameters
from seewhy.cli.data_files import PLACES, PLAIN, data_state
from seewhy.cli.file_state import FileState


def state(**data: Any) -> tuple[int, str]:
    found = data_state(data)
    assert found is not None
    return found.count, found.digest


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("train/cat/a.jpg", "train/dog/b.jpg", "test/cat/c.jpg"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(name.encode())
    return tmp_path / "photos"


def test_every_setting_of_every_kind_is_either_plain_or_a_place() -> None:
    assert set(PLAIN) == set(PLACES) == set(DATA_KINDS) - {"custom"}
    for kind in PLAIN:
        assert not PLAIN[kind] & PLACES[kind]
        assert set(data_parameters(kind)) == PLAIN[kind] | PLACES[kind], kind


CHANGES: dict[str, Callable[[Path], object]] = {
    "longer": lambda root: (root / "train/cat/a.jpg").write_bytes(b"other bytes than before"),
    "same length": lambda root: (root / "train/cat/a.jpg").write_bytes(b"TRAIN/CAT/A.JPG"),
    "same length and time": lambda root: rewrite_unseen(root / "train/cat/a.jpg"),
    "added": lambda root: (root / "train/cat/new.jpg").write_bytes(b"x"),
    "removed": lambda root: (root / "train/cat/a.jpg").unlink(),
    "renamed": lambda root: (root / "train/cat/a.jpg").rename(root / "train/cat/z.jpg"),
    "another class": lambda root: (root / "train/cat/a.jpg").rename(root / "train/dog/a.jpg"),
    "a folder renamed": lambda root: (root / "train").rename(root / "val"),
    "an empty folder": lambda root: (root / "train/bird").mkdir(),
    "a link that leads nowhere": lambda root: (root / "train/cat/link.jpg").symlink_to("nowhere"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_happens_below_a_root_is_noticed(photos: Path, change: Callable[[Path], object]) -> None:
    before = state(kind="image_folder", root=str(photos))
    assert before == state(kind="image_folder", root=str(photos), num_workers=3)
    assert before[0] == 3
    change(photos)
    assert state(kind="image_folder", root=str(photos)) != before


def test_linked_folders_are_followed_once_each(photos: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "d.jpg").write_bytes(b"d")
    (elsewhere / "up").symlink_to(photos)
    (photos / "train/bird").symlink_to(elsewhere)
    before = state(kind="image_folder", root=str(photos))
    assert before[0] == 4
    (elsewhere / "d.jpg").write_bytes(b"D")
    assert state(kind="image_folder", root=str(photos)) != before


def test_a_folder_left_out_is_not_looked_into(photos: Path) -> None:
    def digest() -> str:
        found = FileState()
        found.tree(photos, without=("dog",))
        return found.digest

    before = digest()
    (photos / "train/dog/b.jpg").write_bytes(b"other")
    assert digest() == before
    (photos / "train/cat/a.jpg").write_bytes(b"other")
    assert digest() != before


def csv_table(path: Path, rows: list[dict[str, str]], between: str = ",") -> Path:
    lines = [between.join(rows[0]), *(between.join(row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


tab_table = partial(csv_table, between="\t")


def parquet_table(path: Path, rows: list[dict[str, str]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize(("write", "name"), [
    (csv_table, "list.csv"), (tab_table, "list.tsv"), (tab_table, "LIST.TSV"), (parquet_table, "list.parquet"),
])  # fmt: skip
def test_files_that_a_table_names_are_noticed_and_no_others(
    photos: Path, write: Callable[..., Path], name: str
) -> None:
    (photos / "mask.png").write_bytes(b"mask")
    (photos.parent / "far.jpg").write_bytes(b"far")
    rows = [
        {"id": "a", "path": "train/cat/a.jpg", "mask": "mask.png", "note": "n" * 300},
        {"id": "b", "path": str(photos.parent / "far.jpg"), "mask": "", "note": "train/dog/b.jpg"},
    ]
    table = write(photos / name, rows)
    seen = [state(kind="manifest", path=str(table))]
    assert seen[0][0] == 4  # the table, two pictures, a mask
    (photos / "train/dog/b.jpg").write_bytes(b"not one of them")
    assert state(kind="manifest", path=str(table)) == seen[0]
    for changed in (photos / "train/cat/a.jpg", photos / "mask.png", photos.parent / "far.jpg"):
        changed.write_bytes(b"other")
        seen.append(state(kind="manifest", path=str(table)))
    (photos / "mask.png").unlink()
    seen.append(state(kind="manifest", path=str(table)))
    write(
        table,
        [rows[0], rows[1] | {"label": "cat"}] if name.endswith("parquet") else [{**row, "label": "1"} for row in rows],
    )
    seen.append(state(kind="manifest", path=str(table)))
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("id;path\na;train/cat/a.jpg\n", {}),
        ("id,file\na,train/cat/a.jpg\n", {}),
        ("id,path\na,train/cat/a.jpg,surplus\n", {}),
        ("id,path,mask\na,train/cat/a.jpg\n", {}),
        ("id,path,path\na,train/cat/a.jpg,train/dog/b.jpg\n", {}),
        ("", {}),
        ("id,left\na,train/cat/a.jpg\n", {"kind": "multi_input", "inputs": ["left", "right"]}),
        ("id,file\na,train/cat/a.jpg\n", {"kind": "video"}),
    ],
)  # fmt: skip
def test_a_table_whose_files_are_not_where_they_are_looked_for_cannot_be_told(
    photos: Path, text: str, given: dict[str, Any]
) -> None:
    (photos / "list.csv").write_text(text)
    place = "path" if "kind" not in given else "manifest"
    with pytest.raises(ValueError, match="column"):
        data_state({"kind": "manifest", place: str(photos / "list.csv"), **given})


def test_columns_of_several_inputs_are_called_as_the_inputs_are(photos: Path) -> None:
    table = csv_table(photos / "list.csv", [{"id": "a", "left": "train/cat/a.jpg", "right": "train/dog/b.jpg"}])
    both, left = {"kind": "multi_input", "manifest": str(table)}, {"inputs": ["left"]}
    before = state(**both), state(**both, **left)
    assert (before[0][0], before[1][0]) == (3, 2)
    (photos / "train/dog/b.jpg").write_bytes(b"other")
    assert state(**both) != before[0]
    assert state(**both, **left) == before[1]


def test_a_record_that_is_a_folder_is_looked_into(photos: Path, tmp_path: Path) -> None:
    table = csv_table(tmp_path / "clips.csv", [{"id": "a", "path": "photos/train/cat"}])
    before = state(kind="video", manifest=str(table))
    assert before[0] == 2
    (photos / "train/cat/a.jpg").write_bytes(b"another frame")
    assert state(kind="video", manifest=str(table)) != before


def test_annotations_are_noticed_when_they_change_or_appear(photos: Path, tmp_path: Path) -> None:
    table = csv_table(tmp_path / "clips.csv", [{"id": "a", "path": "photos/train/cat"}])
    auto = {"kind": "clips", "manifest": str(table), "annotations": "auto"}
    before = state(**auto)
    (tmp_path / "gaze.csv").write_text("record_id,frame,x,y\n")
    assert state(**auto) != before
    named = {"kind": "clips", "root": str(photos), "annotations": str(tmp_path / "gaze.csv")}
    before = state(**named)
    (tmp_path / "gaze.csv").write_text("record_id,frame,x,y\na,0,1,1\n")
    assert state(**named) != before


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "custom", "_target_": "my.Data"},
        {"kind": "image_folder", "root": "s3://bucket/photos"},
        {"kind": "image_folder", "root": ["one", "two"]},
        {"kind": "image_folder"},
        {"kind": "image_folder", "root": "photos", "table_of_names": "names.txt"},
        {"kind": None},
        {"kind": ["image_folder"]},
    ],
    ids=str,
)
def test_what_cannot_be_told_is_not_guessed(data: dict[str, Any]) -> None:
    assert data_state(data) is None


@pytest.mark.parametrize(
    "content", [b"id,path\na,\xff\xfe\n", b'id,path\n"a"b,c\n', b"id,path\na,x\0y\n", b"id,path\na,s3://x/y\n"]
)
def test_a_table_that_cannot_be_read_is_not_guessed(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"."):
        data_state({"kind": "manifest", "path": str(tmp_path / "list.csv")})


def test_a_root_that_is_not_there_is_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="none"):
        data_state({"kind": "image_folder", "root": str(tmp_path / "none")})
