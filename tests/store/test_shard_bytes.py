"""Rows become Parquet bytes and come back, bit for bit."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from store_samples import QUESTIONS, sample_row

from seewhy.store import shards
from seewhy.store.columns import list_cells, list_column
from seewhy.store.picture_tables import LaterPictures, encode_table
from seewhy.store.shards import GROUP_ROWS, Shard, ShardHeader, encode_shard
from seewhy.values import Answer, Artifact, Preview, RecordRow, StoreError

HEADER = ShardHeader("train", QUESTIONS, {"seed": 0}, {"seewhy": "0.1.0"})


def stored(path: Path, rows: list[RecordRow], header: ShardHeader = HEADER) -> Shard:
    path.write_bytes(encode_shard(rows, header))
    return Shard(path)


def require_equal(one: RecordRow, other: RecordRow) -> None:
    bare = {"probabilities": None, "answers": {}}
    assert dataclasses.replace(one, **bare) == dataclasses.replace(other, **bare)
    np.testing.assert_array_equal(one.probabilities, other.probabilities)
    assert one.answers.keys() == other.answers.keys()
    for question, answer in one.answers.items():
        assert answer.classes == other.answers[question].classes
        assert answer.values.tobytes() == other.answers[question].values.tobytes()
        assert answer.values.shape == other.answers[question].values.shape


def test_every_field_of_a_row_comes_back(tmp_path: Path) -> None:
    slices = Preview("volume", "slices", bytes(range(256)), (1, 4, 7), 9)
    rows = [
        dataclasses.replace(sample_row("p"), previews=(Preview("image", "picture", b""), slices)),
        dataclasses.replace(sample_row("a"), facts={"seconds": [1, 2], "deep": {"x": None}}),
        RecordRow("Ünï/côde 😀", "train", 7, status="failed", stage="read", error="truncated\nfile"),
        RecordRow("b", "train", 2, answers={"gradcam@layer4.1": Answer(np.zeros((0, 3), np.float32))}),
        RecordRow("c", "train", 3, answers={"embeddings": Answer(np.array(2.5, np.float32))}),
    ]
    for row, back in zip(rows, stored(tmp_path / "s.parquet", rows).group(0, previews=True), strict=True):
        require_equal(row, back)


def test_pictures_of_many_groups_are_listed_with_their_rows_and_their_table_is_opened_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"r{number}" for number in range(2 * GROUP_ROWS + 1)]
    (tmp_path / "shards").mkdir()
    (tmp_path / "pictures").mkdir()
    shard = stored(tmp_path / "shards/train-00000.parquet", [RecordRow(record_id, "train", 0) for record_id in ids])
    made = [LaterPictures(name, "", files=(Artifact("gradcam", f"{name}.png", name, "0", 1),)) for name in ids]
    table = tmp_path / "pictures/train-00000.parquet"
    table.write_bytes(encode_table(made, GROUP_ROWS))
    opened: list[Path] = []

    class Opened(pq.ParquetFile):
        def __init__(self, path: Path, **given: object) -> None:
            opened.append(path)
            super().__init__(path, **given)

    monkeypatch.setattr(pq, "ParquetFile", Opened)
    listed = [(row.record_id, [file["path"] for file in row.files]) for row in shard.listed()]
    assert listed == [(name, [f"{name}.png"]) for name in ids]
    assert opened.count(table) == 1
    table.write_bytes(encode_table(made[:GROUP_ROWS], GROUP_ROWS))  # of an earlier shard, which held fewer rows
    assert sum(len(row.files) for row in shard.listed()) == GROUP_ROWS


def test_a_shard_of_before_previews_is_read_without_them(tmp_path: Path) -> None:
    shard = stored(tmp_path / "new.parquet", [sample_row("a")])
    table = pq.read_table(shard.path)
    older = table.drop_columns(["previews"]).replace_schema_metadata(table.schema.metadata)
    pq.write_table(older, tmp_path / "old.parquet", write_page_checksum=True)
    (row,) = Shard(tmp_path / "old.parquet").group(0, previews=True)
    assert (row.record_id, row.previews) == ("a", ())


@given(
    st.lists(
        st.none() | arrays.arrays(np.float32, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)),
        min_size=1,
        max_size=6,
    )
)
def test_ragged_cells_come_back_bit_for_bit(cells: list[np.ndarray | None]) -> None:
    column = list_column(cells, np.float32)
    whole = pa.chunked_array([column, column.slice(1)])
    for cell, back in zip(cells + cells[1:], list_cells(whole), strict=True):
        assert (back is None) == (cell is None)
        assert cell is None or back is None or back.tobytes() == np.ravel(cell).tobytes()


def test_equal_lengths_are_stored_as_a_fixed_size_list(tmp_path: Path) -> None:
    alike = stored(tmp_path / "alike.parquet", [sample_row("a"), sample_row("b")])
    mixed = stored(tmp_path / "mixed.parquet", [sample_row("a"), RecordRow("b", "train", 1)])
    field = "gradcam@layer4.1.values"
    assert pq.read_schema(alike.path).field(field).type == pa.list_(pa.float32(), 2 * 48 * 48)
    assert pq.read_schema(mixed.path).field(field).type == pa.list_(pa.float32())


def test_equal_rows_make_equal_bytes() -> None:
    rows = [sample_row("a"), sample_row("b", position=1)]
    reordered = dataclasses.replace(HEADER, questions=dict(reversed(QUESTIONS.items())))
    assert encode_shard(rows, HEADER) == encode_shard(rows, reordered)


def test_a_question_whose_key_starts_like_another_is_not_confused_with_it(tmp_path: Path) -> None:
    answers = {"gradcam@layer4": Answer(np.float32([1])), "gradcam@layer4.1": Answer(np.float32([2]))}
    header = dataclasses.replace(HEADER, questions=dict.fromkeys(answers))
    shard = stored(tmp_path / "s.parquet", [RecordRow("a", "train", 0, answers=answers)], header)
    assert {q: a.values.tolist() for q, a in shard.group(0, ["gradcam@layer4"])[0].answers.items()} == {
        "gradcam@layer4": [1]
    }


def test_rows_are_grouped_so_that_a_reader_need_not_hold_a_shard(tmp_path: Path) -> None:
    rows = [RecordRow(str(i), "train", i) for i in range(GROUP_ROWS + 1)]
    shard = stored(tmp_path / "s.parquet", rows)
    assert [len(shard.group(number)) for number in range(shard.groups)] == [GROUP_ROWS, 1]


def test_answers_can_be_written_to(tmp_path: Path) -> None:
    row = stored(tmp_path / "s.parquet", [sample_row("a")]).group(0)[0]
    assert row.answers["embeddings"].values.flags.writeable


def test_an_error_text_of_undecodable_bytes_is_kept_as_escapes(tmp_path: Path) -> None:
    row = RecordRow("a", "train", 0, status="failed", error="no file " + os.fsdecode(b"\xff.png"))
    assert stored(tmp_path / "s.parquet", [row]).group(0)[0].error == "no file \\udcff.png"


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [sample_row("a"), sample_row("a")],
        [sample_row("a", split="val")],
        [RecordRow("a", "train", 0, answers={"unasked": Answer(np.float32([1]))})],
        [dataclasses.replace(sample_row("a"), status="failed")],
        [RecordRow("a", "train", 0, answers={"embeddings": Answer(np.zeros((3, 2), np.float32), (0, 1))})],
    ],
    ids=["none", "twice", "other split", "unasked", "failed with answers", "three maps for two classes"],
)
def test_rows_that_do_not_belong_together_are_refused(rows: list[RecordRow]) -> None:
    with pytest.raises(StoreError) as refusal:
        encode_shard(rows, HEADER)
    assert refusal.value.code == "SW-S15"


def test_a_shard_of_a_newer_schema_says_what_to_install(tmp_path: Path) -> None:
    newer = dataclasses.replace(HEADER, schema=shards.SCHEMA_VERSION + 1, made_with={"seewhy": "9.9"})
    with pytest.raises(StoreError, match=r"seewhy 9\.9 in schema 2; this version reads schemas up to 1") as refusal:
        stored(tmp_path / "s.parquet", [sample_row("a")], newer)
    assert refusal.value.code == "SW-S07"


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"", lambda data: data[: len(data) // 2]])
def test_a_cut_shard_is_named(tmp_path: Path, damage: object) -> None:
    path = tmp_path / "train-00000.parquet"
    path.write_bytes(damage(encode_shard([sample_row("a")], HEADER)))
    with pytest.raises(StoreError, match=r"train-00000\.parquet cannot be read") as refusal:
        Shard(path)
    assert refusal.value.code == "SW-S06"


def test_a_parquet_file_of_another_program_is_not_a_shard(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), tmp_path / "other.parquet")
    with pytest.raises(StoreError) as refusal:
        Shard(tmp_path / "other.parquet")
    assert refusal.value.code == "SW-S06"


def test_a_flipped_bit_in_an_answer_is_an_error_not_another_number(tmp_path: Path) -> None:
    data = bytearray(encode_shard([sample_row("a")], HEADER))
    data[len(data) // 2] ^= 1
    (tmp_path / "s.parquet").write_bytes(data)
    with pytest.raises(StoreError, match="cannot be read"):
        Shard(tmp_path / "s.parquet").group(0)
