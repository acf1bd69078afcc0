"""A raw map as a page carries it: 8-bit codes that keep zero and sign, its statistics, its histogram."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Float, Int8, Shaped
from numpy.typing import NDArray

from seewhy.values import Json

Scale = Literal["positive", "magnitude", "diverging"]
LARGEST_CODE: Final = 127
NOT_FINITE: Final = -128
NEAR_ZERO: Final = 0.01
"""A value counts as near zero up to this part of the largest magnitude."""

BINS: Final = 50


@dataclass(frozen=True)
class Coded:
    """A map as codes ``(tiles, H, W)``, each for ``code * peak / 127``, negative ones for ``code * trough / 127``.

    Both sides have a scale of their own, so that weak evidence for a class survives beside strong evidence against it.
    Zero is zero; -128 is a value that is not finite.
    """

    codes: Int8[np.ndarray, "tiles h w"]
    peak: float
    trough: float

    def text(self, tiles: Sequence[int] | None = None) -> str:
        """The codes of all or some tiles as base64, tile after tile, row by row."""
        chosen = self.codes if tiles is None else self.codes[list(tiles)]
        return base64.b64encode(np.ascontiguousarray(chosen).tobytes()).decode("ascii")


def coded(tiles: Float[np.ndarray, "tiles h w"]) -> Coded:
    """Code a map; each finite value lies within half a step (1/254 of its side's largest) of what is read back.

    Example:
        >>> found = coded(np.array([[[4.0, 0.0, -0.5, np.nan]]]))
        >>> found.codes.tolist(), found.peak, found.trough
        ([[[127, 0, -127, -128]]], 4.0, 0.5)
    """
    values = np.asarray(tiles, np.float64)
    finite = np.isfinite(values)
    known = np.where(finite, values, 0.0)
    peak, trough = float(known.max(initial=0.0)), float(-known.min(initial=0.0))
    codes = np.zeros(values.shape)
    if peak > 0:
        np.divide(known, peak, out=codes, where=known > 0)
    if trough > 0:
        np.divide(known, trough, out=codes, where=known < 0)
    whole: NDArray[np.int8] = np.where(finite, np.rint(codes * LARGEST_CODE), NOT_FINITE).astype(np.int8)
    return Coded(whole, peak, trough + 0.0)


def tiles_of(raw: Float[np.ndarray, "*s"], shown: Sequence[int], of: int) -> Float[np.ndarray, "tiles h w"]:
    """A raw map at the slices or frames that a picture shows, ``shown`` of ``of``; one tile of a picture.

    A map of fewer (or more) slices than its input is read between its planes, each at the middle of what it covers, as
    everywhere (``align_corners=False``). A map without depth says the same of every slice; a signal's is one row.

    Example:
        >>> tiles_of(np.array([[[0.0]], [[4.0]]]), shown=(0, 1, 2, 3), of=4).ravel().tolist()
        [0.0, 1.0, 3.0, 4.0]
    """
    values = np.asarray(raw, np.float64)
    if values.ndim < 3:
        plane = values.reshape(1, 1, -1) if values.ndim < 2 else values[None]
        return np.repeat(plane, len(shown), axis=0)
    while values.ndim > 3:
        values = values.mean(axis=0)
    depth = len(values)
    place = ((np.asarray(shown, np.float64) + 0.5) / of * depth - 0.5).clip(0, depth - 1)
    below = np.floor(place).astype(int)
    above = np.minimum(below + 1, depth - 1)
    share = (place - below)[:, None, None]
    read = values[below] * (1 - share) + values[above] * share
    exact = share[:, 0, 0] == 0
    read[exact] = values[below[exact]]  # 0 times a neighbour that is not finite would not be 0
    tiles: NDArray[np.float64] = read
    return tiles


def statistics_of(raw: Shaped[np.ndarray, "*s"]) -> dict[str, Json]:
    """What a raw map's values are: over the finite ones, None where there are none.

    ``sparsity`` is the share of exact zeros, ``near_zero`` of values up to 1 % of the largest magnitude.

    Example:
        >>> found = statistics_of(np.array([0.0, 0.0, 2.0, -2.0]))
        >>> found["mean"], found["min"], found["sparsity"], found["nonfinite"]
        (0.0, -2.0, 0.5, 0)
    """
    values = np.asarray(raw, np.float64).ravel()
    finite = values[np.isfinite(values)]
    told: dict[str, Json] = {"count": int(values.size), "nonfinite": int(values.size - finite.size)}
    if not finite.size:
        return dict.fromkeys(("mean", "std", "min", "max", "sparsity", "near_zero")) | told
    limit = NEAR_ZERO * np.abs(finite).max()
    return {
        "mean": float(finite.mean()), "std": float(finite.std()), "min": float(finite.min()),
        "max": float(finite.max()), "sparsity": float((finite == 0).mean()),
        "near_zero": float((np.abs(finite) <= limit).mean()), **told,
    }  # fmt: skip


def histogram_of(raw: Shaped[np.ndarray, "*s"]) -> dict[str, Json] | None:
    """How many finite values lie in each of 50 equal parts of their range; None without a finite value.

    Example:
        >>> found = histogram_of(np.array([0.0, 1.0, 1.0]))
        >>> found["counts"][0], found["counts"][-1], len(found["edges"])
        (1, 2, 51)
    """
    values = np.asarray(raw, np.float64).ravel()
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    counts, edges = np.histogram(finite, bins=BINS)
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def map_json(
    raw: Float[np.ndarray, "*s"],
    *,
    question: str,
    method: str,
    layer: str | None = None,
    input_name: str = "",
    index: int | None = None,
    variant: str = "",
    scale: Scale = "positive",
    unit: str = "",
    shown: Sequence[int] = (0,),
    of: int = 1,
    histogram: bool = True,
) -> dict[str, Json]:
    """One MAP of the pages from a raw map ``(*S)`` at native resolution; ``index`` is the class it is about.

    Example:
        >>> found = map_json(np.zeros((2, 3)), question="gradcam@layer4", method="gradcam")
        >>> found["height"], found["width"], found["tiles"], found["peak"], found["codes"]
        (2, 3, 1, 0.0, 'AAAAAAAA')
    """
    found = coded(tiles_of(raw, shown, of))
    tiles, height, width = found.codes.shape
    return {
        "question": question, "method": method, "layer": layer, "input": input_name, "class": index,
        "variant": variant, "scale": scale, "unit": unit, "height": height, "width": width, "tiles": tiles,
        "peak": found.peak, "trough": found.trough, "codes": found.text(), "statistics": statistics_of(raw),
        "histogram": histogram_of(raw) if histogram else None,
    }  # fmt: skip


def number(value: float | None) -> float | None:
    """A number for JSON: None where it does not exist or is not finite."""
    return None if value is None or not math.isfinite(value) else float(value)
