"""Whether a run of a store may be fetched into a directory: what lies there already must be a copy of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from seewhy.remote.files import RemoteFile
from seewhy.remote.folder_store import FolderStore
from seewhy.store.files import make_directory
from seewhy.store.holding import holding
from seewhy.store.keys import difference
from seewhy.store.layout import MANIFEST, committed_shards, is_run
from seewhy.store.manifest import parse, read_manifest
from seewhy.store.parts import part_places
from seewhy.store.shards import Shard
from seewhy.values import Json, StoreError

CHOOSE = "fetch it into a new directory; nothing there was touched"


@contextlib.contextmanager
def held_copy(folder: FolderStore, listed: Mapping[str, RemoteFile], directory: Path) -> Iterator[None]:
    """Hold ``directory`` for a copy of the run whose files are ``listed``.

    Raises:
        StoreError: ``SW-S05``, another run lies there, or one that holds more; ``SW-S08`` and ``SW-S09``, a file or
            other files do; ``SW-S04``, somebody writes there; ``SW-S01`` to ``SW-S03`` from the disk.
    """
    _require_copy(folder, listed, directory)
    make_directory(directory)
    with holding(directory):
        _require_copy(folder, listed, directory)  # once more: nobody writes there any longer
        yield


def _require_copy(folder: FolderStore, listed: Mapping[str, RemoteFile], directory: Path) -> None:
    if directory.exists() and not directory.is_dir():
        raise StoreError("SW-S08", f"{directory} is a file", fix="fetch the run into a directory of its own")
    below = {str(PurePosixPath(name).parent) for name in listed if PurePosixPath(name).name == MANIFEST}
    places = {directory, *(directory / name for name in below), *part_places(directory).values()}
    runs = sorted(place for place in places if is_run(place))
    for place in runs:
        _require_same(folder, listed, place, place.relative_to(directory).as_posix())
    strangers = [] if runs or not directory.is_dir() else sorted(_visible(directory))
    if strangers:
        raise StoreError(
            "SW-S09", f"{directory} is not empty and no copy of a run: it holds {', '.join(strangers[:3])}", fix=CHOOSE
        )


def _require_same(folder: FolderStore, listed: Mapping[str, RemoteFile], place: Path, below: str) -> None:
    prefix = "" if below == "." else f"{below}/"
    there = folder.read(f"{prefix}{MANIFEST}")
    lines = [] if there is None else difference(_fingerprint(place), _told(there, place))
    if lines:
        raise StoreError(
            "SW-S05",
            f"{place} is another run than {folder.address}; what differs (here -> there):\n    " + "\n    ".join(lines),
            fix=CHOOSE,
        )
    more = [
        name
        for name in committed_shards(place)
        if (file := listed.get(f"{prefix}{name}")) is None
        or (there is None and file.size != (place / name).stat().st_size)
    ]
    if more:
        raise StoreError(
            "SW-S05", f"{place} holds what the run in {folder.address} does not, such as {more[0]}", fix=CHOOSE
        )


def _fingerprint(place: Path) -> Mapping[str, Json]:
    manifest = read_manifest(place)
    return Shard(place / committed_shards(place)[0]).header.fingerprint if manifest is None else manifest.fingerprint


def _told(manifest: bytes, place: Path) -> Mapping[str, Json]:
    """The fingerprint of the run in the store; where its manifest is damaged, that of the copy: it is fetched to be
    looked at."""
    try:
        return parse(manifest, place / MANIFEST).fingerprint
    except StoreError:
        return _fingerprint(place)


def _visible(directory: Path) -> Iterator[str]:
    """What is there beside folders without a file, which a fetch that was killed may leave."""
    for path in directory.iterdir():
        if path.name[0] != "." and (
            path.is_file() or any(one.is_file() and one.name[0] != "." for one in path.rglob("*"))
        ):
            yield path.name
