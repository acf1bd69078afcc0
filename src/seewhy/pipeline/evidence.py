"""How much of the evidence for a class lies in each input, from raw maps, and the one scale they are drawn on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float, Float32
from numpy.typing import NDArray


def shares_of_evidence(maps: Sequence[Float[np.ndarray, "k ..."]]) -> Float32[np.ndarray, "k inputs"]:
    """Each input's part of the positive values in all maps ``(K, *S)``, per class; zeros for a class without any.

    Of Grad-CAM on a model that averages each branch over space and adds up linear heads, a map's sum is what its branch
    adds to the logit, so that the sizes of maps and inputs do not matter.

    Example:
        >>> shares_of_evidence([np.array([[3.0, -5.0]]), np.array([[[1.0]]])]).tolist()
        [[0.75, 0.25]]
    """
    sums = np.stack([_positive_sums(values) for values in maps], axis=1)
    total = sums.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):  # a map that is not finite keeps its NaN, which fails the record
        shares: NDArray[np.float32] = (sums / np.where(total == 0, 1, total)).astype(np.float32)
    return shares


def common_reference(maps: Iterable[Float[np.ndarray, "..."]]) -> float | None:
    """The raw value drawn in full colour on the scale that all maps share; None where nothing is positive.

    Example:
        >>> common_reference([np.array([1.0, -9.0]), np.array([[4.0]])]), common_reference([np.array([-1.0])])
        (4.0, None)
    """
    peak = max(float(values.max()) for values in maps)
    return peak if peak > 0 else None


def _positive_sums(values: Float[np.ndarray, "k ..."]) -> Float[np.ndarray, " k"]:
    sums: NDArray[np.float64] = values.reshape(len(values), -1).clip(min=0).sum(axis=1, dtype=np.float64)
    return sums
