"""The counts of a run's first screen, taken from columns at once rather than record by record."""

from __future__ import annotations

from typing import Literal

import numpy as np

from seewhy.report.record_table import FAILED, NO_CLASS, RIGHT, UNLABELLED, WRONG, Integers, RecordTable
from seewhy.report.tally import MOST_FAILURES, STEPS, Tally

_KINDS = {"right": RIGHT, "wrong": WRONG, "unlabelled": UNLABELLED}


def tally_of(table: RecordTable, *, labels_match: bool) -> Tally:
    """What ``Tally.of`` says of the same records."""
    tally = Tally(labels_match)
    for place, split in enumerate(table.splits):
        _count_split(tally, split, table.state[table.split == place])
    if labels_match:
        _count_classes(tally, "by_label", table)
    _count_classes(tally, "by_prediction", table)
    if labels_match:
        _count_failed(tally, table)
    for kind, state in _KINDS.items():
        sure = table.confidence[table.state == state]
        steps = np.clip((sure[np.isfinite(sure)] * STEPS).astype(np.int64), 0, STEPS - 1)
        tally.bars[kind].update({step: int(count) for step, count in enumerate(np.bincount(steps)) if count})
    failed = _failed(table)
    tally.stages.update(table.stage[number].as_py() for number in failed)
    for number in failed[:MOST_FAILURES]:
        split = table.splits[table.split[number]]
        tally.failures.append(
            (table.ids[number].as_py(), split, table.stage[number].as_py(), table.error[number].as_py())
        )
    return tally


def _failed(table: RecordTable) -> list[int]:
    """The failed records, by split and then in the order of their last commits."""
    numbers = np.flatnonzero(table.state == FAILED)
    names = np.argsort(np.argsort(np.asarray(table.splits, dtype=object)))
    order = np.lexsort((table.rows[table.starts[numbers + 1] - 1], names[table.split[numbers]]))
    return [int(number) for number in numbers[order]]


def _count_split(tally: Tally, split: str, states: Integers) -> None:
    count = tally.splits[split]
    right, wrong = int(np.sum(states == RIGHT)), int(np.sum(states == WRONG))
    count.failed = int(np.sum(states == FAILED))
    count.ok = len(states) - count.failed
    count.labelled, count.correct = right + wrong, right


def _count_failed(tally: Tally, table: RecordTable) -> None:
    kept = (table.state == FAILED) & (table.label != NO_CLASS)
    for index, count in zip(*np.unique(table.label[kept], return_counts=True), strict=True):
        tally.by_label[int(index)].failed = int(count)


def _count_classes(tally: Tally, by: Literal["by_label", "by_prediction"], table: RecordTable) -> None:
    classes = table.label if by == "by_label" else table.predicted
    kept = (table.state != FAILED) & (classes != NO_CLASS)
    found, place = np.unique(classes[kept], return_inverse=True)
    sure = table.confidence[kept]
    finite = np.isfinite(sure)
    columns = (
        np.bincount(place, minlength=len(found)),
        np.bincount(place[table.state[kept] == RIGHT], minlength=len(found)),
        np.bincount(place[finite], minlength=len(found)),
        np.bincount(place[finite], sure[finite], minlength=len(found)),
    )
    for index, count, correct, confident, confidence in zip(found, *columns, strict=True):
        one = getattr(tally, by)[int(index)]
        one.count, one.correct, one.confident, one.confidence = (
            int(count), int(correct), int(confident), float(confidence)
        )  # fmt: skip
