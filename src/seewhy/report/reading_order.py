"""Which records a report shows, and in which order: those that ask for a look come first."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from typing import Final

from seewhy.report.tally import Tally, right_of
from seewhy.store.run_reader import RunReader
from seewhy.values import RecordRow

ORDER: Final = (
    "Failed records come first, then wrong predictions, the most confident first, then all others, the least confident "
    "first."
)
_FAILED, _WRONG, _OTHER = range(3)

Place = tuple[int, float, str, str]


def reading_order(reader: RunReader, tally: Tally, most: int) -> list[tuple[str, str]]:
    """Up to ``most`` records as ``(split, id)``, in the order of :data:`ORDER`; ``tally`` counts every record.

    Ties are broken by split and id, so that neither batches nor the order of commits decide.
    """
    found = heapq.nsmallest(most, _places(reader, tally))
    return [(split, record_id) for _, _, split, record_id in found]


def place_of(row: RecordRow, *, labels_match: bool) -> Place:
    """What a record is sorted by. A confidence that does not exist or is not finite counts as none at all.

    >>> place_of(RecordRow("a", "test", 0, label=0, predicted=1, confidence=0.75), labels_match=True)
    (1, -0.75, 'test', 'a')
    """
    known = row.confidence is not None and math.isfinite(row.confidence)
    confidence = float(row.confidence) if known and row.confidence is not None else 0.0
    if row.status == "failed":
        return (_FAILED, 0.0, row.split, row.record_id)
    if right_of(row, labels_match=labels_match) is False:
        return (_WRONG, -confidence, row.split, row.record_id)
    return (_OTHER, confidence, row.split, row.record_id)


def _places(reader: RunReader, tally: Tally) -> Iterator[Place]:
    for split in reader.splits:
        for row in reader.rows(split, questions=()):
            tally.add(row)
            yield place_of(row, labels_match=tally.labels_match)
