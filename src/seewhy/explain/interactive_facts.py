"""The tables of an interpretation report: classes, statistics, the distribution, regions, and grades with controls."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Int

from seewhy.explain.class_choice import label_of
from seewhy.explain.evaluation import Evaluation
from seewhy.explain.interactive_subject import Box, Shown
from seewhy.explain.interactive_text import one_line
from seewhy.explain.result import Result
from seewhy.report.map_codes import statistics_of

BINS: Final = 50
REGION_FROM: Final = 0.5
"""A region is connected places of at least this part of the map's largest value."""
CARDS: Final = ("mean", "std", "min", "max", "sparsity", "near_zero")


@dataclass(frozen=True)
class Region:
    """A part of the picture with much of the evidence: its ``share`` of all, its largest value, and its box."""

    share: float
    peak: float
    box: Box


def class_rows(result: Result, top_k: int) -> list[tuple[int, str, float]]:
    """Rank, name and probability of the likeliest classes, as many as there are; none without probabilities.

    Example:
        >>> class_rows(Result({"probabilities": np.array([0.2, 0.8])}), 5)
        [(1, 'class 1', 0.8), (2, 'class 0', 0.2)]
    """
    probabilities = result.get("probabilities")
    if probabilities is None:
        return []
    order = np.argsort(-probabilities, kind="stable")[:top_k]
    return [
        (rank, one_line(label_of(int(index), result.class_names)), float(probabilities[index]))
        for rank, index in enumerate(order, 1)
    ]


def statistics_rows(result: Result) -> list[tuple[str, dict[str, Any]]]:
    """Statistics of the heat map in [0, 1] where the model looked, and of the raw map in its own unit."""
    found = result.explained
    if found is None:
        return []
    return [
        ("heat map, 0 to 1", dict(statistics_of(found.heat[found.valid]))),
        ("raw map, signed, before it was scaled and enlarged", dict(statistics_of(found.raw))),
    ]


def distribution(result: Result) -> tuple[list[float], list[int]]:
    """Edges ``[51]`` and counts ``[50]`` of the heat map's values where the model looked, over [0, 1]."""
    found = result.explained
    if found is None:
        return [], []
    counts, edges = np.histogram(found.heat[found.valid], bins=BINS, range=(0.0, 1.0))
    return edges.tolist(), counts.tolist()


def regions_of(shown: Shown, top_k: int) -> list[Region]:
    """The connected regions with most of the evidence, first the one with most; corners do not connect.

    Example:
        >>> values = np.array([[1.0, 0.0, 0.6], [0.9, 0.0, 0.1]], np.float32)
        >>> found = regions_of(Shown(values, Box(0, 0, 3, 2), 1.0), 5)
        >>> [(round(one.share, 2), one.box.left, one.box.right) for one in found]
        [(0.73, 0, 1), (0.23, 2, 3)]
    """
    values = shown.values.astype(np.float64)
    whole, peak = values.sum(), values.max(initial=0.0)
    if not peak > 0:
        return []
    parts = _parts(values >= REGION_FROM * peak)
    sums = np.bincount(parts.ravel(), weights=values.ravel())[1:]
    order = np.argsort(-sums, kind="stable")[:top_k]
    return [
        Region(float(sums[part] / whole), float(values[parts == part + 1].max()), _box(parts == part + 1, shown))
        for part in order
    ]


def grade_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Every method's value by every metric beside the controls' values; the reason where there is none."""
    book = evaluation.gradebook
    return [
        {
            "method": one_line(who),
            "metric": metric,
            "better": {"higher": "higher is better", "lower": "lower is better"}.get(book.better(metric), "describes"),
            "value": told["value"],
            "controls": told["controls"],
            "reason": told["reason"],
        }
        for who, metrics in evaluation.of_record(0).items()
        for metric, told in metrics.items()
    ]


def verdict_lines(evaluation: Evaluation) -> list[str]:
    """The verdict, and what could not be graded, line by line."""
    missing = {**evaluation.failures, **evaluation.not_applicable}
    lines = [line.strip().removeprefix("- ") for line in evaluation.verdict.text().splitlines()]
    return [*lines, *(f"Not graded: {name}: {why}" for name, why in missing.items())]


def _parts(places: Bool[np.ndarray, "h w"]) -> Int[np.ndarray, "h w"]:
    """Numbers from 1 on for connected places, 0 elsewhere."""
    height, width = places.shape
    parts = np.zeros(places.shape, np.int64)
    found = 0
    for start in zip(*np.nonzero(places), strict=True):
        if parts[start]:
            continue
        found += 1
        parts[start] = found
        waiting: deque[Sequence[int]] = deque([start])
        while waiting:
            row, column = waiting.popleft()
            for here in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
                if 0 <= here[0] < height and 0 <= here[1] < width and places[here] and not parts[here]:
                    parts[here] = found
                    waiting.append(here)
    return parts


def _box(places: Bool[np.ndarray, "h w"], shown: Shown) -> Box:
    """The box around some cells, in pixels of the original."""
    rows, columns = np.flatnonzero(places.any(axis=1)), np.flatnonzero(places.any(axis=0))
    seen, (height, width) = shown.seen, places.shape
    across, down = (seen.right - seen.left) / width, (seen.bottom - seen.top) / height
    return Box(
        seen.left + int(columns[0] * across),
        seen.top + int(rows[0] * down),
        seen.left + int(np.ceil((columns[-1] + 1) * across)),
        seen.top + int(np.ceil((rows[-1] + 1) * down)),
    )
