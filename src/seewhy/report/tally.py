"""Counting the records of a run: how many failed, how many predictions were right, by split, class and confidence."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from seewhy.values import Json, RecordRow

STEPS: Final = 10
MOST_FAILURES: Final = 50
MOST_CLASSES: Final = 500
"""Classes that pages list, those with the most records first."""


def right_of(row: RecordRow, *, labels_match: bool) -> bool | None:
    """Whether a prediction was right; None without a label, a prediction, or labels of the model's own classes.

    >>> right_of(RecordRow("a", "test", 0, label=1, predicted=1), labels_match=True)
    True
    """
    if not labels_match or row.label is None or row.predicted is None:
        return None
    return row.label == row.predicted


@dataclass
class _Count:
    ok: int = 0
    failed: int = 0
    labelled: int = 0
    correct: int = 0


@dataclass
class _OfClass:
    count: int = 0
    failed: int = 0
    correct: int = 0
    confident: int = 0
    confidence: float = 0.0

    def add(self, row: RecordRow, right: bool | None) -> None:
        self.count += 1
        self.correct += bool(right)
        if row.confidence is not None and math.isfinite(row.confidence):
            self.confident += 1
            self.confidence += row.confidence


@dataclass
class Tally:
    """Counts of records, taken one at a time."""

    labels_match: bool = True
    splits: dict[str, _Count] = field(default_factory=lambda: defaultdict(_Count))
    by_label: dict[int, _OfClass] = field(default_factory=lambda: defaultdict(_OfClass))
    by_prediction: dict[int, _OfClass] = field(default_factory=lambda: defaultdict(_OfClass))
    bars: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    failures: list[tuple[str, str, str, str]] = field(default_factory=list)
    stages: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, rows: Iterable[RecordRow], *, labels_match: bool) -> Tally:
        """The counts of some rows.

        Example:
            >>> rows = [RecordRow(name, "test", 0, label=int(name), predicted=1) for name in ("0", "1")]
            >>> Tally.of(rows, labels_match=True).splits_json()[0]["accuracy"]
            0.5
        """
        found = cls(labels_match)
        for row in rows:
            found.add(row)
        return found

    def add(self, row: RecordRow) -> None:
        """Count a record."""
        count = self.splits[row.split]
        if row.status == "failed":
            count.failed += 1
            self.stages[row.stage] += 1
            if row.label is not None and self.labels_match:
                self.by_label[row.label].failed += 1
            if len(self.failures) < MOST_FAILURES:
                self.failures.append((row.record_id, row.split, row.stage, row.error))
            return
        count.ok += 1
        right = right_of(row, labels_match=self.labels_match)
        if right is not None:
            count.labelled += 1
            count.correct += right
        if row.label is not None and self.labels_match:
            self.by_label[row.label].add(row, right)
        if row.predicted is not None:
            self.by_prediction[row.predicted].add(row, right)
        if row.confidence is not None and math.isfinite(row.confidence):
            step = min(STEPS - 1, max(0, int(row.confidence * STEPS)))
            self.bars["unlabelled" if right is None else "right" if right else "wrong"][step] += 1

    @property
    def classes_by(self) -> str:
        """What the table of classes counts: records by ``"label"``, or by ``"prediction"`` where none has a label."""
        return "label" if any(one.count for one in self.by_label.values()) else "prediction"

    def counts_json(self) -> dict[str, Json]:
        """How many records there are in all."""
        ok, failed = (sum(getattr(one, name) for one in self.splits.values()) for name in ("ok", "failed"))
        return {
            "records": ok + failed,
            "ok": ok,
            "failed": failed,
            "failed_by_stage": dict(sorted(self.stages.items())),
        }

    def splits_json(self) -> list[dict[str, Json]]:
        """Each split; its accuracy is None where nothing has a label."""
        return [
            {
                "name": name, "ok": one.ok, "failed": one.failed, "labelled": one.labelled, "correct": one.correct,
                "accuracy": one.correct / one.labelled if one.labelled else None,
            }
            for name, one in sorted(self.splits.items())
        ]  # fmt: skip

    def classes_json(self, names: tuple[str, ...] | None) -> list[dict[str, Json]]:
        """The classes with the most records, in the order of their numbers.

        A class's records are ``count`` explained and ``failed``; ``predicted`` is how often the model said so.
        ``correct`` is None where no explained record has a label.
        """
        labelled = self.classes_by == "label"
        classes = self.by_label if labelled else self.by_prediction
        most = sorted(classes, key=lambda index: (-classes[index].count, index))[:MOST_CLASSES]
        told: list[dict[str, Json]] = []
        for index in sorted(most):
            one = classes[index]
            said = self.by_prediction.get(index)
            told.append(
                {
                    "index": index,
                    "name": names[index] if names is not None and 0 <= index < len(names) else None,
                    "count": one.count,
                    "failed": one.failed,
                    "predicted": said.count if said else 0,
                    "correct": one.correct if labelled else None,
                    "mean_confidence": one.confidence / one.confident if one.confident else None,
                }
            )
        return told

    def confidence_json(self) -> dict[str, Json]:
        """How many records lie in each tenth of confidence, right, wrong and without a label."""
        edges = [step / STEPS for step in range(STEPS + 1)]
        bars = {kind: [self.bars[kind][step] for step in range(STEPS)] for kind in ("right", "wrong", "unlabelled")}
        return {"edges": edges, **bars}
