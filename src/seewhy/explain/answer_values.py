"""What is told of one record's answer, by the same names whatever the record is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seewhy.explain.class_choice import label_of
from seewhy.explain.every_input import InputsExplained


def answer_values(found: InputsExplained, names: Sequence[str] | None) -> dict[str, Any]:
    """``predicted_class``, ``label``, ``confidence``, ``probabilities``, ``target_class``, ``target_label``,
    ``method``, ``settings``, ``target_layer``, ``score``, ``measured``, ``shares``, ``raw`` and ``notes``."""
    facts = found.attribution.facts
    empty = [f"no positive evidence: every map of {facts.get('method')} is zero"] if not found.reference else []
    return {
        **found.says(names),
        "target_class": found.target,
        "target_label": None if found.target is None else label_of(found.target, names),
        "method": facts.get("method"),
        "settings": facts.get("settings", {}),
        "target_layer": facts.get("layer"),
        "score": float(found.attribution.score[0]),
        "measured": {name: float(value[0]) for name, value in found.attribution.measured.items()},
        "shares": found.shares,
        "raw": dict(found.raw),
        "notes": [*found.notes, *empty],
    }


def predicted_words(values: Mapping[str, Any]) -> str:
    """What a model says, for a caption; empty where it predicts no class.

    >>> predicted_words({"label": "cat", "confidence": 0.971})
    'predicted: cat, 97.1%'
    """
    return "" if values["confidence"] is None else f"predicted: {values['label']}, {values['confidence']:.1%}"
