"""Metrics whose values anyone can work out, data with masks, and the files of grades read back."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from pipeline_samples import Pictures, image_of
from torch import Tensor

from seewhy.metrics.grade import Grade, graded
from seewhy.registry import METRICS, metric
from seewhy.values import TargetError

Map = Float[Tensor, "b *s"]


def brightness(evidence: Map, image: Float[Tensor, "b c *s"], *, times: float = 1.0) -> Grade:
    """How bright the picture is, whatever the map."""
    del evidence
    return graded(image.flatten(1).double().mean(dim=1) * times)


def inside(evidence: Map, mask: Bool[Tensor, "b *s"]) -> Grade:
    """The share of the evidence inside the object."""
    positive = evidence.double().clamp(min=0).flatten(1)
    held = (positive * mask.flatten(1)).sum(dim=1)
    return graded(held / positive.sum(dim=1), {"the mask is empty": ~mask.flatten(1).any(dim=1)})


def picky(evidence: Map, ids: Sequence[str]) -> Grade:
    """One for every record but ``r02``, which it refuses."""
    if "r02" in ids:
        raise TargetError("SW-T60", "r02 is not to its taste", fix="leave it out")
    return graded(torch.ones(len(evidence)))


def confident(evidence: Map, probability: Any) -> Grade:
    """The probability of the class asked about."""
    del evidence
    return graded(probability.clean)


@contextmanager
def toy_metrics() -> Iterator[None]:
    """These metrics in the registry, for a while."""
    entries, names = dict(METRICS._entries), dict(METRICS._names)
    for function, family in ((brightness, "complexity"), (inside, "localization"), (picky, "axioms")):
        metric(function.__name__, family=family, better="higher", range=(-9.0, 9.0), cite="none")(function)
    metric("confident", family="faithfulness", better="lower", range=(0.0, 1.0), cite="none")(confident)
    try:
        yield
    finally:
        METRICS._entries, METRICS._names = entries, names


class Masked(Pictures):
    """Pictures whose object is the left half; ``without`` have no mask, ``unlabelled`` no label."""

    def __init__(self, ids: Sequence[str], without: Sequence[str] = (), unlabelled: Sequence[str] = ()) -> None:
        super().__init__(ids)
        self.without, self.unlabelled = set(without), set(unlabelled)

    def __getitem__(self, i: int) -> Any:
        record_id = self.record_ids[i]
        item = {"image": image_of(record_id), "id": record_id}
        if record_id not in self.unlabelled:
            item["label"] = i % 3
        if record_id not in self.without:
            item["mask"] = left_half()
        return item


def left_half() -> Bool[Tensor, "h w"]:
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[:, :8] = True
    return mask


def grades_of(root: Path, split: str = "test") -> dict[tuple[str, str, str], tuple[float | None, str]]:
    """Value and reason by record, method and metric."""
    return {
        (row["record_id"], row["method"], row["metric"]): (float(row["value"]) if row["value"] else None, row["reason"])
        for row in table_of(root, split)
    }


def table_of(root: Path, split: str = "test") -> list[dict[str, str]]:
    with (root / f"metrics/{split}_metrics.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def summary_of(root: Path) -> Any:
    return json.loads((root / "metrics/summary.json").read_text(encoding="utf-8"))
