"""The ledger of a run: which questions its committed rows already answer, and of which bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from seewhy.store.columns import list_cells
from seewhy.store.files import file_digest
from seewhy.store.keys import canonical_json, difference, digest, plain
from seewhy.store.layout import committed_shards, number_of
from seewhy.store.manifest import Manifest, ShardEntry
from seewhy.store.shards import Shard, ShardHeader
from seewhy.values import Json, RecordRow, Status, StoreError


@dataclass(frozen=True, slots=True)
class Answered:
    """What committed rows know of one record: the content they saw, and the classes answered per question.

    A question that does not ask about classes has an empty set. ``number`` is that of the last shard with such a row.
    """

    revision: str
    status: Status
    questions: Mapping[str, frozenset[int]]
    number: int = -1


def supersede(earlier: Answered | None, later: Answered) -> Answered:
    """Both rows together: answers add up while the content is the same, else only the later row counts."""
    if earlier is None or earlier.revision != later.revision or not earlier.questions:
        return later
    both = {
        question: earlier.questions.get(question, frozenset()) | later.questions.get(question, frozenset())
        for question in (*earlier.questions, *later.questions)
    }
    return Answered(later.revision, later.status, both, later.number)


def answered_rows(rows: Iterable[RecordRow], number: int) -> Iterator[tuple[str, Answered]]:
    """What the rows of the shard with this number answer."""
    for row in rows:
        questions = {question: frozenset(answer.classes) for question, answer in row.answers.items()}
        yield row.record_id, Answered(row.revision, row.status, questions, number)


def answered_shard(shard: Shard) -> Iterator[tuple[str, Answered]]:
    """What the rows of a committed shard answer, read without the answers themselves."""
    columns = {question: f"{question}.classes" for question in shard.header.questions}
    table, number = shard.read(["record_id", "revision", "status", *columns.values()]), number_of(shard.path.name)
    ids, revisions, statuses = (table[name].to_pylist() for name in ("record_id", "revision", "status"))
    classes = {question: list_cells(table[column]) for question, column in columns.items()}
    shared: dict[tuple[bytes | None, ...], dict[str, frozenset[int]]] = {}  # most rows answer the same
    for i, record_id in enumerate(ids):
        cells = {question: column[i] for question, column in classes.items()}
        key = tuple(None if cell is None else cell.tobytes() for cell in cells.values())
        if key not in shared:
            shared[key] = {q: frozenset(cell.tolist()) for q, cell in cells.items() if cell is not None}
        yield record_id, Answered(revisions[i], statuses[i], shared[key], number)


@dataclass
class Ledger:
    """The state of a run, a function of its committed shards alone."""

    fingerprint: Mapping[str, Json]
    shards: dict[str, ShardEntry] = field(default_factory=dict)
    questions: dict[str, Json] = field(default_factory=dict)
    _answered: dict[str, dict[str, Answered]] = field(default_factory=dict)
    _made_with: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _shared: dict[frozenset[tuple[str, frozenset[int]]], Mapping[str, frozenset[int]]] = field(default_factory=dict)

    def answered(self, split: str) -> Mapping[str, Answered]:
        """The records of a split that have a committed row, failed ones included."""
        return MappingProxyType(self._answered.get(split, {}))

    def add(self, name: str, entry: ShardEntry, header: ShardHeader, rows: Iterable[tuple[str, Answered]]) -> None:
        """Take note of a committed shard."""
        self.questions |= {question: plain(spec) for question, spec in header.questions.items()}
        self._made_with[canonical_json(header.made_with)] = dict(header.made_with)
        split = self._answered.setdefault(header.split, {})
        for record_id, answered in rows:
            split[record_id] = self._economical(supersede(split.get(record_id), answered))
        self.shards[name] = entry  # last: a shard that an interrupt cut short here is read again

    def read(self, root: Path, known: Mapping[str, ShardEntry]) -> None:
        """Take note of every committed shard not yet in the ledger; ``known`` saves hashing them again.

        Raises:
            StoreError: ``SW-S05`` a shard of another run, ``SW-S06`` a damaged shard, ``SW-S07`` a newer one.
        """
        for name in committed_shards(root):
            self.read_shard(root, name, known.get(name))

    def read_shard(self, root: Path, name: str, entry: ShardEntry | None = None) -> None:
        """Take note of one committed shard, if it is not yet in the ledger. Raises as :meth:`read`."""
        if name not in self.shards:
            shard = Shard(root / name)
            require_fingerprint(root / name, shard.header.fingerprint, self.fingerprint)
            self.add(name, entry or _entry(shard), shard.header, answered_shard(shard))

    def require_agreement(self, questions: Mapping[str, Json]) -> None:
        """Refuse to add answers under a key whose committed answers were made with other settings (``SW-S12``)."""
        lines = difference(
            {key: self.questions[key] for key in questions if key in self.questions},
            {key: spec for key, spec in questions.items() if key in self.questions},
        )
        if lines:
            raise StoreError(
                "SW-S12",
                "the run directory already holds answers made with other settings:\n    " + "\n    ".join(lines),
                fix="choose another output directory, or go back to the settings shown on the left",
            )

    def manifest(self) -> Manifest:
        """The running manifest of what is committed, without derived files."""
        counts: dict[str, dict[str, int]] = {
            split: dict(Counter(answered.status for answered in records.values()))
            for split, records in self._answered.items()
        }
        made_with: Sequence[Mapping[str, str]] = [self._made_with[key] for key in sorted(self._made_with)]
        return Manifest(self.fingerprint, "running", self.questions, made_with, counts, self.shards)

    def _economical(self, answered: Answered) -> Answered:
        # Nearly all records answer the same questions: keep one mapping for all of them.
        key = frozenset(answered.questions.items())
        questions = self._shared.setdefault(key, answered.questions)
        return Answered(answered.revision, answered.status, questions, answered.number)


def require_fingerprint(place: Path, old: Mapping[str, Json], new: Mapping[str, Json]) -> None:
    """Refuse to mix runs, with one line per field that differs."""
    if digest(old) != digest(new):
        raise StoreError(
            "SW-S05",
            f"{place} belongs to another run; what differs (there -> now):\n    " + "\n    ".join(difference(old, new)),
            fix="choose another output directory, or go back to the settings shown on the left",
        )


def _entry(shard: Shard) -> ShardEntry:
    return ShardEntry(file_digest(shard.path), shard.path.stat().st_size, shard.header.split, shard.rows)
