"""Grading a case by the name of a metric: the one way from maps to numbers, whatever the metric needs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from seewhy.metrics.case import Case
from seewhy.metrics.grade import Grade
from seewhy.registry import METRICS

BROKEN = "the map holds NaN or infinite values"


def grade(metric: str, case: Case, **settings: Any) -> Grade:
    """What a metric says of every record of a case.

    A map that holds values that are not finite has no grade, and the reason says so; its neighbours have theirs.

    Raises ``ConfigError`` SW-F223 for an unknown metric, SW-F222 for a setting it does not have, and what the metric
    raises for settings out of range or a case that lacks what it reads.
    """
    entry = METRICS[metric]
    entry.check(settings)
    broken = ~case.maps.isfinite().flatten(1).all(dim=1).cpu()
    sound = _without(case, broken) if bool(broken.any()) else case
    found: Grade = entry.function(**{name: getattr(sound, name) for name in entry.reads}, **settings)
    return _told(found, broken) if bool(broken.any()) else found


def _without(case: Case, broken: Bool[Tensor, " b"]) -> Case:
    """The case with zeros for maps that cannot be graded."""
    rows = broken.to(case.maps.device)
    attribution = replace(
        case.attribution,
        maps={name: _zeroed(maps, rows) for name, maps in case.attribution.maps.items()},
        per_channel={name: _zeroed(values, rows) for name, values in case.attribution.per_channel.items()},
    )
    return replace(case, attribution=attribution)


def _zeroed(values: Tensor, rows: Bool[Tensor, " b"]) -> Tensor:
    where = rows.to(values.device).reshape(-1, *[1] * (values.ndim - 1))
    return torch.where(where, torch.zeros_like(values), values)


def _told(found: Grade, broken: Bool[Tensor, " b"]) -> Grade:
    reasons = tuple(BROKEN if bool(bad) else why for bad, why in zip(broken, found.reasons, strict=True))
    return replace(found, values=found.values.masked_fill(broken, math.nan), reasons=reasons)
