"""Two runs side by side: what was changed between them, and what that changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from seewhy.report.class_matching import Matching
from seewhy.report.record_table import FAILED, NO_CLASS, RIGHT, WRONG, Integers, Mask, RecordTable
from seewhy.store.keys import difference
from seewhy.values import Json

KINDS: Final = {
    "broken": "right before, wrong now",
    "fixed": "wrong before, right now",
    "other": "another prediction, neither broken nor fixed",
    "failed": "failed in one of the two",
}
_ORDER: Final = ("failed", "broken", "fixed", "other", "same")


@dataclass(frozen=True)
class Comparison:
    """Records that both runs have, paired by split and id; arrays ``(N,)`` in the order in which they are listed.

    ``first`` and ``second`` are record numbers, ``kind`` one of :data:`KINDS` or ``"same"``, ``shift`` the confidence
    of the second less that of the first (NaN where one has none).
    """

    first: Integers
    second: Integers
    kind: NDArray[np.str_]
    shift: NDArray[np.float64]
    only_first: int
    only_second: int
    splits: Sequence[Mapping[str, Json]]
    classes: Sequence[Mapping[str, Json]]

    def of_kind(self, kind: str) -> Integers:
        """The places of pairs of a kind; of every kind but ``"same"`` where it is empty."""
        return np.flatnonzero(self.kind == kind if kind else self.kind != "same")

    @property
    def counts(self) -> dict[str, int]:
        """How many pairs there are of each kind."""
        return {kind: int(np.sum(self.kind == kind)) for kind in (*KINDS, "same")}

    @property
    def mean_shift(self) -> float | None:
        """The mean change of confidence over all pairs that have one."""
        known = self.shift[np.isfinite(self.shift)]
        return float(known.mean()) if len(known) else None


def compare_tables(first: RecordTable, second: RecordTable, classes: Matching | None = None) -> Comparison:
    """Every record that both have; what changed most comes first: failed, broken, fixed, other, then by the shift.

    ``classes`` says which class of the second is which of the first: the same number if None. Where that is not known,
    no prediction is told to be another one.
    """
    ours, theirs = _pairs(first, second)
    kind = _kinds(first, second, ours, theirs, classes or Matching())
    shift = second.confidence[theirs] - first.confidence[ours]
    rank = np.searchsorted(np.sort(np.asarray(_ORDER)), kind)
    places = np.asarray([_ORDER.index(name) for name in sorted(_ORDER)])[rank] if len(kind) else rank
    order = np.lexsort((first.position[ours], -np.nan_to_num(np.abs(shift), nan=-1.0), places))
    return Comparison(
        ours[order],
        theirs[order],
        kind[order],
        shift[order],
        len(first) - len(ours),
        len(second) - len(theirs),
        _by_split(first, second, ours, theirs),
        _by_class(first, second, ours, theirs),
    )


def what_changed(first: Mapping[str, Json], second: Mapping[str, Json]) -> list[str]:
    """One line per setting of the fingerprints that differs.

    >>> what_changed({"seed": 0, "weights": "9f2c"}, {"seed": 1, "weights": "9f2c"})
    ['seed: 0 -> 1']
    """
    return difference(first, second)


def _pairs(first: RecordTable, second: RecordTable) -> tuple[Integers, Integers]:
    there = {name: number for number, name in enumerate(_names(second))}
    found = [(number, there[name]) for number, name in enumerate(_names(first)) if name in there]
    pairs = np.asarray(found, np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _names(table: RecordTable) -> list[tuple[str, str]]:
    splits = (table.splits[place] for place in table.split.tolist())
    return list(zip(splits, table.ids.to_pylist(), strict=True))


def _kinds(
    first: RecordTable, second: RecordTable, ours: Integers, theirs: Integers, classes: Matching
) -> NDArray[np.str_]:
    before, now = first.state[ours], second.state[theirs]
    changed = (first.predicted[ours] != classes.in_first(second.predicted[theirs])) & classes.known
    failed = (before == FAILED) != (now == FAILED)
    both = (before != FAILED) & (now != FAILED)
    cases = [
        failed,
        both & (before == RIGHT) & (now == WRONG),
        both & (before == WRONG) & (now == RIGHT),
        both & changed,
    ]
    return np.select(cases, ["failed", "broken", "fixed", "other"], "same")


def _by_split(first: RecordTable, second: RecordTable, ours: Integers, theirs: Integers) -> list[dict[str, Json]]:
    of_pair = first.split[ours]
    return [
        {"name": name, **_accuracies(first, second, ours, theirs, of_pair == place)}
        for place, name in sorted(enumerate(first.splits), key=lambda pair: pair[1])
    ]


def _by_class(first: RecordTable, second: RecordTable, ours: Integers, theirs: Integers) -> list[dict[str, Json]]:
    labels = first.label[ours]
    told: list[dict[str, Any]] = [
        {"index": int(index), **_accuracies(first, second, ours, theirs, labels == index)}
        for index in np.unique(labels[labels != NO_CLASS])
    ]
    known = [one for one in told if one["change"] is not None]
    return sorted(known, key=lambda one: (one["change"], one["index"]))


def _accuracies(
    first: RecordTable, second: RecordTable, ours: Integers, theirs: Integers, kept: Mask
) -> dict[str, Json]:
    """The accuracy of both on the same records: those that both could tell right or wrong."""
    before, now = first.state[ours[kept]], second.state[theirs[kept]]
    judged = np.isin(before, (RIGHT, WRONG)) & np.isin(now, (RIGHT, WRONG))
    count = int(np.sum(judged))
    if not count:
        return {"records": 0, "first": None, "second": None, "change": None}
    scores = [float(np.mean(states[judged] == RIGHT)) for states in (before, now)]
    return {"records": count, "first": scores[0], "second": scores[1], "change": scores[1] - scores[0]}
