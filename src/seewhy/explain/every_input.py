"""The answer for one record over all of its inputs, on one scale: which input mattered, and where in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.core import Attribution, Inputs
from seewhy.evidence import Scale, common_references, shares_of
from seewhy.explain.answering import Answer
from seewhy.explain.explained import record_of, scale_of
from seewhy.explain.head import Head
from seewhy.methods.ask import Asked
from seewhy.registry import ShareBy
from seewhy.render.heatmap import heatmap
from seewhy.values import TargetError

Maps = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class InputsExplained:
    """One record: ``raw[input]`` ``(*S)`` signed at the method's resolution, ``sizes[input]`` the input's own.

    ``outputs`` ``(C,)``; ``target`` is the class asked about, None where the question is about no single one;
    ``share_by`` says how the evidence of inputs compares.
    """

    raw: Maps
    sizes: Mapping[str, tuple[int, ...]]
    scale: Scale
    outputs: NDArray[np.float64]
    target: int | None
    attribution: Attribution
    head: Head
    notes: tuple[str, ...] = ()
    share_by: ShareBy = "sum"

    @property
    def shares(self) -> dict[str, float]:
        """Each input's share of the evidence, from raw maps; empty where inputs cannot be compared, as a note says."""
        if self.share_by == "nothing":
            return {}
        return shares_of(self.raw, self.scale, self.share_by)

    @property
    def reference(self) -> float:
        """The largest raw value drawn in full colour on the scale that all inputs share; 0 without evidence."""
        return max(self._references().values(), default=0.0)

    def _references(self) -> dict[str, float]:
        return common_references(self.raw, self.scale, "sum" if self.share_by == "sum" else "mean")

    def heats(self, *, common: bool = True) -> dict[str, NDArray[np.float32]]:
        """A heat map in [0, 1] at the size of each input: on one scale, or each on its own.

        Raises:
            TargetError: ``SW-T33``, a raw map holds values that are not finite.
        """
        references = self._references() if common else {}
        return {name: self._heat(name, references.get(name) or None) for name in self.raw}

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

    def __repr__(self) -> str:
        facts = self.attribution.facts
        told = [f"method={facts.get('method')!r}", f"target={self.target}"]
        told += [f"{name}: map {values.shape}" for name, values in self.raw.items()]
        told += [f"shares={ {name: round(share, 3) for name, share in self.shares.items()} }"] if self.shares else []
        return f"InputsExplained({', '.join(told)})"

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
    share_by, why = _comparing(found, asked)
    without = [name for name, tensor in inputs.items() if tensor.ndim < 3]
    left_out = (f"without space, so without a map or a share: {', '.join(without)}",) if without else ()
    mean = found.facts.get("settings", {}).get("baseline") == "mean" and "baseline" not in asked.settings
    chosen = ("baseline='mean': the record's own mean, as nobody told how values came from pixels",) if mean else ()
    notes = (*answer.notes, *why, *left_out, *chosen)
    for row in range(len(outputs)):
        raw = {name: values[row] for name, values in maps.items()}
        target = classes[row] if isinstance(classes, tuple) else classes
        one = record_of(found, row)
        yield InputsExplained(raw, sizes, scale, outputs[row], target, one, answer.head, notes, share_by)


def _comparing(found: Attribution, asked: Asked) -> tuple[ShareBy, tuple[str, ...]]:
    """How the evidence of these inputs compares, and a note where it does not."""
    if len(found.maps) < 2:
        return "sum", ()
    layer = found.facts.get("layer")
    each = list(layer.values()) if isinstance(layer, Mapping) else [layer] * 2 if layer else []
    shared = next((one for one in each if each.count(one) > 1), None)
    if shared is not None:
        told = f"{shared} sees several inputs at once, so that their maps are one and no share is told"
        return "nothing", (f"{told}; input_x_gradient and occlusion tell them apart",)
    if asked.method.share_by == "nothing":
        return "nothing", (f"maps of {asked.method.name} have a unit of their own for each input: no share is told",)
    return asked.method.share_by, ()
