"""Files added to a finished run: listed, verified, and the run as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from store_samples import FINGERPRINT, snapshot, write_run

from seewhy.store.additions import adding_to
from seewhy.store.manifest import read_manifest
from seewhy.store.run_directory import RunDirectory
from seewhy.store.verify import verify
from seewhy.values import StoreError


def test_an_added_file_is_listed_and_the_run_is_still_complete(tmp_path: Path) -> None:
    write_run(tmp_path)
    with adding_to(tmp_path) as run:
        run.write_file("report/index.html", b"page", kind="report")
        run.write_with("embeddings/points.bin", lambda draft: draft.write_bytes(b"12345") and None, kind="projection")
    manifest = read_manifest(tmp_path)
    assert manifest is not None
    assert manifest.status == "complete"
    assert manifest.derived["report/index.html"].size == 4
    assert manifest.derived["embeddings/points.bin"].kind == "projection"
    assert verify(tmp_path) == []


def test_the_same_file_again_changes_no_byte(tmp_path: Path) -> None:
    write_run(tmp_path)
    for _ in range(2):
        with adding_to(tmp_path) as run:
            run.write_file("report/index.html", b"page", kind="report")
        written = snapshot(tmp_path)
    assert snapshot(tmp_path) == written
    touched = (tmp_path / "manifest.json").stat().st_mtime_ns
    with adding_to(tmp_path) as run:
        run.write_file("report/index.html", b"page", kind="report")
    assert (tmp_path / "manifest.json").stat().st_mtime_ns == touched


def test_a_removed_file_is_no_longer_listed(tmp_path: Path) -> None:
    write_run(tmp_path)
    with adding_to(tmp_path) as run:
        run.write_file("report/one.html", b"1", kind="report")
        run.write_file("report/two.html", b"2", kind="report")
    with adding_to(tmp_path) as run:
        run.remove("report/two.html")
        assert "report/two.html" not in run.derived
    assert not (tmp_path / "report" / "two.html").exists()
    assert verify(tmp_path) == []


def test_what_was_written_before_an_error_is_listed(tmp_path: Path) -> None:
    write_run(tmp_path)

    def interrupted() -> None:
        with adding_to(tmp_path) as run:
            run.write_file("report/index.html", b"page", kind="report")
            raise ValueError("later")

    with pytest.raises(ValueError, match="later"):
        interrupted()
    assert verify(tmp_path) == []


def test_no_run_a_held_run_and_paths_outside_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as refusal, adding_to(tmp_path / "nothing"):
        pass
    assert refusal.value.code == "SW-S17"
    write_run(tmp_path / "run")
    with RunDirectory.open(tmp_path / "run", FINGERPRINT), pytest.raises(StoreError) as refusal:  # noqa: SIM117
        with adding_to(tmp_path / "run"):
            pass
    assert refusal.value.code == "SW-S04"
    with adding_to(tmp_path / "run") as run:
        for path in ("../x", "manifest.json", "shards/x.parquet", "/etc/x"):
            with pytest.raises(StoreError) as refusal:
                run.write_file(path, b"", kind="x")
            assert refusal.value.code == "SW-S10"
    (tmp_path / "run" / "manifest.json").unlink()
    with pytest.raises(StoreError) as refusal, adding_to(tmp_path / "run"):
        pass
    assert refusal.value.code == "SW-S17"
