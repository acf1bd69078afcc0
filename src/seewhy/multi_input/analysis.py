"""What an analysis of several inputs tells, as the plain values that a person prints, saves or merges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from seewhy.explain.every_input import InputsExplained
from seewhy.multi_input.asking import Answers
from seewhy.render.heatmap import Scale

Analysis: TypeAlias = dict[str, Any]
Heats: TypeAlias = Mapping[str, NDArray[np.float32]]


def predictions(found: Sequence[InputsExplained], names: Sequence[str] | None) -> Analysis:
    """``predicted_class``, ``class_name``, ``confidence`` and ``target_class``, lists for several records, and
    ``probabilities`` ``(B, classes)``; None for what the task has not."""
    said = [one.says(names) for one in found]
    told = {
        "predicted_class": [one["predicted_class"] for one in said],
        "class_name": [one["label"] for one in said],
        "confidence": [one["confidence"] for one in said],
        "target_class": [one.target for one in found],
    }
    rows = [one["probabilities"] for one in said]
    probabilities = None if any(row is None for row in rows) else np.stack(rows)
    return {**{key: alone(values) for key, values in told.items()}, "probabilities": probabilities}


def notes_of(answers: Iterable[Answers]) -> list[str]:
    """What a reader of the maps should know, of all methods and records; each note once."""
    return list(dict.fromkeys(note for one in answers for found in one.values() for note in found.notes))


def heat_maps(found: Sequence[InputsExplained], *, common: bool) -> dict[str, NDArray[np.float32]]:
    """Input to ``(*S)`` in [0, 1] of one record, ``(B, *S)`` of several."""
    each = [one.heats(common=common) for one in found]
    return {name: alone([heats[name] for heats in each], np.stack) for name in each[0]}


def shares(found: Sequence[InputsExplained]) -> dict[str, Any]:
    """Input to its part of the evidence; a list of those for several records."""
    each = [one.shares for one in found]
    return {name: alone([one[name] for one in each]) for name in each[0]}


def heats_by_method(answers: Answers, *, common: bool) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Method to input to heat map ``(*S)`` in [0, 1] of one record."""
    return {method: found.heats(common=common) for method, found in answers.items()}


def alone(values: list[Any], several: Any = list) -> Any:
    """The only value, or all of them.

    Example:
        >>> alone([3]), alone([3, 4])
        (3, [3, 4])
    """
    return values[0] if len(values) == 1 else several(values)


def by_method(answers: Sequence[Answers]) -> dict[str, list[InputsExplained]]:
    """All records' answers of each method."""
    return {method: [one[method] for one in answers] for method in answers[0]}


def raw_statistics(raw: Heats, scale: Scale) -> dict[str, dict[str, float]]:
    """Input to ``max_activation``, ``mean_activation``, ``std_activation`` of the raw evidence, and ``share``.

    The evidence is what is drawn: the positive values, or all magnitudes; unlike heat maps it is not scaled, so that
    inputs and records can be compared. ``share`` is the input's part of the evidence of all inputs.

    Example:
        >>> found = raw_statistics({"a": np.array([[3.0, -1.0]]), "b": np.array([[1.0, 0.0]])}, "positive")
        >>> found["a"]
        {'max_activation': 3.0, 'mean_activation': 1.5, 'std_activation': 1.5, 'share': 0.75}
    """
    evidence = {
        name: values.astype(np.float64).clip(min=0) if scale == "positive" else np.abs(values.astype(np.float64))
        for name, values in raw.items()
    }
    total = sum(float(values.sum()) for values in evidence.values())
    return {
        name: {
            "max_activation": float(values.max()),
            "mean_activation": float(values.mean()),
            "std_activation": float(values.std()),
            "share": float(values.sum()) / total if total else 0.0,
        }
        for name, values in evidence.items()
    }
