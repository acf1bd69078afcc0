"""Detectors that answer with one dictionary of boxes, labels and scores per picture, as torchvision's do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seewhy.models.candidates import Candidates, stacked_candidates, sum_of_best
from seewhy.models.logits_behind import ScoreWatcher, logits_behind
from seewhy.models.outputs import described
from seewhy.values import ModelError

KEYS = ("boxes", "labels", "scores")


@dataclass(frozen=True)
class BoxListReader:
    """Reads ``[{"boxes": (N, 4), "labels": (N,), "scores": (N,)}, ...]``: the detections left after suppression.

    The logits are those of the softmax or sigmoid that the scores came from (see :mod:`seewhy.models.logits_behind`);
    of a score that is also weighted by a centre's (FCOS) the class's logit. Each detection has a score for its own
    label only. Raises ``ModelError`` SW-M73 for an answer of another kind, and SW-M70 to SW-M72.
    """

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[ScoreWatcher]:
        """Watches the tables of class logits."""
        del model
        with ScoreWatcher() as watcher:
            yield watcher

    def read(self, answer: Any, seen: ScoreWatcher, *, batch: int | None) -> Float[Tensor, "b rows n"]:
        """:class:`~seewhy.models.candidates.Candidates`, packed; records with fewer detections are filled up."""
        records = _checked(answer, batch)
        labels = [record["labels"].long() for record in records]
        rows = logits_behind([record["scores"] for record in records], labels, seen.tables)
        found = [
            Candidates(record["boxes"][None].to(logits), logits[None], _in_column(record["scores"], own, logits)[None])
            for record, own, logits in zip(records, labels, rows, strict=True)
        ]
        return stacked_candidates(found).packed()

    def traced_score(self, outputs: Float[Tensor, "b rows n"]) -> Float[Tensor, " b"]:
        """The logits of all detections, summed."""
        return sum_of_best(outputs)


def _in_column(scores: Float[Tensor, " n"], labels: Tensor, logits: Float[Tensor, "n c"]) -> Float[Tensor, "n c"]:
    """Each score in the column of its label, zeros elsewhere."""
    return torch.zeros_like(logits).scatter(1, labels.unsqueeze(1), scores.detach().to(logits).unsqueeze(1))


def _checked(answer: Any, batch: int | None) -> Sequence[Mapping[str, Tensor]]:
    records = list(answer) if isinstance(answer, list | tuple) else []
    if not records or batch not in (None, len(records)) or not all(_is_detection(record) for record in records):
        raise ModelError(
            "SW-M73",
            f"one dictionary with {', '.join(KEYS)} was expected for each of {batch} pictures, the model returned "
            f"{described(answer)}",
            fix="ask the detector in evaluation mode, or say what it returns: explain_detection(..., boxes='xyxy')",
        )
    return records


def _is_detection(record: Any) -> bool:
    return isinstance(record, Mapping) and all(isinstance(record.get(key), Tensor) for key in KEYS)
