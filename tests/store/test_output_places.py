"""An output directory that the file system refuses is told in our words, whatever asks for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from seewhy.cli.local_run import require_run
from seewhy.pipeline.merge import merge
from seewhy.store.additions import adding_to
from seewhy.store.part import Part
from seewhy.store.parts import require_merged, require_part_fits
from seewhy.store.run_reader import RunReader
from seewhy.store.verify import verify
from seewhy.values import StoreError

ASKING: list[Callable[[Path], object]] = [require_merged, lambda root: require_part_fits(root, Part(0, 2)), merge]


@pytest.mark.parametrize("asked", ASKING)
@pytest.mark.parametrize("name", ["a" * 300, "a" * 300 + "/below"])
def test_a_name_that_is_too_long_is_told(tmp_path: Path, asked: Callable[[Path], object], name: str) -> None:
    with pytest.raises(StoreError, match="File name too long") as refusal:
        asked(tmp_path / name)
    assert refusal.value.code == "SW-S03"


@pytest.mark.parametrize("asked", ASKING)
@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_name_that_no_directory_can_have_is_told(tmp_path: Path, asked: Callable[[Path], object], name: str) -> None:
    with pytest.raises(StoreError, match=re.escape(repr(str(tmp_path / name)))) as refusal:
        asked(tmp_path / name)
    assert refusal.value.code == "SW-S08"


@pytest.mark.parametrize("asked", ASKING)
def test_links_in_a_circle_are_told(tmp_path: Path, asked: Callable[[Path], object]) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(StoreError, match=r"loop|symbolic links") as refusal:
        asked(tmp_path / "a" / "run")
    assert refusal.value.code in {"SW-S03", "SW-S08"}  # by the version of Python: who resolves a path notices, or not


READING: list[Callable[[Path], object]] = [verify, RunReader, lambda root: adding_to(root).__enter__(), require_run]


@pytest.mark.parametrize("asked", READING)
def test_where_no_directory_can_be_there_is_no_run(tmp_path: Path, asked: Callable[[Path], object]) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("a" * 300, "a\0b", "loop", "loop/run"):
        with pytest.raises(StoreError, match="SW-S17") as refusal:
            asked(tmp_path / name)
        assert refusal.value.message == f"{tmp_path / name} holds no run"


def test_a_place_below_a_file_holds_no_parts(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="SW-S45"):
        merge(tmp_path / "file" / "run")


def test_what_is_no_run_is_refused_with_or_without_parts(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    for asked in ASKING[:2]:
        with pytest.raises(StoreError, match="SW-S09"):
            asked(tmp_path)
