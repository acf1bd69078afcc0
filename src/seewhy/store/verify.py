"""Hash a run directory again and name every file that is not as it was written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from seewhy.store.files import TEMPORARY, file_digest
from seewhy.store.layout import MANIFEST, SHARDS, committed_shards, inside, run_at
from seewhy.store.ledger import Answered, answered_shard, supersede
from seewhy.store.manifest import FileEntry, Manifest, read_manifest
from seewhy.store.picture_tables import read_group, table_of
from seewhy.store.shards import Shard
from seewhy.values import StoreError

Problem = Literal["missing", "damaged", "unexpected", "uncommitted", "duplicate"]
_UNFINISHED = "; the run is not finished: run the same command again"


@dataclass(frozen=True)
class Finding:
    """One file that is not as it should be, by its path relative to the run directory."""

    problem: Problem
    path: str
    detail: str

    def __str__(self) -> str:
        return f"{self.problem}: {self.path}: {self.detail}"


def verify(path: str | Path) -> list[Finding]:
    """Everything wrong with a run directory, sorted by path; empty for a clean one. Reads every byte.

    ``damaged`` and ``missing`` files are named against the digests of the manifest and of the rows; ``unexpected`` ones
    lie in the run's own folders and nothing lists them; ``uncommitted`` ones were left by a writer that was stopped;
    ``duplicate`` is a question answered twice for the same content of a record.

    Raises:
        StoreError: ``SW-S17``, there is no run.
    """
    root = run_at(Path(path))
    audit = _Audit(root)
    manifest = audit.read_manifest()
    audit.remark = "" if manifest and manifest.status == "complete" else _UNFINISHED
    intact = audit.check_shards(manifest)
    whole = not audit.findings  # rows that cannot be read may list any file
    readable = [audit.with_pictures(shard) for shard in intact]
    for name, entry in manifest.derived.items() if manifest else ():
        audit.check_listed(name, entry)
    audit.check_rows(intact, readable)
    audit.check_strangers(every=whole and all(readable))
    return sorted(audit.findings, key=lambda finding: (finding.path, finding.problem, finding.detail))


@dataclass
class _Audit:
    root: Path
    findings: list[Finding] = field(default_factory=list)
    remark: str = ""
    listed: set[int] = field(default_factory=set)
    folders: set[str] = field(default_factory=lambda: {SHARDS})

    def find(self, problem: Problem, path: str, detail: str) -> None:
        self.findings.append(Finding(problem, path, detail))

    def read_manifest(self) -> Manifest | None:
        try:
            manifest = read_manifest(self.root)
        except StoreError as error:
            self.find("damaged", MANIFEST, error.message)
            return None
        if manifest is None:
            self.find("missing", MANIFEST, "opening the run for writing rebuilds it")
        return manifest

    def check_shards(self, manifest: Manifest | None) -> list[Shard]:
        """The shards that can be believed, in the order of their names."""
        recorded: Mapping[str, FileEntry] = manifest.shards if manifest else {}
        present = committed_shards(self.root)
        for name in recorded.keys() - set(present):
            self.find("missing", name, "the manifest lists it")
        if manifest:
            for name in set(present) - recorded.keys():
                self.find("uncommitted", name, f"a shard the manifest does not list{_UNFINISHED}")
        return [shard for name in present if (shard := self._intact(name, recorded.get(name)))]

    def _intact(self, name: str, entry: FileEntry | None) -> Shard | None:
        problem = _compare(self.root / name, entry) if entry else None
        if problem is None:
            try:
                return _read_whole(self.root / name)
            except StoreError as error:
                problem = error.message
        self.find("damaged", name, problem)
        return None

    def check_listed(self, name: str, entry: FileEntry) -> None:
        self.listed.add(hash(name))
        try:
            place = inside(self.root, name)
        except StoreError as error:
            self.find("damaged", name, error.message)
            return
        if len(parts := PurePosixPath(name).parts) > 1:
            self.folders.add(parts[0])
        if not place.is_file():
            self.find("missing", name, f"it is listed and not there{self.remark}")
        elif problem := _compare(place, entry):
            self.find("damaged", name, problem + self.remark)

    def with_pictures(self, shard: Shard) -> bool:
        """Whether the table of the pictures that were made later than a shard can be read, if there is one."""
        try:
            for number in range(shard.groups):
                read_group(shard.path, number)
        except StoreError as error:
            self.find("damaged", table_of(shard.path.relative_to(self.root).as_posix()), error.message)
            return False
        return True

    def check_rows(self, shards: list[Shard], readable: list[bool]) -> None:
        """Newest first: a file that a later row wrote again is compared with that row only."""
        later: dict[str, dict[str, Answered]] = {}
        latest: dict[tuple[str, str], str] = {}
        for shard, whole in zip(reversed(shards), reversed(readable), strict=True):
            for record_id, revision, files in shard.files(later=whole):
                if latest.setdefault((shard.header.split, record_id), revision) != revision:
                    continue  # pictures of content that was explained again since
                for file in files:
                    if hash(file["path"]) not in self.listed:
                        self.check_listed(file["path"], FileEntry(file["sha256"], file["size"]))
            self._check_repeats(shard, later.setdefault(shard.header.split, {}))

    def _check_repeats(self, shard: Shard, later: dict[str, Answered]) -> None:
        name = shard.path.relative_to(self.root).as_posix()
        for record_id, answered in answered_shard(shard):
            known = later.get(record_id)
            for question, classes in _answered_twice(answered, known) if known else ():
                self.find("duplicate", name, f"{record_id!r} is answered again later: {question} {classes or ''}")
            later[record_id] = supersede(known, answered)

    def check_strangers(self, *, every: bool) -> None:
        shards = set(committed_shards(self.root))
        for folder in self.folders:
            for parent, _, names in os.walk(self.root / folder):
                for name in names:
                    relative = Path(parent, name).relative_to(self.root).as_posix()
                    if TEMPORARY.fullmatch(name):
                        self.find("uncommitted", relative, f"left by a writer that was stopped{_UNFINISHED}")
                    elif every and relative not in shards and hash(relative) not in self.listed:
                        self._name_stranger(relative)

    def _name_stranger(self, relative: str) -> None:
        if self.remark:
            self.find("uncommitted", relative, f"no committed row lists it{self.remark}")
        else:
            self.find("unexpected", relative, "nothing in the run lists it")


def _read_whole(path: Path) -> Shard:
    shard = Shard(path)
    for number in range(shard.groups):
        shard.group(number, later=False)
    return shard


def _answered_twice(earlier: Answered, later: Answered) -> Iterator[tuple[str, list[int]]]:
    if earlier.revision == later.revision:
        for question in sorted(earlier.questions.keys() & later.questions.keys()):
            before, after = earlier.questions[question], later.questions[question]
            if before & after or not (before or after):
                yield question, sorted(before & after)


def _compare(path: Path, entry: FileEntry) -> str | None:
    try:
        size = path.stat().st_size
        if size != entry.size:
            return f"{size} bytes, {entry.size} were written"
        return None if file_digest(path) == entry.sha256 else "its bytes are not those that were written"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
