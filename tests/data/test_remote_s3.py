"""An S3 server on this machine: what is read from it, by whom, and what is said where it cannot be."""

from __future__ import annotations

import socket
import time
from io import BytesIO
from pathlib import Path

import pytest
import torch
from torch import nn

from nobody import nobody
from object_server import SECRET, png, put, use, without_waiting
from seewhy.data.batching import load_batches
from seewhy.data.image_folder import ImageFolder
from seewhy.models.load import load_checkpoint
from seewhy.remote import stores
from seewhy.values import CheckpointError, DataError

pytestmark = pytest.mark.usefixtures("torchs_own_signal_handler")
FILES = {f"{split}/{name}/{name}.png": png(seed) for seed, (split, name) in enumerate(
    (split, name) for split in ("train", "val") for name in ("cat", "dog")
)}  # fmt: skip


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    use(monkeypatch, server, tmp_path / "cache")
    put("bucket", {f"set/{name}": content for name, content in FILES.items()})
    put("bucket", {"set/": b"", "settings/other.png": png(9)})  # a marker, and a folder whose name begins alike
    return "s3://bucket"


def on_disk(folder: Path) -> Path:
    """The same files in a folder."""
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_a_folder_is_read_by_forked_loaders_as_the_one_on_disk(bucket: str, tmp_path: Path) -> None:
    local, remote = ImageFolder(on_disk(tmp_path / "set"), 8), ImageFolder(f"{bucket}/set", 8)
    assert remote.index() == local.index()
    remote.read(0)  # so that this process has connections open when it forks
    batches = load_batches(remote, [[0, 1], [2, 3]], num_workers=2, start_method="fork")
    records = [record for batch in batches for record in batch.records]
    assert [record.revision for record in records] == [remote.revision(position) for position in range(4)]
    assert all(torch.equal(record.inputs["image"], local.read(n).inputs["image"]) for n, record in enumerate(records))


def test_a_revision_is_the_stores_own_and_takes_no_fetch(bucket: str, tmp_path: Path) -> None:
    first = ImageFolder(f"{bucket}/set", 8)
    before = [first.revision(position) for position in range(4)]
    assert len(set(before)) == 4
    assert not (tmp_path / "cache").exists()
    put("bucket", {"set/val/dog/dog.png": png(77)})
    after = ImageFolder(f"{bucket}/set", 8)
    assert [after.revision(position) == before[position] for position in range(4)] == [True, True, True, False]
    with pytest.raises(DataError, match=r"SW-D146.*dog\.png was changed"):
        first.read(3)
    assert after.read(3).revision == after.revision(3)


def test_a_checkpoint_is_fetched_whole(bucket: str) -> None:
    model, held = nn.Linear(2, 2), BytesIO()
    torch.save({"state_dict": model.state_dict()}, held)
    put("bucket", {"run/last.ckpt": held.getvalue(), "run/text.ckpt": b"no checkpoint"})
    loaded = nn.Linear(2, 2)
    size = f"{len(held.getvalue()) / 1e6:.3g} MB"
    assert load_checkpoint(loaded, f"{bucket}/run/last.ckpt").path == f"s3://bucket/run/last.ckpt ({size})"
    assert torch.equal(loaded.weight, model.weight)
    assert load_checkpoint(loaded, Path(f"{bucket}/run/last.ckpt")).coverage.fraction == 1
    with pytest.raises(CheckpointError, match=r"SW-C07.*s3://bucket/run/text\.ckpt is text"):
        load_checkpoint(loaded, f"{bucket}/run/text.ckpt")
    with pytest.raises(CheckpointError, match=r"SW-C51.*s3://bucket/run/first\.ckpt does not exist"):
        load_checkpoint(loaded, f"{bucket}/run/first.ckpt")


@pytest.mark.parametrize("address", ["s3://no-such-bucket/set", "s3://no-such-bucket", "s3://bucket/nothing"])
def test_what_is_not_there(bucket: str, address: str) -> None:
    with pytest.raises(DataError, match=f"SW-D142.*{address} does not exist"):
        ImageFolder(address)


def test_without_credentials(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(stores, "_open", {})
    with pytest.raises(DataError, match=r"SW-D143.*access is denied \(NoCredentialsError"):
        ImageFolder(f"{bucket}/set")


def test_a_closed_port_is_told_before_anything_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_waiting(monkeypatch)
    with nobody() as address:
        use(monkeypatch, f"http://{address}", tmp_path)
        with pytest.raises(DataError, match=r"SW-D144.*s3://bucket/set: the store cannot be reached") as caught:
            ImageFolder("s3://bucket/set")
        with pytest.raises(CheckpointError, match="SW-C53"):
            load_checkpoint(nn.Linear(2, 2), "s3://bucket/last.ckpt")
    assert SECRET not in str(caught.value)


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        use(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path)
        monkeypatch.setattr(stores, "FIRST_ANSWER_SECONDS", 0.5)
        began = time.monotonic()
        with pytest.raises(DataError, match=r"SW-D144.*no answer within 0 s"):
            ImageFolder("s3://bucket/set")
        assert time.monotonic() - began < stores.READ_SECONDS  # the store's own patience is longer
