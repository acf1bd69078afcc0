"""``generate_artifacts`` with its data and its checkpoint in a store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_samples import TINY_VIT, rows

from conftest import CKPT, Command
from object_server import SECRET, png, put, served, use

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("torchs_own_signal_handler")]
MODEL = (
    "model=timm", "model.name=vit_tiny_patch16_224", "model.num_classes=10",
    *(f"model.kwargs.{name}={value}" for name, value in TINY_VIT.items()),
    "data=image_folder", "data.size=32", "data.batch_size=2", "data.num_workers=2", "data.class_names=null",
)  # fmt: skip


def test_one_command_reads_a_bucket_as_it_reads_a_folder(
    project: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"test/{name}/{number}.png": png(number, 40) for number, name in enumerate(("cat", "dog", "dog"))}
    for name, content in files.items():
        (project / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (project / "set" / name).write_bytes(content)
    with served() as endpoint:
        use(monkeypatch, endpoint, project / "cache")
        put("commands", {f"set/{name}": content for name, content in files.items()})
        put("commands", {"run/epoch=3.ckpt": (project / CKPT).read_bytes()})
        local = command(*MODEL, f"ckpt_path={CKPT}", "data.root=set", "output_dir=local")
        words = (*MODEL, "ckpt_path=s3://commands/run/epoch=3.ckpt", "data.root=s3://commands/set", "output_dir=remote")
        remote = command(*words)
    assert (local.code, remote.code) == (0, 0), remote.err
    assert "s3://commands/run/epoch=3.ckpt (" in remote.err
    ours, theirs = rows(project / "local", "test"), rows(project / "remote", "test")
    assert list(ours) == list(theirs) == ["test/cat/0", "test/dog/1", "test/dog/2"]
    for name, row in ours.items():
        assert all(np.array_equal(row.answers[key].values, theirs[name].answers[key].values) for key in row.answers)
    written = b"".join(path.read_bytes() for path in (project / "remote").rglob("*") if path.is_file())
    assert SECRET.encode() not in written


def test_an_unreachable_store_is_told_before_anything_is_written(
    project: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, "http://127.0.0.1:9", project / "cache")
    ended = command(*MODEL, f"ckpt_path={CKPT}", "data.root=s3://commands/set", "output_dir=remote")
    assert ended.code == 2
    assert "[SW-D144] s3://commands/set: the store cannot be reached" in ended.err
    assert not (project / "remote").exists()
