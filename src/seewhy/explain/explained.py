"""The answer for one image: the raw map, and the heat map a person looks at, on the pixels of the original."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from jaxtyping import Bool, Float32
from numpy.typing import NDArray

from seewhy.core import Attribution
from seewhy.evidence import Scale
from seewhy.explain.answering import Answer
from seewhy.explain.head import Head
from seewhy.explain.prepared import Prepared
from seewhy.methods.ask import Asked
from seewhy.methods.scale import scale_of as scale_of
from seewhy.render.heatmap import Heatmap, heatmap, place_on_original
from seewhy.render.resize import resize
from seewhy.values import Geometry, TargetError

Heat = Float32[np.ndarray, "height width"]

SHOWN_UP_TO: Final = 99
"""The percentile of magnitudes that is painted in full colour."""


@dataclass(frozen=True)
class Explained:
    """One image's answer: ``raw`` ``(h, w)`` at the method's resolution over the model's input, ``outputs`` ``(C,)``.

    ``target`` is the class asked about, None where the question is about no single one; ``head`` tells what the outputs
    mean, ``of_model`` what there is to know of the model.
    """

    prepared: Prepared
    raw: NDArray[np.float32]
    scale: Scale
    outputs: NDArray[np.float64]
    target: int | None
    attribution: Attribution
    head: Head
    of_model: tuple[str, ...] = ()

    @cached_property
    def scaled(self) -> Heatmap:
        """The raw map in [0, 1] at the size of the model's input."""
        height, width = self.prepared.geometry.input
        return heatmap(self.raw, (height, width), scale=self.scale)

    @property
    def heat(self) -> Heat:
        """``(H, W)`` in [0, 1] on the original, 0 outside what the model saw.

        Raises:
            TargetError: ``SW-T33``, the raw map holds values that are not finite.
        """
        return self._placed[0]

    @property
    def drawn(self) -> Heat:
        """The heat map as painted: magnitudes up to their ``SHOWN_UP_TO`` percentile, lest an outlier hide the rest."""
        if self._full_colour is None:
            return self.heat
        height, width = self.prepared.geometry.input
        shown = heatmap(self.raw, (height, width), scale="magnitude", reference=self._full_colour)
        return self._place(shown.values)[0]

    @property
    def full_from(self) -> float:
        """The value of :attr:`heat` painted in full colour: 1, but of magnitudes their ``SHOWN_UP_TO`` percentile."""
        return 1.0 if self._full_colour is None else self._full_colour / self.scaled.reference

    @property
    def signed(self) -> Heat:
        """``(H, W)``: the raw map with its sign and unit on the original, 0 outside what the model saw."""
        self._require_finite()
        height, width = self.prepared.geometry.input
        return self._place(resize(self.raw, (height, width)))[0]

    @property
    def nothing(self) -> str | None:
        """Why the heat map is zero; None where it is not."""
        if not self.scaled.zero:
            return None
        facts = self.attribution.facts
        method, layer = facts.get("method", "the method"), facts.get("layer")
        return f"no positive evidence: the heat map of {method} is zero, since {_why_zero(self.raw, layer)}"

    def titled(self, name: str) -> str:
        """What stands above the painted map."""
        if self.scaled.zero:
            return f"{name}: no positive evidence"
        return name if self._full_colour is None else f"{name} (to {SHOWN_UP_TO}th percentile)"

    @property
    def valid(self) -> Bool[np.ndarray, "height width"]:
        """Which of the original's pixels the model saw."""
        return self._placed[1]

    @property
    def notes(self) -> tuple[str, ...]:
        """What was changed on the way in, and what there is to know of the map."""
        empty = () if self.nothing is None else (self.nothing,)
        return (*self.of_model, *self.prepared.notes, *empty)

    @cached_property
    def _full_colour(self) -> float | None:
        """The magnitude painted in full colour where that is not the largest."""
        if self.scale != "magnitude" or self.scaled.nonfinite:
            return None
        found = float(np.percentile(np.abs(self.raw), SHOWN_UP_TO))
        return found if found > 0 else None

    @cached_property
    def _placed(self) -> tuple[Heat, Bool[np.ndarray, "height width"]]:
        self._require_finite()
        return self._place(self.scaled.values)

    def _place(self, values: Heat) -> tuple[Heat, Bool[np.ndarray, "height width"]]:
        return on_original(values, self.prepared.geometry)

    def _require_finite(self) -> None:
        if self.scaled.nonfinite:
            raise TargetError(
                "SW-T33",
                f"{self.scaled.nonfinite} of {self.raw.size} values of the map are not finite; nothing is painted",
                fix="check the model's weights and the input's range, or use another method or layer",
            )


def on_original(values: Heat, geometry: Geometry) -> tuple[Heat, Bool[np.ndarray, "height width"]]:
    """A map of the model's input on the original, zero where the model saw nothing, and the mask of what it saw."""
    if geometry == Geometry.identity(geometry.original):
        return values.astype(np.float32, copy=False), np.ones(geometry.original, dtype=np.bool_)
    return place_on_original(values, geometry)


def each_record(answer: Answer, prepared: Sequence[Prepared], asked: Asked) -> Iterator[Explained]:
    """One :class:`Explained` for each record of a batch.

    Raises:
        TargetError: ``SW-T34``, the map is not one plane.
    """
    found = answer.attribution
    planes = found.map.detach().float().cpu().numpy()
    if planes.ndim != 3:
        raise TargetError(
            "SW-T34",
            f"a heat map is drawn of a picture; this map has the shape {planes.shape[1:]}",
            fix="use .attribute(...), which gives raw maps of any rank",
        )
    classes = getattr(answer.target, "index", None)
    outputs = answer.outputs.double().cpu().numpy()
    scale = scale_of(asked.method, asked.settings)
    for row, one in enumerate(prepared):
        target = classes[row] if isinstance(classes, tuple) else classes
        yield Explained(one, planes[row], scale, outputs[row], target, record_of(found, row), answer.head, answer.notes)


def record_of(found: Attribution, row: int) -> Attribution:
    """One record of an attribution, as a batch of one that keeps nothing else alive."""
    rows = slice(row, row + 1)
    return Attribution(
        {name: maps[rows].clone() for name, maps in found.maps.items()},
        found.score[rows].clone(),
        found.signed,
        {name: values[rows].clone() for name, values in found.per_channel.items()},
        {name: values[rows].clone() for name, values in found.measured.items()},
        found.facts,
    )


def _why_zero(raw: NDArray[np.float32], layer: str | None) -> str:
    if raw.min() < 0:
        return "all evidence is negative: it speaks against the class"
    if layer is None:
        return "the raw map is zero everywhere"
    return (
        f"the gradient at {layer} is zero everywhere (for example a zero-initialised last batch norm), or nothing is "
        "active there"
    )
