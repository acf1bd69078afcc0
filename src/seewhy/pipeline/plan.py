"""What is left to do, settled before any pixel is read: chunks of records that all lack the same answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from seewhy.data.records import RecordRef
from seewhy.pipeline.questions import Question
from seewhy.pipeline.settings import Settings
from seewhy.store.part import Part
from seewhy.values import ConfigError, DataError, StoreError, nearest


class Committed(Protocol):
    """What a run directory knows of a record (``seewhy.store`` holds it)."""

    @property
    def revision(self) -> str: ...

    @property
    def status(self) -> str: ...

    @property
    def questions(self) -> Mapping[str, frozenset[int]]: ...


@dataclass(frozen=True)
class Chunk:
    """Records of one split that are computed, and committed, together."""

    split: str
    questions: tuple[Question, ...]
    positions: tuple[int, ...]

    def without(self, lost: Collection[int]) -> Chunk:
        """The same chunk without some of its records."""
        return replace(self, positions=tuple(at for at in self.positions if at not in lost)) if lost else self

    def batches(self, size: int) -> list[list[int]]:
        """Positions in batches; a chunk begins with a full batch, so a resumed run forms the same ones."""
        return [list(self.positions[start : start + size]) for start in range(0, len(self.positions), size)]


@dataclass(frozen=True)
class Plan:
    """The chunks to compute, in order, and how many selected records need nothing."""

    chunks: tuple[Chunk, ...]
    selected: tuple[int, ...]
    reused: int

    @property
    def records(self) -> int:
        """Records to compute."""
        return sum(len(chunk.positions) for chunk in self.chunks)


def select(index: Sequence[RecordRef], settings: Settings) -> tuple[int, ...]:
    """The positions a run is about. Raises for an unknown split or record, or when nothing is left."""
    if not index:
        raise DataError("SW-D90", "the data set has no records", fix="check data.root and the folder layout")
    _check_unique(index)
    splits = list(dict.fromkeys(ref.split for ref in index))
    for split in settings.splits or ():
        if split not in splits:
            raise ConfigError(
                "SW-F06",
                f"there is no split {split!r}; this data set has {', '.join(splits)}",
                near=nearest(split, splits),
                fix="choose among these",
            )
    chosen = [i for i, ref in enumerate(index) if settings.splits is None or ref.split in settings.splits]
    if settings.record_id is not None:
        chosen = _by_id(index, chosen, settings)
    return tuple(chosen[: settings.max_records])


def falling_to(part: Part | None, index: Sequence[RecordRef], selected: Sequence[int]) -> tuple[int, ...]:
    """Those of the selected positions whose records fall to ``part``, possibly none; all where it is None."""
    return tuple(at for at in selected if part is None or part.holds(index[at].record_id))


def _check_unique(index: Sequence[RecordRef]) -> None:
    first: dict[str, int] = {}
    for position, ref in enumerate(index):
        if (earlier := first.setdefault(ref.record_id, position)) != position:
            raise DataError(
                "SW-D91", f"records {earlier} and {position} have the same id {ref.record_id!r}", fix="make ids unique"
            )


def _by_id(index: Sequence[RecordRef], chosen: Sequence[int], settings: Settings) -> list[int]:
    wanted = settings.record_id or ()
    place = {index[position].record_id: position for position in chosen}
    for record_id in wanted:
        if record_id not in place:
            everywhere = [ref.record_id for ref in index]
            where = f" in splits {list(settings.splits)}" if settings.splits and record_id in everywhere else ""
            raise ConfigError(
                "SW-F07", f"there is no record {record_id!r}{where}", near=nearest(record_id, place),
                fix="use an id of the data set",
            )  # fmt: skip
    return sorted(place[record_id] for record_id in dict.fromkeys(wanted))


def make_plan(
    index: Sequence[RecordRef],
    selected: Sequence[int],
    questions: Sequence[Question],
    answered: Mapping[str, Mapping[str, Committed]],
    stale: frozenset[int],
    settings: Settings,
) -> Plan:
    """Group the records of each split by the answers they lack, and cut each group into chunks.

    Groups are ordered by what they lack, never by which record comes first: that order stays the same while chunks are
    committed, so a resumed run cuts the very chunks an uninterrupted one would have. ``stale`` are the positions whose
    content has changed since it was answered.
    """
    groups: dict[tuple[str, str], tuple[tuple[Question, ...], list[int]]] = {}
    reused = 0
    for position in selected:
        ref = index[position]
        committed = answered.get(ref.split, {}).get(ref.record_id)
        lacking = tuple(questions) if position in stale else _lacking(questions, committed, settings.retry_failed)
        if not lacking:
            reused += committed is not None
            continue
        group = groups.setdefault((ref.split, repr(lacking)), (lacking, []))
        group[1].append(position)
    split_order = list(dict.fromkeys(ref.split for ref in index))
    ordered = sorted(groups.items(), key=lambda item: (split_order.index(item[0][0]), item[0][1]))
    chunks = [
        Chunk(split, lacking, tuple(positions[start : start + settings.committed_together]))
        for (split, _), (lacking, positions) in ordered
        for start in range(0, len(positions), settings.committed_together)
    ]
    return Plan(tuple(chunks), tuple(selected), reused)


def _lacking(questions: Sequence[Question], committed: Committed | None, retry_failed: bool) -> tuple[Question, ...]:
    if committed is None:
        return tuple(questions)
    if committed.status == "failed" and not retry_failed:
        return ()
    return tuple(part for question in questions if (part := question.missing(committed.questions)) is not None)


def check_same_data(index: Sequence[RecordRef], answered: Mapping[str, Mapping[str, Committed]]) -> None:
    """Refuse a directory that holds records the data set does not have, or has in another split.

    A data set that has grown is added to; one that lost or moved records is another data set.
    """
    split_of = {ref.record_id: ref.split for ref in index}
    for split, records in answered.items():
        strangers = [record_id for record_id in records if split_of.get(record_id) != split]
        if strangers:
            raise StoreError(
                "SW-S40",
                f"the run directory holds {len(strangers)} records of split {split!r} that this data set does not have "
                f"there, such as {strangers[0]!r}",
                fix="choose another output_dir, or go back to the data the directory was made from",
            )
