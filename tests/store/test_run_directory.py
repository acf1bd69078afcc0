"""Opening, adding to, finishing and refusing run directories."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from store_samples import FINGERPRINT, QUESTIONS, sample_row, snapshot, write_run

from seewhy.store import run_directory
from seewhy.store.ledger import Answered
from seewhy.store.run_directory import RunDirectory
from seewhy.store.verify import verify
from seewhy.values import RecordRow, StoreError


def open_briefly(path: Path, fingerprint: object = FINGERPRINT) -> RunDirectory:
    with RunDirectory.open(path, fingerprint) as run:
        return run


def refused(code: str, path: Path, fingerprint: object = FINGERPRINT) -> str:
    with pytest.raises(StoreError) as refusal:
        open_briefly(path, fingerprint)
    assert refusal.value.code == code
    return refusal.value.message


def test_a_finished_run_holds_exactly_what_was_written(tmp_path: Path) -> None:
    write_run(tmp_path)
    pictures = [
        f"gradcam/{name}/class_0.png" for name in [*(f"train+{i}" for i in range(5)), "val_0", "val_1", "val_2"]
    ]
    shards = [f"shards/train-0000{i}.parquet" for i in range(3)] + [f"shards/val-0000{i}.parquet" for i in range(2)]
    assert list(snapshot(tmp_path)) == [".lock", "embeddings/all.bin", *pictures, "manifest.json", *shards]
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["status"] == "complete"
    assert manifest["counts"] == {"train": {"ok": 5}, "val": {"ok": 3}}
    assert manifest["fingerprint"] == FINGERPRINT
    assert manifest["questions"] == QUESTIONS
    assert [entry["rows"] for entry in manifest["shards"].values()] == [2, 2, 1, 2, 1]
    assert manifest["derived"]["embeddings/all.bin"]["size"] == 8 * 4 * 4


def test_running_a_finished_run_again_computes_nothing_and_touches_nothing(tmp_path: Path) -> None:
    write_run(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"}
    computed: list[str] = []
    write_run(tmp_path, computed.append)
    assert computed == []
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_the_manifest_does_not_depend_on_how_often_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    write_run(tmp_path / "usual")
    monkeypatch.setattr(run_directory, "MANIFEST_SECONDS", seconds)
    write_run(tmp_path / "other")
    assert snapshot(tmp_path / "other") == snapshot(tmp_path / "usual")


def test_a_deleted_manifest_is_rebuilt_from_the_shards(tmp_path: Path) -> None:
    write_run(tmp_path)
    before = snapshot(tmp_path)
    (tmp_path / "manifest.json").unlink()
    open_briefly(tmp_path)
    rebuilt = json.loads((tmp_path / "manifest.json").read_text())
    wanted = json.loads(before["manifest.json"])
    assert rebuilt["status"] == "running"
    for key in ("fingerprint", "questions", "counts", "shards", "made_with"):
        assert rebuilt[key] == wanted[key]
    write_run(tmp_path)
    assert snapshot(tmp_path) == before


def test_without_a_manifest_the_shards_still_refuse_another_fingerprint(tmp_path: Path) -> None:
    write_run(tmp_path)
    (tmp_path / "manifest.json").unlink()
    assert "seed: 0 -> 1" in refused("SW-S05", tmp_path, {**FINGERPRINT, "seed": 1})


def test_another_fingerprint_is_refused_field_by_field_and_nothing_changes(tmp_path: Path) -> None:
    write_run(tmp_path)
    before = snapshot(tmp_path)
    message = refused("SW-S05", tmp_path, {**FINGERPRINT, "weights": "77aa", "model": {"name": "vit"}})
    assert message.splitlines()[1:] == ['    model.name: "tiny" -> "vit"', '    weights: "9f2c" -> "77aa"']
    assert snapshot(tmp_path) == before


def test_a_run_that_never_wrote_anything_may_change_its_fingerprint(tmp_path: Path) -> None:
    open_briefly(tmp_path, {"seed": 0})
    open_briefly(tmp_path, {"seed": 1})
    assert json.loads((tmp_path / "manifest.json").read_text())["fingerprint"] == {"seed": 1}


def test_a_shard_of_another_run_is_not_adopted(tmp_path: Path) -> None:
    write_run(tmp_path / "mine")
    with RunDirectory.open(tmp_path / "other", {"seed": 5}) as run:
        run.commit("test", [sample_row("a", "test")], QUESTIONS)
    shutil.copy(tmp_path / "other/shards/test-00000.parquet", tmp_path / "mine/shards")
    assert "test-00000.parquet belongs to another run" in refused("SW-S05", tmp_path / "mine")


def test_a_second_writer_is_told_who_holds_the_directory(tmp_path: Path) -> None:
    with RunDirectory.open(tmp_path, FINGERPRINT):
        assert f"is being written by process {os.getpid()} on {os.uname().nodename}" in refused("SW-S04", tmp_path)
    open_briefly(tmp_path)


def test_a_directory_with_strange_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    assert "thesis.tex" in refused("SW-S09", tmp_path)
    assert snapshot(tmp_path) == {"thesis.tex": b"precious"}


def test_hidden_files_do_not_make_a_directory_strange(tmp_path: Path) -> None:
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "config.yaml").write_text("a: 1")
    open_briefly(tmp_path)
    open_briefly(tmp_path, {"seed": 7})
    assert (tmp_path / ".hydra" / "config.yaml").read_text() == "a: 1"


def test_files_the_top_and_the_home_are_no_output_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    for path in (tmp_path / "file", Path("/"), tmp_path / "home", tmp_path / "home" / "x" / ".."):
        refused("SW-S08", path)
    refused("SW-S03", tmp_path / "file" / "below")
    assert list(snapshot(tmp_path)) == ["file"]


def test_a_damaged_manifest_is_refused_with_the_way_out(tmp_path: Path) -> None:
    write_run(tmp_path)
    data = (tmp_path / "manifest.json").read_bytes()
    (tmp_path / "manifest.json").write_bytes(data.replace(b'"rows": 2', b'"rows": 3', 1))
    assert "manifest.json is damaged" in refused("SW-S11", tmp_path)


def test_a_truncated_shard_is_named_and_only_its_records_are_computed_again(tmp_path: Path) -> None:
    write_run(tmp_path)
    shard = tmp_path / "shards/train-00001.parquet"
    shard.write_bytes(shard.read_bytes()[:-1])
    assert "train-00001.parquet" in refused("SW-S06", tmp_path)
    shard.unlink()
    computed: list[str] = []
    write_run(tmp_path, computed.append)
    assert computed == ["train/2", "train/3"]
    assert verify(tmp_path) == []


def test_answers_of_later_passes_add_to_those_of_earlier_ones(tmp_path: Path) -> None:
    first = {"embeddings": QUESTIONS["embeddings"]}
    whole = sample_row("a")
    only = dataclasses.replace(whole, answers={"embeddings": whole.answers["embeddings"]})
    later = dataclasses.replace(whole, answers={"gradcam@layer4.1": whole.answers["gradcam@layer4.1"]})
    with RunDirectory.open(tmp_path, FINGERPRINT) as run:
        assert run.commit("train", [only], first) == "shards/train-00000.parquet"
        assert run.answered("train")["a"] == Answered("r1", "ok", {"embeddings": frozenset()}, 0)
    with RunDirectory.open(tmp_path, FINGERPRINT) as run:
        assert run.commit("train", [later], QUESTIONS) == "shards/train-00001.parquet"
    for opened in (run, open_briefly(tmp_path)):
        assert opened.answered("train")["a"].questions == {
            "embeddings": frozenset(),
            "gradcam@layer4.1": frozenset({0, 1}),
        }
        assert run.answered("val") == {}


def test_changed_content_makes_earlier_answers_void(tmp_path: Path) -> None:
    with RunDirectory.open(tmp_path, FINGERPRINT) as run:
        run.commit("train", [sample_row("a")], QUESTIONS)
        run.commit("train", [RecordRow("a", "train", 0, revision="r2", status="failed", stage="read")], QUESTIONS)
    assert open_briefly(tmp_path).answered("train")["a"] == Answered("r2", "failed", {}, 1)
    assert json.loads((tmp_path / "manifest.json").read_text())["counts"] == {"train": {"failed": 1}}


def test_a_key_answered_with_other_settings_is_refused(tmp_path: Path) -> None:
    write_run(tmp_path)
    other = {"embeddings": {"layer": "block3"}, "new": {"x": 1}}
    with RunDirectory.open(tmp_path, FINGERPRINT) as run, pytest.raises(StoreError) as refusal:
        run.commit("test", [sample_row("a", "test")], QUESTIONS | other)
    assert refusal.value.code == "SW-S12"
    assert refusal.value.message.splitlines()[1:] == ['    embeddings.layer: "pool" -> "block3"']


def test_a_new_commit_reopens_a_finished_run(tmp_path: Path) -> None:
    write_run(tmp_path)
    with RunDirectory.open(tmp_path, FINGERPRINT) as run:
        run.commit("test", [sample_row("a", "test")], QUESTIONS)
        assert json.loads((tmp_path / "manifest.json").read_text())["status"] == "running"
        run.finish()
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert (manifest["status"], list(manifest["counts"])) == ("complete", ["test", "train", "val"])
    assert "embeddings/all.bin" in manifest["derived"]


def test_splits_that_differ_in_case_share_no_file_name(tmp_path: Path) -> None:
    with RunDirectory.open(tmp_path, FINGERPRINT) as run:
        names = [run.commit(split, [sample_row("a", split)], QUESTIONS) for split in ("Train", "train", "a/b c")]
    assert names[:2] == ["shards/Train-00000.parquet", "shards/train-00001.parquet"]
    assert names[2].startswith("shards/a_b_c-")
    assert open_briefly(tmp_path).answered("a/b c").keys() == {"a"}


def test_writing_after_the_end_or_after_the_directory_went_away_is_refused(tmp_path: Path) -> None:
    run = open_briefly(tmp_path / "run")
    with pytest.raises(StoreError, match="is not held for writing"):
        run.write_file("gradcam/a.png", b"x", kind="gradcam")

    def write_after_the_move() -> None:
        with RunDirectory.open(tmp_path / "run", FINGERPRINT) as run:
            (tmp_path / "run").rename(tmp_path / "moved")
            run.commit("train", [sample_row("a")], QUESTIONS)

    with pytest.raises(StoreError) as refusal:
        write_after_the_move()
    assert refusal.value.code == "SW-S16"
    assert not (tmp_path / "run").exists()


def test_an_error_inside_the_block_still_records_what_was_committed(tmp_path: Path) -> None:
    def commit_and_stop() -> None:
        with RunDirectory.open(tmp_path, FINGERPRINT) as run:
            run.commit("train", [sample_row("a")], QUESTIONS)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        commit_and_stop()
    assert list(json.loads((tmp_path / "manifest.json").read_text())["shards"]) == ["shards/train-00000.parquet"]
    assert verify(tmp_path) == []


def test_equal_bytes_are_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "no write expected")

    with RunDirectory.open(tmp_path, FINGERPRINT) as run:
        first = run.write_file("gradcam/a.png", b"pixels", kind="gradcam", record_id="a")
        monkeypatch.setattr(os, "replace", refuse)
        assert run.write_file("gradcam/a.png", b"pixels", kind="gradcam", record_id="a") == first
        run.write_with("gradcam/a.png", lambda path: path.write_bytes(b"pixels") and None, kind="gradcam")
        with pytest.raises(StoreError, match="no write expected"):
            run.write_file("gradcam/a.png", b"PIXELS", kind="gradcam", record_id="a")
        monkeypatch.undo()
    # printf pixels | sha256sum
    assert first.sha256 == "6ec9c2b0eb14010746c8bce8939303b382344b296206612eb8a907a37b2b2f37"
    assert (first.kind, first.path, first.record_id, first.size) == ("gradcam", "gradcam/a.png", "a", 6)


def test_the_number_of_records_a_run_holds_is_counted_once_per_record(tmp_path: Path) -> None:
    failed = RecordRow("a", "train", 0, revision="r1", status="failed", stage="read")
    with RunDirectory.open(tmp_path, FINGERPRINT) as run:
        run.commit("train", [failed, sample_row("b", position=1)], QUESTIONS)
        run.finish()
        assert json.loads((tmp_path / "manifest.json").read_text())["counts"] == {"train": {"failed": 1, "ok": 1}}
        run.commit("train", [sample_row("a")], QUESTIONS)
        run.finish()
    assert json.loads((tmp_path / "manifest.json").read_text())["counts"] == {"train": {"ok": 2}}
