"""Shards committed by other processes, or machines, on behalf of the one that holds the run directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seewhy.store.failpoints import reach
from seewhy.store.files import write_new
from seewhy.store.keys import plain
from seewhy.store.layout import LOCK
from seewhy.store.manifest import versions
from seewhy.store.remakable import write_remakable
from seewhy.store.shards import Shard, ShardHeader, encode_shard
from seewhy.values import Artifact, Json, RecordRow, StoreError


@dataclass(frozen=True)
class Delegate:
    """A worker's way into a run directory that another process holds: ``RunDirectory.delegate`` makes one.

    ``root`` must be the same directory under the same path for all of them; ``holder`` are the words of the holder in
    its lock. It writes no more once they have changed: a worker that outlives its run does not disturb the next. They
    are read again just before a shard takes its name, and before a picture is written: only what is in that very step
    while the run changes hands still arrives, whole.
    """

    root: str
    holder: str
    fingerprint: Mapping[str, Json]

    def commit(self, split: str, rows: Sequence[RecordRow], questions: Mapping[str, Json], name: str) -> str:
        """Put rows into the shard ``name``, all or nothing.

        Where another attempt at the same task was faster, its shard is the one that counts: two machines need not
        round alike.

        Raises:
            StoreError: ``SW-S16`` the run is not held any more, ``SW-S18`` something else has that name, and what
                ``RunDirectory.commit`` raises.
        """
        header = ShardHeader(split, plain(questions), self.fingerprint, dict(versions()))
        data = encode_shard(rows, header)
        self.require_held()
        path = Path(self.root, name)
        try:
            write_new(path, data, last=self.require_held)
        except StoreError as error:
            if error.code != "SW-S18" or not _is_of_same_task(path, header, rows):
                raise
        reach("shard.committed")
        return name

    def write_file(self, relative: str, data: bytes, *, kind: str, record_id: str = "") -> Artifact:
        """Write a file that can be made again. As ``RunDirectory.write_file``.

        Raises:
            StoreError: ``SW-S16`` the run is not held any more, and what ``RunDirectory.write_file`` raises.
        """
        root, held = Path(self.root), self.require_held
        return write_remakable(root, relative, data, kind=kind, record_id=record_id, begin=held)

    def holds(self, name: str) -> bool:
        """Whether the shard ``name`` is committed already, by an earlier attempt at the same task."""
        return Path(self.root, name).is_file()

    def require_held(self) -> None:
        """Raise ``StoreError`` SW-S16 where the process that made this delegate holds the directory no longer."""
        lock = Path(self.root, LOCK)
        try:
            said = lock.read_text(encoding="utf-8")
        except OSError:
            said = ""
        if said != self.holder:
            raise StoreError(
                "SW-S16",
                f"{self.root} is not held by the run that this worker belongs to, or not seen by this worker",
                fix="let every worker see the output directory under the same path; a worker of a run that has ended "
                "writes nothing",
            )


def _is_of_same_task(path: Path, asked: ShardHeader, rows: Sequence[RecordRow]) -> bool:
    there = Shard(path)
    said = there.header
    ids = there.read(["record_id"])["record_id"].to_pylist()
    return (said.split, said.questions, said.fingerprint) == (
        asked.split, asked.questions, asked.fingerprint,
    ) and ids == [row.record_id for row in rows]  # fmt: skip
