"""A file has its old bytes or its new ones, whichever call of the operating system fails."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from store_samples import QUESTIONS, SPLITS, sample_row, snapshot, write_run

from seewhy.store import failpoints, files
from seewhy.store.files import remove_temporaries, replacing, write_atomic
from seewhy.store.run_directory import RunDirectory
from seewhy.store.verify import verify
from seewhy.values import StoreError

CALLS = ("open", "write", "fsync", "replace", "close")


def fail_at(patch: pytest.MonkeyPatch, count: int, code: int) -> Callable[[], int]:
    """Let the count-th call of ``CALLS`` raise; returns a function that tells how many calls were made."""
    made = 0

    def failing(genuine: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            nonlocal made
            made += 1
            if made == count:
                raise OSError(code, os.strerror(code))
            return genuine(*arguments, **options)

        return call

    for name in CALLS:
        patch.setattr(os, name, failing(getattr(os, name)))
    return lambda: made


def refusal(action: Callable[[], object]) -> StoreError | None:
    try:
        action()
    except StoreError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("code", "expected"),
    [(errno.ENOSPC, "SW-S01"), (errno.EDQUOT, "SW-S01"), (errno.EROFS, "SW-S02"), (errno.EIO, "SW-S03")],
)
def test_whichever_call_fails_the_old_bytes_stay_and_nothing_is_left(tmp_path: Path, code: int, expected: str) -> None:
    path = tmp_path / "pictures" / "a.png"
    write_atomic(path, b"old")
    for count in range(1, 100):
        with pytest.MonkeyPatch.context() as patch:
            made = fail_at(patch, count, code)
            error = refusal(lambda: write_atomic(path, b"new"))
        if error is None:
            break
        assert error.code == expected
        assert str(path.parent) in error.message
        assert "MB free" in error.message
        assert path.read_bytes() in (b"old", b"new")
        assert snapshot(tmp_path).keys() == {"pictures/a.png"}
        write_atomic(path, b"old")
    assert path.read_bytes() == b"new"
    assert made() < count
    assert count > 8


@pytest.mark.parametrize("count", range(1, 80, 6))
def test_a_run_whose_disk_fails_once_ends_in_one_error_and_resumes(tmp_path: Path, count: int) -> None:
    write_run(tmp_path / "clean")
    with pytest.MonkeyPatch.context() as patch:
        fail_at(patch, count, errno.ENOSPC)
        with pytest.raises(StoreError, match="is full") as refusal:
            write_run(tmp_path / "run")
    assert refusal.value.code == "SW-S01"
    assert not [name for name in snapshot(tmp_path / "run") if name.endswith(".tmp")]
    write_run(tmp_path / "run")
    assert snapshot(tmp_path / "run") == snapshot(tmp_path / "clean")
    assert verify(tmp_path / "run") == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    if (
        os.geteuid()
        or not shutil.which("mount")
        or subprocess.run(command, capture_output=True, check=False).returncode
    ):
        pytest.skip("mounting a small disk needs a privileged user")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_really_full_disk_gives_one_error_and_a_resumable_directory(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(100_000))
    with pytest.raises(StoreError, match=r"is full: .* \(No space left on device; 0\.\d MB free\)"):
        write_run(small_disk / "run")
    assert not [name for name in snapshot(small_disk) if name.endswith(".tmp")]
    subprocess.run(["mount", "-o", "remount,size=2m", str(small_disk)], check=True)
    computed: list[str] = []
    write_run(small_disk / "run", computed.append)
    assert 0 < len(computed) < sum(map(len, SPLITS.values()))
    assert verify(small_disk / "run") == []


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_read_only_directory_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(StoreError, match="cannot be written to") as refusal:
        RunDirectory.open(tmp_path / "run", {}).__enter__()
    assert refusal.value.code == "SW-S02"


@pytest.mark.parametrize("point", ["file.created", "file.chunk", "file.written", "file.synced", "file.replaced"])
def test_an_interrupt_in_the_middle_of_a_commit_leaves_all_or_nothing(tmp_path: Path, point: str) -> None:
    def interrupt(name: str) -> None:
        if name == point:
            raise KeyboardInterrupt

    root = tmp_path / "run"
    with RunDirectory.open(root, {}) as run:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(files, "reach", interrupt)
            with pytest.raises(KeyboardInterrupt):
                run.commit("train", [sample_row("a")], QUESTIONS)
        shards = [name for name in snapshot(root) if name.startswith("shards/")]
        assert shards == (["shards/train-00000.parquet"] if point == "file.replaced" else [])
        run.commit("train", [sample_row("b")], QUESTIONS)
        run.finish()
        assert set(run.answered("train")) == ({"a", "b"} if shards else {"b"})
    assert verify(root) == []


@pytest.mark.parametrize(("durable", "flushes"), [(True, 3), (False, 0)])
def test_only_a_durable_file_waits_for_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool, flushes: int
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(os, "fsync", calls.append)
    write_atomic(tmp_path / "new" / "a", b"x", durable=durable)  # the new directory's name, the file, the file's name
    assert len(calls) == flushes


def test_a_deleted_draft_leaves_the_file_alone(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", b"old")
    with replacing(tmp_path / "a") as draft:
        draft.unlink()
    assert snapshot(tmp_path) == {"a": b"old"}


def test_an_error_of_the_writer_itself_passes_through_and_leaves_no_litter(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a"):
        raise ZeroDivisionError
    assert snapshot(tmp_path) == {}


def test_a_file_written_anew_obeys_the_umask_and_replaces_a_link_not_its_target(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"precious")
    (tmp_path / "a").symlink_to(tmp_path / "target")
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "a", b"new")
    finally:
        os.umask(before)
    assert snapshot(tmp_path) == {"a": b"new", "target": b"precious"}
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_many_threads_write_many_files(tmp_path: Path) -> None:
    def work(worker: int) -> None:
        for i in range(30):
            write_atomic(tmp_path / str(i % 3) / f"{worker}-{i}", bytes([worker, i]), durable=False)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert snapshot(tmp_path) == {f"{i % 3}/{w}-{i}": bytes([w, i]) for w in range(4) for i in range(30)}


def test_only_our_own_temporary_files_are_removed(tmp_path: Path) -> None:
    mine = tmp_path / "gradcam" / ".seewhy-123-0.tmp"
    theirs = [tmp_path / ".tmp", tmp_path / "seewhy-1-1.tmp", tmp_path / ".seewhy-x.tmp", tmp_path / "notes.tmp"]
    mine.parent.mkdir()
    for path in (mine, *theirs):
        path.write_bytes(b"")
    assert remove_temporaries(tmp_path) == 1
    assert not mine.exists()
    assert all(path.exists() for path in theirs)


def test_a_failpoint_is_silent_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(failpoints.VARIABLE, raising=False)
    monkeypatch.setattr(os, "kill", lambda pid, signal: pytest.fail("killed"))
    failpoints.reach("file.created")


def test_a_failpoint_kills_at_the_count_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    kills: list[int] = []
    monkeypatch.setenv(failpoints.VARIABLE, "shard.committed:2")
    monkeypatch.setattr(failpoints, "_reached", type(failpoints._reached)())
    monkeypatch.setattr(os, "kill", lambda pid, signal: kills.append(signal))
    for name, expected in [("shard.committed", []), ("file.created", []), ("shard.committed", [9])]:
        failpoints.reach(name)
        assert kills == expected
