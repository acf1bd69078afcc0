"""A disk that fills up: one clear error, nothing half written, and the same command goes on once there is space."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from pipeline_samples import Pictures, ids, snapshot, vit
from torch import Tensor, nn

import seewhy
from seewhy.store import files
from seewhy.store.run_reader import RunReader
from seewhy.values import SeewhyError


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may grow beyond ``size`` bytes: every way of writing meets the operating system's no."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Wide(nn.Module):
    """512 features of each record."""

    num_classes = 0

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.conv(image).flatten(1)


def wide_run(root: Path) -> seewhy.Summary:
    torch.manual_seed(0)
    return seewhy.run(Wide(), Pictures(ids(40)), root, shard_size=4, generate_gradcam=False, generate_attention=False)


def picture_run(root: Path) -> seewhy.Summary:
    return seewhy.run(vit(), Pictures(ids(6)), root, batch_size=2, shard_size=2, target_classes=[0])


def test_what_a_nearly_full_disk_takes_in_pieces_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda handle, data, place: write(handle, data[:1000], place))
    only = {"generate_gradcam": False, "generate_attention": False, "generate_report": False}
    seewhy.run(Wide(), Pictures(ids(3)), tmp_path / "run", **only)
    written = torch.load(tmp_path / "run/embeddings/test_embeddings.pt")
    stored = [answer.values for row in RunReader(tmp_path / "run").rows("test") for answer in row.answers.values()]
    np.testing.assert_array_equal(written.numpy(), np.stack(stored))


@pytest.mark.parametrize(
    ("job", "size", "named"),
    [
        (picture_run, 1500, "class_0.png"),
        (wide_run, 4000, "test-00000.parquet"),
        (wide_run, 50_000, "embeddings"),
        (wide_run, 40 * 512 * 4 + 100, "test_embeddings.pt"),
    ],
    ids=["pictures", "shards", "ordering", "embeddings"],
)
def test_a_file_that_finds_no_space_is_one_clear_error_and_a_run_to_go_on_with(
    tmp_path: Path, job: Callable[[Path], seewhy.Summary], size: int, named: str
) -> None:
    job(tmp_path / "whole")
    with largest_file(size), pytest.raises(SeewhyError) as full:
        job(tmp_path / "run")
    assert full.value.code == "SW-S01"
    assert str(tmp_path / "run") in full.value.message
    assert named in full.value.message
    assert "free some space and run the same command again" in full.value.fix
    assert not [name for name in snapshot(tmp_path / "run") if name.endswith(".tmp")]
    assert job(tmp_path / "run").exit_code == 0
    assert snapshot(tmp_path / "run") == snapshot(tmp_path / "whole")
    assert seewhy.verify(tmp_path / "run") == []


def test_committed_records_survive_a_disk_that_fills_up_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, space, real = 0, float("inf"), os.write

    def write(handle: int, data: bytes) -> int:
        nonlocal written
        written += len(data)
        if written > space:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "write", write)
        picture_run(tmp_path / "whole")
        written, space = 0, written * 2 // 3
        with pytest.raises(SeewhyError, match="is full") as full:
            picture_run(tmp_path / "run")
    assert full.value.code == "SW-S01"
    summary = picture_run(tmp_path / "run")
    assert (summary.computed, summary.reused) in {(2, 4), (4, 2)}
    assert snapshot(tmp_path / "run") == snapshot(tmp_path / "whole")
