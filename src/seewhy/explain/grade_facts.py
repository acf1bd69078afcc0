"""What is told of one record's grade beside its value, in plain JSON, by the keys of AutoTimm's document."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from seewhy.metrics.grade import Grade
from seewhy.values import Geometry, Json

SAME_MAP: Final = 0.5
"""Maps that correlate as much as this after what should have changed them count as unchanged, as in the document."""

Facts = dict[str, Json]


def of_deletion(found: Grade) -> Facts:
    """The curve ``scores`` over ``fractions``, and what of the original's probability is lost at its end."""
    curve = row_of(found, "curve")
    first, last = float(curve[0]), float(curve[-1])
    return {
        "final_drop": _ratio(first - last, first),
        "scores": curve,
        "fractions": row_of(found, "fraction"),
        "original_score": first,
        "relative_auc": _ratio(float(found.values[0]), first),
    }


def of_insertion(found: Grade) -> Facts:
    """The curve ``scores`` over ``fractions``, and how far it rises; its last point is the original."""
    curve = row_of(found, "curve")
    first, last = float(curve[0]), float(curve[-1])
    return {
        "final_rise": _ratio(last - first, abs(last - first)),
        "scores": curve,
        "fractions": row_of(found, "fraction"),
        "original_score": last,
        "baseline_score": first,
        "relative_auc": _ratio(float(found.values[0]), last),
    }


def of_sensitivity(found: Grade) -> Facts:
    """The change at every sample, their deviation and the largest."""
    changes = found.details["changes"][0]
    return {
        "std": plain(float(changes.std(correction=0))),
        "max_change": plain(float(changes.max())),
        "changes": row_of(found, "changes"),
    }


def of_likeness(found: Grade) -> Facts:
    """Whether two maps that should differ do: ``change`` is 1 less their correlation, 2 for opposite maps."""
    likeness = float(found.values[0])
    undefined = math.isnan(likeness)
    return {"change": None if undefined else 1 - likeness, "passes": None if undefined else likeness < SAME_MAP}


def of_pointing(found: Grade, geometry: Geometry, bbox: Sequence[float]) -> Facts:
    """``hit`` where at least half of the credit lies inside; ``max_location`` ``(y, x)`` on the original."""
    credit = float(found.values[0])
    place = geometry.to_original(found.details["max_location"][0].tolist())
    return {
        "hit": None if math.isnan(credit) else credit >= 0.5,
        "max_location": [plain(axis) for axis in place],
        "bbox": [float(edge) for edge in bbox],
    }


def of_any(found: Grade) -> Facts:
    """All details of a grade."""
    return {"details": {name: _nested(values[0].tolist()) for name, values in found.details.items()}}


def told_settings(settings: Mapping[str, Any]) -> Facts:
    """Settings as JSON; of values that it does not know, such as a baseline's, what they are.

    >>> told_settings({"steps": 5, "n": (0.1, 0.3), "fill": object()})
    {'steps': 5, 'n': [0.1, 0.3], 'fill': 'object'}
    """
    return {name: _told(value) for name, value in settings.items()}


def _told(value: Any) -> Json:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, list | tuple):
        return [_told(one) for one in value]
    return plain(float(value)) if isinstance(value, float) else type(value).__name__


def row_of(found: Grade, name: str) -> list[Json]:
    """One detail of the only record."""
    return [plain(value) for value in found.details[name][0].tolist()]


def plain(value: float) -> float | None:
    """A number as JSON has it: None for NaN and infinity.

    >>> plain(0.5), plain(math.nan)
    (0.5, None)
    """
    return value if math.isfinite(value) else None


def _nested(value: Any) -> Json:
    return [_nested(one) for one in value] if isinstance(value, list) else plain(value)


def _ratio(part: float, whole: float) -> float | None:
    return plain(part / whole) if whole else None
