"""A file under a second name: linked where the file system can, copied where it cannot, whole in any case."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from seewhy.store import sharing
from seewhy.store.sharing import share_file
from seewhy.values import StoreError


def test_a_file_is_linked_and_a_second_time_nothing_is_done(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "deep" / "b"
    source.write_bytes(b"rows")
    assert share_file(source, target)
    assert target.samefile(source)
    assert not share_file(source, target)
    assert sorted(path.name for path in target.parent.iterdir()) == ["b"]


def test_whoever_replaces_one_name_leaves_the_other(tmp_path: Path) -> None:
    from seewhy.store.files import write_atomic

    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"rows")
    share_file(source, target)
    write_atomic(target, b"other")
    assert (source.read_bytes(), target.read_bytes()) == (b"rows", b"other")
    assert share_file(source, target)
    assert target.read_bytes() == b"rows"


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_without_links_it_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*names: object) -> None:
        raise OSError(number, os.strerror(number))

    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"rows" * 1000)
    monkeypatch.setattr(sharing.os, "link", refuse)
    assert share_file(source, target)
    assert target.read_bytes() == source.read_bytes()
    assert source.stat().st_nlink == 1
    assert not share_file(source, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_copy_that_finds_no_space_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*names: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "a").write_bytes(b"rows")
    monkeypatch.setattr(sharing.os, "link", full)
    monkeypatch.setattr(sharing.shutil, "copyfile", full)
    with pytest.raises(StoreError, match="SW-S01"):
        share_file(tmp_path / "a", tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_is_not_there_cannot_be_shared(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        share_file(tmp_path / "a", tmp_path / "b")
