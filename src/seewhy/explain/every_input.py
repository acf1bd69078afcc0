"""The answer for one record over all of its inputs, on one scale: which input mattered, and where in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from seewhy.core import Attribution, Inputs
from seewhy.explain.answering import Answer
from seewhy.explain.explained import record_of, scale_of
from seewhy.explain.head import Head
from seewhy.methods.ask import Asked
from seewhy.render.heatmap import Scale, heatmap
from seewhy.values import TargetError

Maps = Mapping[str, NDArray[np.float32]]


def evidence(raw: Float[np.ndarray, "*s"], scale: Scale) -> float:
    """How much a raw map says in all: the sum of what speaks for the class, or of all magnitudes.

    Example:
        >>> evidence(np.array([3.0, -1.0]), "positive"), evidence(np.array([3.0, -1.0]), "magnitude")
        (3.0, 4.0)
    """
    values = raw.astype(np.float64)
    return float((values.clip(min=0) if scale == "positive" else np.abs(values)).sum())


def shares_of_evidence(raw: Maps, scale: Scale) -> dict[str, float]:
    """Each input's part of the evidence in all maps: sums to 1, or is 0 everywhere where there is no evidence.

    Of Grad-CAM on a model that averages each branch over space and adds up linear heads, a map's sum is what its branch
    adds to the logit, so that sizes of maps and inputs do not matter.

    Example:
        >>> shares_of_evidence({"a": np.array([3.0, -5.0]), "b": np.array([[1.0]])}, "positive")
        {'a': 0.75, 'b': 0.25}
    """
    found = {name: evidence(values, scale) for name, values in raw.items()}
    total = sum(found.values())
    return {name: value / total if total else 0.0 for name, value in found.items()}


@dataclass(frozen=True)
class InputsExplained:
    """One record: ``raw[input]`` ``(*S)`` signed at the method's resolution, ``sizes[input]`` the input's own.

    ``outputs`` ``(C,)``; ``target`` is the class asked about, None where the question is about no single one.
    """

    raw: Maps
    sizes: Mapping[str, tuple[int, ...]]
    scale: Scale
    outputs: NDArray[np.float64]
    target: int | None
    attribution: Attribution
    head: Head
    notes: tuple[str, ...] = ()

    @property
    def shares(self) -> dict[str, float]:
        """Each input's share of the evidence, from raw maps."""
        return shares_of_evidence(self.raw, self.scale)

    @property
    def reference(self) -> float:
        """The raw value drawn in full colour on the common scale: the largest of all inputs, 0 without evidence."""
        return max((_peak(values, self.scale) for values in self.raw.values()), default=0.0)

    def heats(self, *, common: bool = True) -> dict[str, NDArray[np.float32]]:
        """A heat map in [0, 1] at the size of each input: on one scale, or each on its own.

        Raises:
            TargetError: ``SW-T33``, a raw map holds values that are not finite.
        """
        reference = self.reference if common and self.reference > 0 else None
        return {name: self._heat(name, reference) for name in self.raw}

    def _heat(self, name: str, reference: float | None) -> NDArray[np.float32]:
        found = heatmap(self.raw[name], self.sizes[name], scale=self.scale, reference=reference)
        if found.nonfinite:
            raise TargetError(
                "SW-T33",
                f"{found.nonfinite} of {self.raw[name].size} values of the map of {name!r} are not finite; nothing is "
                "painted",
                fix="check the model's weights and the input's range, or use another method or layer",
            )
        return found.values

    def says(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        """``predicted_class``, ``label``, ``confidence`` and ``probabilities``; None for what a task has not."""
        return self.head.says(self.outputs, names)


def each_of(answer: Answer, inputs: Inputs, asked: Asked) -> Iterator[InputsExplained]:
    """One :class:`InputsExplained` for each record of a batch."""
    found, classes = answer.attribution, getattr(answer.target, "index", None)
    maps = {name: values.detach().float().cpu().numpy() for name, values in found.maps.items()}
    sizes = {name: tuple(inputs[name].shape[2:]) for name in maps}
    outputs = answer.outputs.double().cpu().numpy()
    scale = scale_of(asked.method, asked.settings)
    for row in range(len(outputs)):
        raw = {name: values[row] for name, values in maps.items()}
        target = classes[row] if isinstance(classes, tuple) else classes
        yield InputsExplained(raw, sizes, scale, outputs[row], target, record_of(found, row), answer.head, answer.notes)


def _peak(raw: Float[np.ndarray, "*s"], scale: Scale) -> float:
    values = raw[np.isfinite(raw)]
    if not values.size:
        return 0.0
    return float(max(values.max(), 0.0) if scale == "positive" else np.abs(values).max())
