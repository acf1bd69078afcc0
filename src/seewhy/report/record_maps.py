"""The maps that a row's answers hold, those that say most first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from seewhy.report.map_codes import Scale
from seewhy.report.map_units import attention_unit, class_unit
from seewhy.report.run_facts import Facts
from seewhy.values import Answer, Preview, RecordRow

PREDICTED, TRUE, ROLLOUT, OTHER_CLASS, HEAD = range(5)
"""How maps are ranked where not all of them fit: other classes by their probability, heads last."""

_MOST_PLANES: Final = 8


@dataclass(frozen=True)
class FoundMap:
    """A raw map ``(*S)`` of a record and what it is about; ``index`` is its class, None where it has none.

    ``variant`` tells maps of the same method apart: a layer's heads.
    """

    question: str
    method: str
    layer: str | None
    input_name: str
    index: int | None
    variant: str
    scale: Scale
    unit: str
    raw: Float[np.ndarray, "*s"]
    rank: tuple[int, int]

    @property
    def looks(self) -> dict[str, Any]:
        """All that :func:`seewhy.report.map_codes.map_json` is told beside the values."""
        return {
            "question": self.question, "method": self.method, "layer": self.layer, "input_name": self.input_name,
            "index": self.index, "variant": self.variant, "scale": self.scale, "unit": self.unit,
        }  # fmt: skip


def maps_of(row: RecordRow, facts: Facts) -> list[FoundMap]:
    """Every map of a record: of the predicted class, the true one, the rollout, other classes, heads.

    What two questions answered alike (all classes, and the five best) is there once.
    """
    found: dict[tuple[Any, ...], FoundMap] = {}
    for key in sorted(row.answers):
        spec = facts.questions.get(key, {})
        if spec.get("kind") == "gradcam":
            maps = _class_maps(key, spec, row.answers[key], row)
        elif spec.get("kind") == "attention":
            maps = _attention_maps(key, spec, row.answers[key], row)
        else:
            continue
        for one in maps:
            found.setdefault((one.method, one.layer, one.input_name, one.index, one.variant), one)
    return sorted(found.values(), key=lambda one: one.rank)


def shown_of(previews: Mapping[str, Preview], one: FoundMap) -> tuple[Sequence[int], int]:
    """The slices or frames at which a map is read, and of how many: those that the input's picture shows.

    Without a picture, up to eight of the map's own planes.
    """
    preview = previews.get(one.input_name)
    if preview is not None:
        return preview.shown, preview.of
    depth = one.raw.shape[-3] if one.raw.ndim > 2 else 1
    return evenly(depth, _MOST_PLANES), depth


def evenly(count: int, most: int) -> tuple[int, ...]:
    """Up to ``most`` places of ``count``, evenly spread.

    >>> evenly(10, 4), evenly(3, 8), evenly(9, 1)
    ((1, 3, 6, 8), (0, 1, 2), (4,))
    """
    if count <= most:
        return tuple(range(count))
    return tuple(int((step + 0.5) * count / most) for step in range(most))


def _class_maps(key: str, spec: Mapping[str, Any], answer: Answer, row: RecordRow) -> Iterator[FoundMap]:
    places = _places(row)
    for number, raw in enumerate(answer.values):
        index = answer.classes[number] if answer.classes else None
        if index is None or index == row.predicted:
            rank = (PREDICTED, 0)
        elif index == row.label:
            rank = (TRUE, 0)
        else:
            rank = (OTHER_CLASS, places[index] if 0 <= index < len(places) else index)
        unit = class_unit(index)
        for name in spec.get("inputs") or [_only_input(row)]:
            yield FoundMap(
                key, str(spec.get("method")), spec.get("layer"), name, index, "", "positive", unit, raw, rank
            )


def _attention_maps(key: str, spec: Mapping[str, Any], answer: Answer, row: RecordRow) -> Iterator[FoundMap]:
    name = spec.get("input") or _only_input(row)
    unit = attention_unit(spec.get("query"))
    method = str(spec.get("method"))
    if method == "rollout":
        yield FoundMap(key, method, None, name, None, "", "positive", unit, answer.values, (ROLLOUT, 0))
        return
    for layer, heads in zip(spec.get("layers", ()), answer.values, strict=False):
        for head, raw in enumerate(heads):
            variant = f"layer {layer}, head {head}"
            yield FoundMap(key, method, None, name, None, variant, "positive", unit, raw, (HEAD, head))


def _places(row: RecordRow) -> list[int]:
    """Each class's place among the record's classes, the most probable first."""
    if row.probabilities is None:
        return []
    order = np.argsort(-np.nan_to_num(row.probabilities, nan=-1.0), kind="stable")
    places = np.empty(len(order), int)
    places[order] = np.arange(len(order))
    told: list[int] = places.tolist()
    return told


def _only_input(row: RecordRow) -> str:
    return row.previews[0].input_name if row.previews else "input"
