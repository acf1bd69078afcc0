"""The cache of remote files: private, bounded, whole copies only, and safe for several processes."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import time
from pathlib import Path

import pytest

from seewhy.remote import cache as cache_module
from seewhy.remote.cache import FileCache, file_cache
from seewhy.remote.copy_names import safe_name
from seewhy.remote.failures import RemoteError


def fetch(cache: FileCache, key: str, size: int = 100) -> bool:
    """Ask for a copy of so many bytes; whether it had to be written."""
    written = []

    def fill(folder: Path) -> None:
        written.append(key)
        (folder / "x.bin").write_bytes(bytes(size))

    with cache.holding(key, {"x.bin": size}, fill) as folder:
        assert (folder / "x.bin").stat().st_size == size
    return bool(written)


def bytes_held(cache: FileCache) -> int:
    """All that lies in the cache."""
    return sum(path.stat().st_size for path in cache.folder.rglob("*") if path.is_file())


def test_a_copy_is_written_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    cache = FileCache(tmp_path / "cache", 10_000)
    assert [fetch(cache, "a"), fetch(cache, "a"), fetch(cache, "b")] == [True, False, True]
    assert {path.stat().st_mode & 0o777 for path in (cache.folder, *(cache.folder / "files").rglob("?" * 38))} == {
        0o700
    }


def test_the_least_recently_used_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = FileCache(tmp_path / "cache", 1_000)
    clock = iter(range(1, 100))
    real = os.utime
    monkeypatch.setattr(cache_module.os, "utime", lambda path: real(path, (now := next(clock), now)))
    for name in "abcdefghij":
        fetch(cache, name)
    assert not fetch(cache, "a")  # the one used last, from here on
    fetch(cache, "k")
    # 1100 bytes were too many; b and c went, so that at most 900 are left
    assert bytes_held(cache) == 900
    assert [fetch(FileCache(cache.folder, 10**6), name) for name in "ak"] == [False, False]
    assert [fetch(FileCache(cache.folder, 10**6), name) for name in "bc"] == [True, True]


def test_what_is_being_read_stays(tmp_path: Path) -> None:
    cache = FileCache(tmp_path / "cache", 150)
    with cache.holding("a", {"x": 100}, lambda folder: _write(folder / "x", 100)) as folder:
        for name in "bcd":
            fetch(cache, name)
        assert (folder / "x").read_bytes() == bytes(100)


def _write(path: Path, size: int) -> None:
    path.write_bytes(bytes(size))


def test_a_damaged_copy_is_written_anew(tmp_path: Path) -> None:
    cache = FileCache(tmp_path / "cache", 10_000)
    fetch(cache, "a")
    (damaged,) = (cache.folder / "files").rglob("x.bin")
    damaged.write_bytes(b"")
    assert fetch(cache, "a")


def test_what_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    cache = FileCache(tmp_path / "cache", 10_000)

    def half(folder: Path) -> None:
        (folder / "x.bin").write_bytes(b"half")
        raise RemoteError("broken", "gone")

    with pytest.raises(RemoteError, match="gone"), cache.holding("a", {"x.bin": 100}, half):
        pass
    assert bytes_held(cache) == 0
    assert list((cache.folder / "incoming").iterdir()) == []


def test_what_a_killed_process_left_is_removed_after_a_day(tmp_path: Path) -> None:
    cache = FileCache(tmp_path / "cache", 10_000)
    fetch(cache, "a")
    for name, hours in (("old", 25), ("young", 1)):
        left = cache.folder / "incoming" / name
        left.mkdir()
        (left / "half").write_bytes(b"half")
        then = time.time() - hours * 3600
        os.utime(left / "half", (then, then))
        os.utime(left, (then, then))
    cache.sweep()
    assert [path.name for path in (cache.folder / "incoming").iterdir()] == ["young"]


def test_four_processes_share_one_cache(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    folder = tmp_path / "cache"
    workers = [context.Process(target=_work, args=(folder, number)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    left = FileCache(folder, 1_000)
    left.sweep()
    assert bytes_held(left) <= 1_000


def _work(folder: Path, number: int) -> None:
    cache = FileCache(folder, 1_000)
    for turn in range(40):
        fetch(cache, f"{(turn * 7 + number) % 15}")


def test_a_folder_that_others_can_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    with pytest.raises(RemoteError, match="only you can write") as caught:
        fetch(FileCache(tmp_path / "cache", 1_000), "a")
    assert caught.value.kind == "cache"


@pytest.mark.parametrize("stray", ["files/.DS_Store", "files/ab/.DS_Store", "incoming/.DS_Store", "files"])
def test_files_of_others_in_it_disturb_nothing(stray: str, tmp_path: Path) -> None:
    cache = FileCache(tmp_path / "cache", 1_000)
    for folder in ("files/ab", "incoming"):
        (cache.folder / folder).mkdir(parents=True)
    cache.folder.chmod(0o700)
    if stray == "files":
        (cache.folder / "files/ab").rmdir()
        (cache.folder / "files").rmdir()
    (cache.folder / stray).write_bytes(b"x")
    if stray == "files":
        with pytest.raises(RemoteError, match="cannot be used") as caught:
            fetch(cache, "a")
        assert caught.value.kind == "cache"
        return
    for name in "abcdefghijkl":
        assert fetch(cache, name)
    assert bytes_held(cache) <= 1_000 + 1


def test_a_sweep_that_fails_keeps_what_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = FileCache(tmp_path / "cache", 1_000)
    monkeypatch.setattr(FileCache, "_copies", _denied)
    assert fetch(cache, "a")


def _denied(cache: FileCache) -> None:
    raise PermissionError(13, "Permission denied")


def test_a_damaged_entry_makes_room(tmp_path: Path) -> None:
    cache = FileCache(tmp_path / "cache", 10_000)
    with cache.holding("a", {"x": 9}, lambda folder: _write(folder / "x", 9)) as entry:
        pass
    shutil.rmtree(entry)
    entry.write_bytes(b"no folder")
    assert fetch(cache, "b")
    with cache.holding("a", {"x": 9}, lambda folder: _write(folder / "x", 9)) as entry:
        assert (entry / "x").stat().st_size == 9
    assert list((cache.folder / "incoming").iterdir()) == []


@pytest.mark.parametrize("limit", ["many", "-1", "0", "nan", "inf"])
def test_a_limit_that_is_no_size(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEWHY_CACHE_GB", limit)
    with pytest.raises(RemoteError, match=f"SEEWHY_CACHE_GB={limit} is no size"):
        file_cache()


def test_different_names_stay_different() -> None:
    tail = "x" * 300 + ".nii.gz"
    names = ["a" + tail, "b" + tail, "a/b", "a_b", "\udcff.png", "\udcfe.png", "", "..", "y" * 255, "y" * 256]
    safe = [safe_name(name) for name in names]
    assert len(set(safe)) == len(names)
    assert all(len(name.encode()) <= 255 for name in safe)
    assert [name for name, given in zip(safe, names, strict=True) if name == given] == ["a_b", "y" * 255]
    assert safe[0].endswith(".nii.gz")


@pytest.mark.parametrize("name", ["..", ".", "", "a/../b", "x\0y", "\udcff.png", "y" * 999])
def test_a_name_stays_inside_the_cache(name: str, tmp_path: Path) -> None:
    path = tmp_path / safe_name(name)
    path.write_bytes(b"")
    assert path.resolve().parent == tmp_path.resolve()
