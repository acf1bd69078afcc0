"""Reading committed rows: merged, streamed, in flat memory."""

from __future__ import annotations

import dataclasses
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from store_samples import FINGERPRINT, QUESTIONS, SPLITS, noise, sample_row, write_run

from seewhy.store.merging import merge_answers, merge_rows
from seewhy.store.run_directory import RunDirectory
from seewhy.store.run_reader import RunReader
from seewhy.values import Answer, Artifact, RecordRow, StoreError


def maps(*values: float) -> np.ndarray:
    return np.array(values, np.float32).reshape(-1, 1, 1)


def test_a_reader_gives_each_record_once_with_its_answers(tmp_path: Path) -> None:
    write_run(tmp_path)
    reader = RunReader(tmp_path)
    assert reader.splits == ("train", "val")
    for split, ids in SPLITS.items():
        rows = list(reader.rows(split))
        assert [row.record_id for row in rows] == ids
        for row in rows:
            np.testing.assert_array_equal(row.answers["gradcam@layer4.1"].values, noise(row.record_id, 2, 48, 48))


def test_only_the_questions_asked_for_are_read(tmp_path: Path) -> None:
    write_run(tmp_path)
    reader = RunReader(tmp_path)
    assert [set(row.answers) for row in reader.rows("val", ["embeddings"])] == [{"embeddings"}] * 3
    assert [row.answers for row in reader.rows("val", [])] == [{}] * 3
    assert list(reader.rows("test")) == []


def test_rows_of_several_passes_are_merged_across_shards(tmp_path: Path) -> None:
    ids = [f"r{i}" for i in range(150)]
    with RunDirectory.open(tmp_path, FINGERPRINT) as run:
        for column, start in ((0, 0), (1, 0), (2, 100)):
            for begin in range(start, 150, 75):
                run.commit("train", [_one_class(i, column) for i in range(begin, min(begin + 75, 150))], {"cam": {}})
    rows = {row.record_id: row.answers["cam"] for row in RunReader(tmp_path).rows("train")}
    assert sorted(rows) == sorted(ids)
    for i, record_id in enumerate(ids):
        classes = (0, 1, 2) if i >= 100 else (0, 1)
        assert rows[record_id].classes == classes
        assert rows[record_id].values.ravel().tolist() == [i + 1000 * column for column in classes]


def _one_class(i: int, column: int) -> RecordRow:
    return RecordRow(f"r{i}", "train", i, answers={"cam": Answer(maps(i + 1000 * column), (column,))})


def test_records_come_in_the_order_of_the_data_set_whatever_the_order_of_commits(tmp_path: Path) -> None:
    with RunDirectory.open(tmp_path, FINGERPRINT) as run:
        run.commit("train", [sample_row("late", position=7)], QUESTIONS)
        run.commit("train", [sample_row("early", position=2), RecordRow("broken", "train", 3, "failed")], QUESTIONS)
    reader = RunReader(tmp_path)
    assert reader.records("train") == ["early", "broken", "late"]
    assert reader.records("train", "embeddings") == ["early", "late"]
    assert reader.records("val") == []


def test_the_later_answer_wins_class_by_class() -> None:
    merged = merge_answers(Answer(maps(1, 2), (5, 7)), Answer(maps(20, 30), (7, 9)))
    assert (merged.classes, merged.values.ravel().tolist()) == ((5, 7, 9), [1, 20, 30])


def test_maps_of_another_size_replace_the_earlier_ones() -> None:
    merged = merge_answers(Answer(maps(1), (5,)), Answer(np.zeros((1, 2, 2), np.float32), (7,)))
    assert merged.classes == (7,)


def test_a_failure_gives_way_to_a_later_success() -> None:
    row = sample_row("a")
    failed = RecordRow("a", "train", 0, "failed", "read", "truncated", "r1")
    merged = merge_rows([failed, row])
    assert (merged.status, merged.error, merged.predicted) == ("ok", "", 1)


def test_a_later_failure_is_told_and_keeps_the_answers() -> None:
    row = sample_row("a")
    failed = RecordRow("a", "train", 4, "failed", "gradcam", "out of memory", "r1")
    merged = merge_rows([row, failed])
    assert (merged.status, merged.stage, merged.position, merged.predicted) == ("failed", "gradcam", 4, 1)
    assert merged.answers.keys() == row.answers.keys()


def test_answers_about_other_content_are_dropped() -> None:
    old, picture = sample_row("a"), Artifact("gradcam", "gradcam/a/class_0.png", "a", "00", 1)
    new = RecordRow("a", "train", 0, revision="r2", answers={"embeddings": Answer(np.float32([1]))})
    merged = merge_rows([dataclasses.replace(old, files=(picture,)), new])
    assert merged.answers.keys() == {"embeddings"}
    assert merged.files == ()


def test_a_file_written_again_is_listed_with_its_latest_bytes() -> None:
    first, second = (Artifact("gradcam", "gradcam/a.png", "a", sha, 1) for sha in ("00", "11"))
    merged = merge_rows([sample_row("a", files=(first,)), sample_row("a", files=(second,))])
    assert merged.files == (second,)


def test_a_reader_beside_a_writer_sees_committed_shards_only(tmp_path: Path) -> None:
    with RunDirectory.open(tmp_path, FINGERPRINT) as run:
        run.commit("train", [sample_row("a")], QUESTIONS)
        (tmp_path / "shards" / ".seewhy-1-1.tmp").write_bytes(b"half a shard")
        before = RunReader(tmp_path)
        run.commit("train", [sample_row("b", position=1)], QUESTIONS)
        assert [row.record_id for row in before.rows("train")] == ["a"]
        assert [row.record_id for row in RunReader(tmp_path).rows("train")] == ["a", "b"]


def test_a_run_without_a_manifest_can_still_be_read(tmp_path: Path) -> None:
    write_run(tmp_path)
    (tmp_path / "manifest.json").unlink()
    reader = RunReader(tmp_path)
    assert reader.manifest is None
    assert reader.records("val") == SPLITS["val"]


def test_a_moved_run_reads_the_same(tmp_path: Path) -> None:
    write_run(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    assert RunReader(tmp_path / "there").records("train") == SPLITS["train"]


def test_a_directory_without_a_run_is_said_to_hold_none(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no run") as refusal:
        RunReader(tmp_path)
    assert refusal.value.code == "SW-S17"


def test_memory_does_not_grow_with_the_number_of_shards(tmp_path: Path) -> None:
    values = np.zeros((64, 64), np.float32)

    def peak(split: str, shards: int) -> int:
        with RunDirectory.open(tmp_path, FINGERPRINT) as run:
            for begin in range(0, 64 * shards, 64):
                rows = [
                    RecordRow(f"{split}{i}", split, i, answers={"embeddings": Answer(values)})
                    for i in range(begin, begin + 64)
                ]
                run.commit(split, rows, {"embeddings": {}})
        reader = RunReader(tmp_path)
        tracemalloc.start()
        assert sum(1 for _ in reader.rows(split)) == 64 * shards
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    assert peak("long", 12) < 1.5 * peak("short", 2)
