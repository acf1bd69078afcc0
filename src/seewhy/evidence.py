"""How much of the evidence lies in each input, from raw maps, and the one scale they are drawn on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from jaxtyping import Float

Scale = Literal["positive", "magnitude"]
"""What counts as evidence: values that speak for the class, or all magnitudes (signed maps of input gradients)."""

By = Literal["sum", "mean"]
"""How the evidence in maps of several inputs compares."""

Maps = Mapping[str, Float[np.ndarray, "..."]]


def evidence_of(raw: Float[np.ndarray, "*s"], scale: Scale = "positive") -> float:
    """How much a raw map ``(*S)`` says in all: the sum of what speaks for the class, or of all magnitudes.

    Example:
        >>> evidence_of(np.array([3.0, -1.0])), evidence_of(np.array([3.0, -1.0]), "magnitude")
        (3.0, 4.0)
    """
    return float(_counted(raw.astype(np.float64), scale).sum())


def shares_of(raw: Maps, scale: Scale = "positive", by: By = "sum") -> dict[str, float]:
    """Each input's part of the evidence in all maps ``{input: (*S)}``; they sum to 1, or are all 0 without evidence.

    ``by="mean"`` compares the means over places. Of Grad-CAM on a model that averages each branch over space and adds
    up linear heads, a map's sum is what its branch adds to the logit, so that the sizes of maps and inputs do not
    matter. A value that is not finite is not left out: the shares are then NaN.

    Example:
        >>> shares_of({"a": np.array([3.0, -5.0]), "b": np.array([[1.0]])})
        {'a': 0.75, 'b': 0.25}
    """
    found = {name: evidence_of(values, scale) / (values.size if by == "mean" else 1) for name, values in raw.items()}
    total = sum(found.values())
    return {name: value / total if total else 0.0 for name, value in found.items()}


def common_references(raw: Maps, scale: Scale = "positive", by: By = "sum") -> dict[str, float]:
    """For each map the raw value drawn in full colour, so that all are on one scale; 0 everywhere without evidence.

    Where maps compare by their sums, a value counts as many times as its map has cells: evidence that is spread evenly
    has the same colour on a fine grid and on a coarse one, as it has the same share. Values that are not finite are
    left out.

    Example:
        >>> common_references({"a": np.array([1.0, -9.0]), "b": np.array([[4.0]])})
        {'a': 2.0, 'b': 4.0}
    """
    cells = {name: values.size if by == "sum" else 1 for name, values in raw.items()}
    largest = max((_peak(values, scale) * cells[name] for name, values in raw.items()), default=0.0)
    return {name: largest / count for name, count in cells.items()}


def _peak(raw: Float[np.ndarray, "*s"], scale: Scale) -> float:
    return float(_counted(raw[np.isfinite(raw)], scale).max(initial=0.0))


def _counted(values: Float[np.ndarray, "*s"], scale: Scale) -> Float[np.ndarray, "*s"]:
    counted: Float[np.ndarray, "*s"] = values.clip(min=0) if scale == "positive" else np.abs(values)
    return counted
