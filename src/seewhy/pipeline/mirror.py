"""A run directory on this machine and the folder of a store where it belongs, kept alike."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from seewhy.pipeline.lease import RENEWED_SECONDS, Lease
from seewhy.pipeline.sent_marks import SentMarks, mark_of
from seewhy.remote.address import Address
from seewhy.remote.files import RemoteFile
from seewhy.remote.folder_store import FolderStore
from seewhy.remote.versions import proves
from seewhy.store.failpoints import reach
from seewhy.store.files import TEMPORARY, replacing
from seewhy.store.layout import MANIFEST
from seewhy.store.part import PARTS
from seewhy.store.picture_tables import table_of
from seewhy.store.run_files import is_shard, run_files
from seewhy.store.shards import Shard
from seewhy.values import StoreError

AT_ONCE: Final = 8
"""Files on their way at the same time."""
SHARDS_WAITING: Final = 2
"""Shards that may wait to be sent before the run waits for them."""


class Mirror:
    """Sends what a run commits to a store, each shard behind its pictures, and the manifest last.

    Before each shard and the manifest it looks whether another writer has taken over; before any other file, sent or
    deleted, where it did not for as long as a lease goes without being renewed.
    """

    def __init__(self, folder: FolderStore, root: Path, lease: Lease) -> None:
        self._folder, self._root, self._lease = folder, root, lease
        self._there: dict[str, RemoteFile] = {}
        self._marks = SentMarks(root)
        self._files = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="seewhy-upload")
        self._shards = ThreadPoolExecutor(1, thread_name_prefix="seewhy-upload-shard")
        self._waiting: list[Future[None]] = []

    def look(self) -> bool:
        """Learn what is there; whether the copy may be what was sent there.

        It is not where it holds none of the shards that are there, nor where nothing is there of what was sent.
        """
        self._there = _run_files(self._folder)
        shards, sent = [name for name in self._there if is_shard(name)], self._marks.names
        emptied = bool(sent) and sent.isdisjoint(self._there)
        return not emptied and (not shards or any((self._root / name).is_file() for name in shards))

    def begin(self) -> None:
        """Recall what this copy has sent, as far as it is there still."""
        self._marks = SentMarks(self._root)
        self._marks.compare(self._there)

    def pull(self) -> None:
        """Fetch the files of the run that is there; pictures alone, sent before a first shard, are drawn again."""
        if not _is_run(self._there):
            return
        shards = [name for name in self._there if is_shard(name)]
        first = {MANIFEST, *shards, *map(table_of, shards)}
        self._fetch_each(first)
        self._fetch_each(run_files(self._root).current - first)

    def send_shard(self, name: str) -> None:
        """Send a committed shard and its pictures, beside the run; waits while too many are on their way.

        Raises what an earlier one met.
        """
        self._lease.require_held()
        self._waiting.append(self._shards.submit(self._send_shard, name))
        while len(self._waiting) > SHARDS_WAITING or (self._waiting and self._waiting[0].done()):
            self._waiting.pop(0).result()

    def send_all(self) -> None:
        """Send all that is not there yet, and delete what the run has no longer; the manifest is last."""
        while self._waiting:
            self._waiting.pop(0).result()
        self._lease.require_held()
        own = run_files(self._root)
        here = own.current.intersection(_files_of(self._root))
        shards = {name for name in here if is_shard(name)}
        list(self._files.map(self._send, sorted(here - shards - {MANIFEST})))
        list(self._files.map(self._send, sorted(shards)))
        reach("mirror.sent")
        self._send(MANIFEST)
        if own.known:
            self._remove({*self._marks.names, *own.earlier.intersection(self._there)} - own.current)

    def close(self) -> None:
        """Stop sending: what is on its way ends, what waits does not begin."""
        self._shards.shutdown(cancel_futures=True)
        self._files.shutdown(cancel_futures=True)

    def _send_shard(self, name: str) -> None:
        files = {str(file["path"]) for _, _, listed in Shard(self._root / name).files() for file in listed}
        list(self._files.map(self._send, sorted({*files, table_of(name)})))
        self._send(name)
        reach("mirror.shard")

    def _send(self, name: str) -> None:
        path = self._root / name
        try:
            found = path.stat()
        except FileNotFoundError:
            return  # a picture that was deleted, or drawn again under another name
        mark = mark_of(found)
        if self._marks.has(name, mark):
            return
        listed = self._there.pop(name, None)  # what is sent now makes that description untrue
        if listed is None or not is_copy(path, listed):
            self._lease.require_held(0.0 if name == MANIFEST or is_shard(name) else RENEWED_SECONDS)
            self._folder.send(name, path)
        self._marks.note(name, mark)
        reach("mirror.file")

    def _remove(self, names: Iterable[str]) -> None:
        """Delete there what the run has no longer."""
        for name in sorted(names):
            if not (self._root / name).exists():
                self._lease.require_held(RENEWED_SECONDS)
                self._folder.remove(name)
                self._marks.forget(name)

    def _fetch_each(self, names: Iterable[str]) -> None:
        def take(name: str) -> None:
            fetch(self._folder, name, self._root / name)
            self._marks.note(name, mark_of((self._root / name).stat()))

        list(self._files.map(take, sorted(self._there.keys() & set(names))))


def require_run_or_nothing(folder: FolderStore) -> None:
    """Refuse a folder that holds files and no run.

    Raises:
        StoreError: ``SW-S58``.
    """
    there = _run_files(folder)
    if there and not _is_run(there):
        raise not_a_run(folder.address, there)


def not_a_run(address: Address, there: Iterable[str]) -> StoreError:
    """``SW-S58``, with some of what is there."""
    return StoreError(
        "SW-S58",
        f"{address} is not empty and not a run: it holds {', '.join(sorted(there)[:3])}",
        fix="choose a new or empty folder; nothing there was touched",
    )


def is_copy(path: Path, file: RemoteFile) -> bool:
    """Whether a file here is proven by its bytes to be the one there."""
    return path.is_file() and path.stat().st_size == file.size and proves(file.version, path) is True


def fetch(folder: FolderStore, name: str, target: Path) -> None:
    """A copy of a file, whole or not at all."""
    with replacing(target) as draft:
        folder.fetch(name, draft)


def _run_files(folder: FolderStore) -> dict[str, RemoteFile]:
    """The files of a folder that are neither hidden nor those of the parts of a run."""
    listed = folder.listing()
    return {name: file for name, file in listed.items() if name[0] != "." and not name.startswith(f"{PARTS}/")}


def _is_run(names: Collection[str]) -> bool:
    return MANIFEST in names or any(map(is_shard, names))


def _files_of(root: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(one for one in folders if one[0] != ".")
        for name in sorted(names):
            if name[0] != "." and not TEMPORARY.fullmatch(name):
                yield Path(folder, name).relative_to(root).as_posix()
