"""A run over data in a store is the run over the same files on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import torch
from pipeline_samples import snapshot

import seewhy
from memory_store import use_memory
from object_server import SECRET, png, put, served, use
from seewhy.data.image_folder import ImageFolder
from toys import ConvNet

FILES = {f"val/{name}/{number}.png": png(number) for number, name in enumerate(("cat", "cat", "dog", "dog"))}
SETTINGS: dict[str, Any] = {"generate_report": False, "batch_size": 2, "num_workers": 0}


def colour_net() -> ConvNet:
    torch.manual_seed(0)
    return ConvNet(channels=3)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_memory(monkeypatch, tmp_path / "cache")
    for name, content in FILES.items():
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(content)
    return tmp_path / "set"


def test_of_a_store_that_tells_no_version_every_byte_is_the_same(folder: Path, tmp_path: Path) -> None:
    for name, content in FILES.items():
        fsspec.filesystem("memory").pipe_file(f"/set/{name}", content)
    seewhy.run(colour_net(), ImageFolder(folder, 16), tmp_path / "local", **SETTINGS)
    seewhy.run(colour_net(), ImageFolder("memory://set", 16), tmp_path / "remote", **SETTINGS)
    assert snapshot(tmp_path / "remote") == snapshot(tmp_path / "local")


def test_of_s3_all_but_the_revision_is_the_same_and_nothing_secret_is_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served() as endpoint:
        use(monkeypatch, endpoint, tmp_path / "cache")
        put("runs", {f"set/{name}": content for name, content in FILES.items()})
        seewhy.run(colour_net(), ImageFolder(folder, 16), tmp_path / "local", **SETTINGS)
        summary = seewhy.run(colour_net(), ImageFolder("s3://runs/set", 16), tmp_path / "remote", **SETTINGS)
        assert (summary.computed, summary.exit_code) == (4, 0)
        again = seewhy.run(colour_net(), ImageFolder("s3://runs/set", 16), tmp_path / "remote", **SETTINGS)
        assert (again.computed, again.reused) == (0, 4)
        put("runs", {"set/val/dog/3.png": png(99)})
        changed = seewhy.run(colour_net(), ImageFolder("s3://runs/set", 16), tmp_path / "changed", **SETTINGS)
        assert changed.computed == 4
        once_more = seewhy.run(colour_net(), ImageFolder("s3://runs/set", 16), tmp_path / "remote", **SETTINGS)
        assert (once_more.computed, once_more.reused) == (1, 3)
    local, remote = (list(seewhy.RunReader(tmp_path / name).rows("val")) for name in ("local", "remote"))
    assert [row.record_id for row in remote] == [row.record_id for row in local]
    for ours, theirs in zip(local[:3], remote[:3], strict=True):
        assert ours.revision != theirs.revision
        assert repr(replace(ours, revision="")) == repr(replace(theirs, revision=""))
        assert all(np.array_equal(ours.answers[key].values, theirs.answers[key].values) for key in ours.answers)
    written = b"".join(path.read_bytes() for path in (tmp_path / "remote").rglob("*") if path.is_file())
    assert SECRET.encode() not in written
    assert b"AKIA" not in written
