"""`verify` names every file that is not as it was written."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import pytest
from store_samples import FINGERPRINT, QUESTIONS, sample_row, snapshot, write_run

from seewhy.store.manifest import parse
from seewhy.store.run_directory import RunDirectory
from seewhy.store.verify import verify
from seewhy.values import StoreError


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_run(tmp_path)
    return tmp_path


def found(root: Path) -> list[tuple[str, str]]:
    return [(finding.problem, finding.path) for finding in verify(root)]


def test_a_clean_run_has_no_findings(run: Path) -> None:
    assert verify(run) == []


def test_one_flipped_byte_in_any_file_is_named(run: Path) -> None:
    draw = random.Random(3)
    for name, data in snapshot(run).items():
        for place in {len(data) - 1, draw.randrange(len(data))} if data else ():
            flipped = bytearray(data)
            flipped[place] ^= 1 << draw.randrange(8)
            (run / name).write_bytes(flipped)
            assert ("damaged", name) in found(run), place
            if name != "manifest.json":
                assert found(run) == [("damaged", name)]
        (run / name).write_bytes(data)
    assert verify(run) == []


def test_each_byte_of_the_manifest_counts(run: Path) -> None:
    data = (run / "manifest.json").read_bytes()
    draw = random.Random(4)
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << draw.randrange(8)
        with pytest.raises(StoreError) as refusal:
            parse(bytes(flipped), run / "manifest.json")
        assert refusal.value.code == "SW-S11"


@pytest.mark.parametrize("cut", [0, -1])
def test_a_cut_file_is_named(run: Path, cut: int) -> None:
    for name in ("shards/val-00001.parquet", "gradcam/val_0/class_0.png", "embeddings/all.bin", "manifest.json"):
        data = (run / name).read_bytes()
        (run / name).write_bytes(data[:cut])
        assert ("damaged", name) in found(run)
        (run / name).write_bytes(data)


def test_missing_files_are_named(run: Path) -> None:
    names = ["embeddings/all.bin", "gradcam/val_0/class_0.png", "manifest.json", "shards/train-00000.parquet"]
    for name in names:
        data = (run / name).read_bytes()
        (run / name).unlink()
        assert ("missing", name) in found(run)
        (run / name).write_bytes(data)


def test_files_nobody_lists_are_named_where_the_run_keeps_its_own(run: Path) -> None:
    for name in ("gradcam/val_0/class_9.png", "shards/notes.txt", "embeddings/old.bin"):
        (run / name).write_bytes(b"x")
    (run / "notes.txt").write_bytes(b"the user's own")
    (run / "report").mkdir()
    (run / "report" / "index.html").write_bytes(b"made from the run")
    assert found(run) == [
        ("unexpected", "embeddings/old.bin"),
        ("unexpected", "gradcam/val_0/class_9.png"),
        ("unexpected", "shards/notes.txt"),
    ]


def test_swapped_shards_are_named(run: Path) -> None:
    one, other = run / "shards/train-00000.parquet", run / "shards/train-00001.parquet"
    first = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(first)
    assert [path for problem, path in found(run) if problem == "damaged"] == [
        "shards/train-00000.parquet",
        "shards/train-00001.parquet",
    ]


def test_a_question_answered_twice_for_the_same_content_is_named(tmp_path: Path) -> None:
    row = sample_row("a")
    cam = row.answers["gradcam@layer4.1"]
    other_class = dataclasses.replace(cam, classes=(2, 3))
    with RunDirectory.open(tmp_path, FINGERPRINT) as run:
        run.commit("train", [row], QUESTIONS)
        run.commit("train", [dataclasses.replace(row, answers={"gradcam@layer4.1": other_class})], QUESTIONS)
        run.commit("train", [dataclasses.replace(row, revision="r2")], QUESTIONS)
        run.finish()
    assert verify(tmp_path) == []
    with RunDirectory.open(tmp_path, FINGERPRINT) as run:
        run.commit("train", [dataclasses.replace(row, revision="r2")], QUESTIONS)
    assert [str(finding) for finding in verify(tmp_path)] == [
        "duplicate: shards/train-00002.parquet: 'a' is answered again later: embeddings ",
        "duplicate: shards/train-00002.parquet: 'a' is answered again later: gradcam@layer4.1 [0, 1]",
    ]


def test_a_picture_written_again_is_compared_with_its_latest_row(tmp_path: Path) -> None:
    with RunDirectory.open(tmp_path, FINGERPRINT) as run:
        for revision in ("r1", "r2"):
            file = run.write_file("gradcam/a.png", revision.encode(), kind="gradcam", record_id="a")
            run.commit("train", [dataclasses.replace(sample_row("a", files=(file,)), revision=revision)], QUESTIONS)
        run.finish()
    assert verify(tmp_path) == []
    (tmp_path / "gradcam/a.png").write_bytes(b"r1")
    assert found(tmp_path) == [("damaged", "gradcam/a.png")]


def test_pictures_of_an_uncommitted_chunk_are_told_apart_from_strangers(tmp_path: Path) -> None:
    with RunDirectory.open(tmp_path, FINGERPRINT) as run:
        file = run.write_file("gradcam/a.png", b"a", kind="gradcam", record_id="a")
        run.commit("train", [sample_row("a", files=(file,))], QUESTIONS)
        run.write_file("gradcam/b.png", b"b", kind="gradcam", record_id="b")
    assert found(tmp_path) == [("uncommitted", "gradcam/b.png")]


def test_a_row_that_lists_a_file_elsewhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    with RunDirectory.open(tmp_path / "run", FINGERPRINT) as run:
        file = run.write_file("gradcam/a.png", b"x", kind="gradcam", record_id="a")
        hostile = dataclasses.replace(file, path="../secret")
        run.commit("train", [sample_row("a", files=(file, hostile))], QUESTIONS)
        run.finish()
    assert found(tmp_path / "run") == [("damaged", "../secret")]


def test_verify_needs_no_permission_to_write(run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    verify(run)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    assert sorted(path.name for path in run.iterdir()) == [".lock", "embeddings", "gradcam", "manifest.json", "shards"]


def test_a_directory_without_a_run_cannot_be_verified(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as refusal:
        verify(tmp_path / "nowhere")
    assert refusal.value.code == "SW-S17"
