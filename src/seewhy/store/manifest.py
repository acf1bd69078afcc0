"""The manifest: a small page of JSON that says what a run holds, and carries a digest of itself."""

from __future__ import annotations

import functools
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from seewhy.store.keys import digest
from seewhy.store.layout import MANIFEST
from seewhy.store.shards import SCHEMA_VERSION, newer_schema
from seewhy.values import Json, StoreError

RunStatus = Literal["running", "complete"]
_NUMERIC = ("numpy", "torch", "torchvision", "timm", "pillow", "pyarrow")


@dataclass(frozen=True)
class FileEntry:
    """The bytes a file had when it was written."""

    sha256: str
    size: int


@dataclass(frozen=True)
class ShardEntry(FileEntry):
    """A committed shard: its bytes, its split and its number of rows."""

    split: str
    rows: int


@dataclass(frozen=True)
class DerivedEntry(FileEntry):
    """A file that describes the whole run, such as ``embeddings/train_embeddings.pt``."""

    kind: str


@dataclass(frozen=True)
class Manifest:
    """What a run holds. ``counts`` is ``{split: {status: records}}``, ``made_with`` the versions that wrote shards."""

    fingerprint: Mapping[str, Json]
    status: RunStatus = "running"
    questions: Mapping[str, Json] = field(default_factory=dict)
    made_with: Sequence[Mapping[str, str]] = ()
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    shards: Mapping[str, ShardEntry] = field(default_factory=dict)
    derived: Mapping[str, DerivedEntry] = field(default_factory=dict)


@functools.cache
def versions() -> Mapping[str, str]:
    """The installed version of seewhy and of each library that decides its numbers."""
    found = {}
    for package in ("seewhy", *_NUMERIC):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "(not installed)"
    return found


def render(manifest: Manifest) -> bytes:
    """The bytes of ``manifest.json``; equal manifests have equal bytes."""
    body = {"schema": SCHEMA_VERSION, "fingerprint_sha256": digest(manifest.fingerprint), **asdict(manifest)}
    return _page(body | {"digest": digest(body)})


def parse(data: bytes, path: Path) -> Manifest:
    """The inverse of :func:`render`.

    Raises:
        StoreError: ``SW-S11``, a byte is not as it was written; ``SW-S07``, a newer seewhy wrote it.
    """
    try:
        said = json.loads(data)
        body = {key: value for key, value in said.items() if key != "digest"}
        if _page(said) != data or said["digest"] != digest(body):
            raise _damaged(path, "its digest does not fit its text")
        if said["schema"] > SCHEMA_VERSION:
            raise newer_schema(path, said["schema"], (said["made_with"] or [{}])[-1])
        return Manifest(
            fingerprint=said["fingerprint"],
            status=said["status"],
            questions=said["questions"],
            made_with=said["made_with"],
            counts=said["counts"],
            shards={name: ShardEntry(**entry) for name, entry in said["shards"].items()},
            derived={name: DerivedEntry(**entry) for name, entry in said["derived"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path, str(error)) from error


def read_manifest(root: Path) -> Manifest | None:
    """The manifest of a run directory, or None where it has none. Raises as :func:`parse`."""
    path = root / MANIFEST
    try:
        return parse(path.read_bytes(), path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _damaged(path, str(error)) from error


def _page(said: Mapping[str, Json]) -> bytes:
    return (json.dumps(said, indent=2, sort_keys=True, allow_nan=False) + "\n").encode("ascii")


def _damaged(path: Path, reason: str) -> StoreError:
    return StoreError(
        "SW-S11",
        f"{path} is damaged: {reason}",
        fix="delete it and run the same command again: it is rebuilt from the shards",
    )
