"""The single writer of a run directory: what is answered, one commit per shard, and the manifest last."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from seewhy.store.attempts import forget_attempts
from seewhy.store.delegate import Delegate
from seewhy.store.failpoints import reach
from seewhy.store.files import (
    file_digest,
    make_directory,
    remove_temporaries,
    replacing,
    write_atomic,
    write_new,
)
from seewhy.store.keys import plain
from seewhy.store.layout import (
    LOCK,
    MANIFEST,
    committed_shards,
    inside,
    next_number,
    number_of,
    require_suitable,
    shard_name,
)
from seewhy.store.ledger import Answered, Ledger, answered_rows, require_fingerprint
from seewhy.store.lock import DirectoryLock
from seewhy.store.manifest import DerivedEntry, Manifest, RunStatus, ShardEntry, read_manifest, render, versions
from seewhy.store.numbering import Wanted, shard_names
from seewhy.store.places import disk_told, settled
from seewhy.store.remakable import write_remakable
from seewhy.store.run_reader import RunReader
from seewhy.store.shards import ShardHeader, encode_shard
from seewhy.values import Artifact, Json, RecordRow, StoreError

MANIFEST_SECONDS = 5.0
"""The manifest is rewritten at most this often while shards are committed; one it lacks is committed all the same."""
SHOWN_SECONDS = 60.0
"""How long a file system of a network may take to show a file that another machine has made."""


class RunDirectory:
    """A run directory held for writing; :meth:`open` makes one."""

    def __init__(self, root: Path, lock: DirectoryLock, ledger: Ledger, manifest: Manifest | None) -> None:
        self.root = root
        self._lock = lock
        self._ledger = ledger
        self._derived = dict(manifest.derived) if manifest else {}
        whole = manifest is not None and manifest.shards.keys() == ledger.shards.keys()
        self._complete = whole and manifest is not None and manifest.status == "complete"
        self._on_disk = render(manifest) if manifest else b""
        self._saved_at = time.monotonic()
        self._writing = threading.RLock()

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path, fingerprint: Mapping[str, Json]) -> Iterator[RunDirectory]:
        """Hold ``path`` for writing: a new run, or one with the same fingerprint to add to.

        Raises:
            StoreError: ``SW-S02`` not writable, ``SW-S04`` held by another writer, ``SW-S05`` another run's,
                ``SW-S06`` or ``SW-S11`` damaged, ``SW-S07`` too new, ``SW-S08`` or ``SW-S09`` unsuitable.

        Example:
            >>> import tempfile
            >>> folder = Path(tempfile.mkdtemp()) / "mine"
            >>> with RunDirectory.open(folder, {"weights": "9f2c", "seed": 0}) as run:
            ...     run.commit("train", [RecordRow("a", "train", 0, status="failed", error="unreadable")], {})
            'shards/train-00000.parquet'
        """
        root = settled(path)
        with disk_told(root):
            require_suitable(root)
        make_directory(root)
        lock = DirectoryLock(root / LOCK)
        abandoned = lock.acquire()
        try:
            run = cls._resume(root, lock, plain(fingerprint), abandoned)
            with run._saved_at_the_end():
                yield run
        finally:
            lock.release()

    @classmethod
    def _resume(cls, root: Path, lock: DirectoryLock, fingerprint: Mapping[str, Json], abandoned: bool) -> RunDirectory:
        manifest = read_manifest(root)
        if manifest is not None and _holds_work(root):
            require_fingerprint(root, manifest.fingerprint, fingerprint)
        if abandoned or manifest is None or manifest.status == "running":
            remove_temporaries(root)
        forget_attempts(root)
        ledger = Ledger(fingerprint)
        ledger.read(root, manifest.shards if manifest else {})
        run = cls(root, lock, ledger, manifest)
        run._save()
        return run

    def answered(self, split: str) -> Mapping[str, Answered]:
        """What committed rows already answer, by record id; a view that grows with each commit."""
        return self._ledger.answered(split)

    @property
    def questions(self) -> Mapping[str, Json]:
        """The questions that committed rows answer, with the settings that decide their numbers."""
        return MappingProxyType(self._ledger.questions)

    @property
    def derived(self) -> Mapping[str, DerivedEntry]:
        """The files that are listed as describing the whole run."""
        return MappingProxyType(self._derived)

    def require_agreement(self, questions: Mapping[str, Json]) -> None:
        """Refuse questions whose key was answered before with other settings, as :meth:`commit` does, but early.

        Raises:
            StoreError: ``SW-S12``, with one line per setting that differs.
        """
        self._ledger.require_agreement(questions)

    def names_for(self, wanted: Sequence[Wanted]) -> list[str]:
        """Names for shards to be committed in any order: see :func:`seewhy.store.numbering.shard_names`."""
        answered = {split: self._ledger.answered(split) for split, _ in wanted}
        return shard_names(wanted, committed_shards(self.root), answered)

    def begin(self) -> None:
        """Let the manifest say that the run is not complete, before anything is changed. Other methods do so, too."""
        with self._writing:
            if self._complete:
                self._complete = False
                self._save()

    def delegate(self) -> Delegate:
        """What other processes need to commit shards into this directory while this one holds it; it pickles."""
        self._require_held()
        self.begin()
        return Delegate(str(self.root), self._lock.holder, plain(self._ledger.fingerprint))

    def adopt(self, name: str) -> None:
        """Take note of a shard that a :class:`Delegate` has committed.

        Raises:
            StoreError: ``SW-S05`` and ``SW-S06``, what lies there is another run's or damaged; ``SW-S16`` the directory
                is not held any more; ``SW-S19`` there is no such shard, not even after :data:`SHOWN_SECONDS`.
        """
        self._require_held()
        shown = _is_shown(self.root / name)
        with self._writing:
            self.begin()
            if shown:
                self._ledger.read_shard(self.root, name)
            else:
                raise StoreError(
                    "SW-S19", f"{name} was said to be committed, but {self.root} does not show it",
                    fix="let all workers and this process see the output directory under the same path, on a file "
                    "system that shows new files at once",
                )  # fmt: skip
            self._save_now_and_then()

    def commit(
        self, split: str, rows: Sequence[RecordRow], questions: Mapping[str, Json], name: str | None = None
    ) -> str:
        """Put rows of distinct records into one shard, all or nothing, and return its relative name.

        ``questions`` maps each question key to the settings that decide its numbers (classes are not among them: the
        answers carry them). ``name`` is one of :meth:`names_for`; the next free one if None.

        Raises:
            StoreError: ``SW-S01`` to ``SW-S03`` from the disk, ``SW-S12`` other settings under the same key,
                ``SW-S13`` to ``SW-S15`` rows that no shard can hold, ``SW-S16`` the directory is not held any more,
                ``SW-S18`` other bytes have that name.
        """
        self._require_held()
        self.require_agreement(questions)
        header = ShardHeader(split, plain(questions), self._ledger.fingerprint, dict(versions()))
        data = encode_shard(rows, header)
        with self._writing:
            self.begin()
            name = name or shard_name(split, next_number(committed_shards(self.root), split))
            write_new(self.root / name, data)
            reach("shard.committed")
            entry = ShardEntry(hashlib.sha256(data).hexdigest(), len(data), split, len(rows))
            self._ledger.add(name, entry, header, answered_rows(rows, number_of(name)))
            self._save_now_and_then()
        return name

    def write_file(self, relative: str, data: bytes, *, kind: str, record_id: str = "") -> Artifact:
        """Write a file that can be made again, such as a picture; equal bytes on disk are left untouched. Thread-safe.

        Raises:
            StoreError: ``SW-S10`` the path leaves the directory, ``SW-S01`` to ``SW-S03`` from the disk.
        """
        self._require_held()
        return write_remakable(self.root, relative, data, kind=kind, record_id=record_id, begin=self.begin)

    def write_with(self, relative: str, fill: Callable[[Path], None], *, kind: str, record_id: str = "") -> Artifact:
        """Write a file too large for memory: ``fill`` writes into the path it is given. Else as :meth:`write_file`."""
        self._require_held()
        path = inside(self.root, relative)
        with replacing(path) as draft:
            fill(draft)
            artifact = Artifact(kind, relative, record_id, file_digest(draft), draft.stat().st_size)
            if path.is_file() and file_digest(path) == artifact.sha256:
                draft.unlink()
            else:
                self.begin()
        return artifact

    def remove_superseded(self) -> None:
        """Delete the pictures of content that records no longer have."""
        self._require_held()
        for name in RunReader(self.root).superseded_files():
            self.begin()
            inside(self.root, name).unlink(missing_ok=True)

    def remove_derived(self, relative: str) -> None:
        """Delete a file that describes the whole run no longer, and list it no more."""
        self._require_held()
        self.begin()
        inside(self.root, relative).unlink(missing_ok=True)
        self._derived.pop(relative, None)

    def finish(self, derived: Iterable[Artifact] = ()) -> None:
        """Say that the run is complete, and remember the bytes of the files that describe it as a whole."""
        self._require_held()
        for artifact in derived:
            self._derived[artifact.path] = DerivedEntry(artifact.sha256, artifact.size, artifact.kind)
        self._complete = True
        self._save()

    @contextlib.contextmanager
    def _saved_at_the_end(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            with contextlib.suppress(StoreError):  # the first error is the one to tell
                self._save()
            raise
        self._save()

    def _save_now_and_then(self) -> None:
        if time.monotonic() - self._saved_at >= MANIFEST_SECONDS:
            self._save()

    def _save(self) -> None:
        self._require_held()
        with self._writing:
            self._ledger.read(self.root, {})  # shards whose commit an interrupt cut short after the rename
            status: RunStatus = "complete" if self._complete else "running"
            manifest = dataclasses.replace(self._ledger.manifest(), status=status, derived=self._derived)
            data = render(manifest)
            if data != self._on_disk:
                write_atomic(self.root / MANIFEST, data)
                self._on_disk = data
            self._saved_at = time.monotonic()

    def _require_held(self) -> None:
        if not self._lock.held:
            raise StoreError(
                "SW-S16",
                f"{self.root} is not held for writing: it was closed, moved or deleted, or this is a child process",
                fix="write inside `with RunDirectory.open(...)`, in the process that opened it",
            )


def _is_shown(path: Path) -> bool:
    latest = time.monotonic() + SHOWN_SECONDS
    while not (there := path.is_file()) and time.monotonic() < latest:
        time.sleep(0.2)
    return there


def _holds_work(root: Path) -> bool:
    for _, folders, names in os.walk(root):
        folders[:] = [folder for folder in folders if folder[0] != "."]
        if any(name != MANIFEST and name[0] != "." for name in names):
            return True
    return False
