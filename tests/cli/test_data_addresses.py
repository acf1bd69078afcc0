"""A data set that is opened again may lie in a store, and a checkpoint, wherever a command is told its place."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from object_server import png
from seewhy.cli import inspect_features
from seewhy.cli.evaluate import add_evaluate
from seewhy.cli.live_data import live_dataset
from seewhy.cli.live_model import checkpoint_path
from seewhy.cli.render import add_render
from seewhy.cli.serve import add_serve
from seewhy.data.image_folder import ImageFolder
from seewhy.data.manifest import Manifest
from seewhy.remote import stores
from seewhy.remote.address import name_of
from seewhy.values import DataError

PHOTOS = "memory://reopened/photos"


@pytest.fixture(autouse=True)
def _photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SEEWHY_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(stores, "_open", {})
    system = fsspec.filesystem("memory")
    system.pipe_file("/reopened/photos/val/cat/a.png", png(1))
    system.pipe_file("/reopened/list.tsv", b"id\tpath\na\tphotos/val/cat/a.png\n")
    yield
    system.rm("/reopened", recursive=True)


@pytest.mark.parametrize(
    ("add", "words"),
    [
        (add_render, ["render", "run"]),
        (add_serve, ["serve", "run"]),
        (add_evaluate, ["evaluate", "--model", "resnet18"]),
    ],
)
def test_an_address_stays_one_on_its_way(add: Callable[[Any], None], words: list[str]) -> None:
    parser = argparse.ArgumentParser()
    add(parser.add_subparsers())
    assert parser.parse_args([*words, "--data-root", PHOTOS]).data_root == PHOTOS


@pytest.mark.parametrize("address", ["s3://bucket/run//last.ckpt", "https://host/last.ckpt?sig=ab//cd/./e"])
def test_a_checkpoints_address_keeps_every_letter(address: str) -> None:
    parser = argparse.ArgumentParser()
    add_evaluate(parser.add_subparsers())
    assert parser.parse_args(["evaluate", "--model", "resnet18", "--checkpoint", address]).checkpoint == address
    own = inspect_features.parser().parse_args(["--checkpoint", address])
    assert own.checkpoint == address
    assert checkpoint_path(address) == address
    assert name_of(address) == "last.ckpt"


def test_a_folder_of_pictures_in_a_store_is_opened_again() -> None:
    told = ImageFolder(PHOTOS, 8).fingerprint()
    found = live_dataset(told, PHOTOS, {}, None)
    assert found is not None
    assert [one.record_id for one in found.index()] == ["val/cat/a"]
    assert found.fingerprint() == told


def test_a_manifest_in_a_store_is_told_from_the_folder_it_lies_in() -> None:
    table = "memory://reopened/list.tsv"
    told = Manifest(table, size=8).fingerprint()
    found = live_dataset(told, table, {}, None)
    assert found is not None
    assert found.fingerprint() == told


def test_pictures_that_were_named_one_by_one_are_read_from_this_machine_only(tmp_path: Path) -> None:
    told = {"data": "picture_list", "size": [8, 8], "mean": [0.5] * 3, "std": [0.5] * 3}
    for root, given in ((PHOTOS, {}), (None, {"root": PHOTOS})):
        with pytest.raises(DataError, match="SW-D148"):
            live_dataset(told, root, given, None)
    (tmp_path / "a.png").write_bytes(png(1))
    found = live_dataset(told, None, {"root": str(tmp_path)}, None)
    assert found is not None
    assert len(found.index()) == 1
