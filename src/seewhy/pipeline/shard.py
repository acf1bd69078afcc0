"""One chunk on its way to becoming a shard: rows collected, pictures drawn beside the model, committed together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass, replace

from seewhy.data.batching import reason_of
from seewhy.data.records import Dataset, RecordRef
from seewhy.pipeline.engine import Explained
from seewhy.pipeline.pictures import Drawn, Shown
from seewhy.pipeline.plan import Chunk
from seewhy.pipeline.questions import Question
from seewhy.values import Answer, Json, RecordRow, StoreError

MOST_WAITING = 32
"""Records whose pictures may wait to be drawn."""

Commit = Callable[[str, list[RecordRow], dict[str, Json]], str]


@dataclass(frozen=True)
class Desk:
    """What every chunk of a run needs to become rows and pictures; ``visible``: the inputs can be shown."""

    dataset: Dataset
    index: tuple[RecordRef, ...]
    labels_match: bool
    name_of: Callable[[str], str]
    paint: Callable[[Shown, Sequence[Question], Mapping[str, Answer]], Drawn]
    threads: Executor
    visible: bool = True

    def row(self, chunk: Chunk, explained: Explained) -> tuple[RecordRow, Future[Drawn] | None]:
        """The row of a record, and its pictures on their way."""
        ref = self.index[explained.position]
        row = _row(ref, explained, self.dataset)
        if explained.record is None or explained.answers is None or not self.visible:
            return row, None
        shown = Shown(
            record_id=ref.record_id,
            file_name=self.name_of(ref.record_id),
            inputs=explained.record.inputs,
            label=row.label if self.labels_match else None,
            predicted=explained.predicted,
            probabilities=explained.probabilities,
            geometry=explained.record.geometry,
            space=explained.record.space,
        )
        return row, self.threads.submit(self.paint, shown, chunk.questions, explained.answers)


class OpenShard:
    """Collects a chunk's rows until all of its records are there."""

    def __init__(self, chunk: Chunk, desk: Desk) -> None:
        self.chunk = chunk
        self._desk = desk
        self._rows: dict[int, tuple[RecordRow, Future[Drawn] | None]] = {}
        self._waiting: deque[Future[Drawn]] = deque()

    def add(self, results: Iterable[Explained]) -> tuple[int, int]:
        """Take results in; how many there were, and how many of them failed."""
        taken = failed = 0
        for explained in results:
            _, drawn = self._rows[explained.position] = self._desk.row(self.chunk, explained)
            self._keep_up(drawn)
            taken += 1
            failed += bool(explained.error)
        return taken, failed

    def _keep_up(self, drawn: Future[Drawn] | None) -> None:
        """Let the model wait for the pictures where too many of them hold their records' inputs in memory."""
        if drawn is not None:
            self._waiting.append(drawn)
        if len(self._waiting) > MOST_WAITING:
            wait([self._waiting.popleft()])

    def drawn(self) -> None:
        """Wait for the pictures."""
        wait(self._waiting)
        self._waiting.clear()

    def commit(self, commit: Commit) -> str:
        """Make the shard, with the pictures that there are by then; the name it got."""
        specs = _specs(self.chunk)
        rows = [_promised(_with_pictures(*self._rows[position]), self.chunk) for position in self.chunk.positions]
        return commit(self.chunk.split, rows, specs)


def _specs(chunk: Chunk) -> dict[str, Json]:
    return {key: spec for question in chunk.questions for key, spec in question.specs().items()}


def _promised(row: RecordRow, chunk: Chunk) -> RecordRow:
    """The row without answers that only its pictures needed, since an earlier row holds them."""
    if row.status == "failed":
        return row
    kept = {key: answer for question in chunk.questions for key, answer in question.promised(row.answers).items()}
    return replace(row, answers=kept)


def _with_pictures(row: RecordRow, drawn: Future[Drawn] | None) -> RecordRow:
    if drawn is None:
        return row
    try:
        made = drawn.result()
        return replace(row, files=made.files, previews=made.previews)
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001  the record boundary: a picture that cannot be drawn fails its record
        return replace(row, status="failed", stage="picture", error=reason_of(error), answers={})


def _row(ref: RecordRef, explained: Explained, dataset: Dataset) -> RecordRow:
    record = explained.record
    row = RecordRow(
        record_id=ref.record_id,
        split=ref.split,
        position=explained.position,
        label=ref.label if record is None else record.label,
        revision=current_revision(dataset, explained.position) if record is None else record.revision,
        geometry=None if record is None else record.geometry,
        notes=() if record is None else record.notes,
    )
    if explained.error:
        return replace(row, status="failed", stage=explained.stage, error=explained.error)
    probabilities, predicted = explained.probabilities, explained.predicted
    confidence = float(probabilities[predicted]) if probabilities is not None and predicted is not None else None
    return replace(
        row,
        predicted=predicted,
        confidence=confidence,
        probabilities=probabilities,
        answers=dict(explained.answers or {}),
        facts=dict(explained.facts),
    )


def current_revision(dataset: Dataset, position: int) -> str:
    """What a record holds now, so that changed or repaired content is read again; empty where it cannot be told."""
    try:
        return dataset.revision(position)
    except Exception:  # noqa: BLE001  the record boundary: a file that is gone fails its record when it is read
        return ""
