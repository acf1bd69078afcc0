"""Reads any layers of a model in one forward, one layer at a time: what each puts out for each record and time step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Num
from torch import Tensor, nn

from seewhy.capture.reading import LayerOutput, reading, require_reached
from seewhy.features.clip_survey import ClipSurvey, surveyed
from seewhy.features.given_batch import GivenBatch, as_floats, given_batch
from seewhy.features.layer_choice import chosen_layers
from seewhy.features.row_order import Lying, Places
from seewhy.models.borrow import borrowed, unwrapped
from seewhy.values import LayerError, ModelError


@dataclass(frozen=True)
class Part:
    """One call of one layer.

    ``values`` are the model's own memory and have to be used or copied at once. There is a row for each record, or
    where ``lying.per_step`` says so for each time step of each record, record by record.
    """

    layer: str
    call: int
    module: nn.Module
    lying: Lying
    values: Num[Tensor, "rows c *s"]


class LayerReader:
    """The chosen layers of one model; it keeps no hook and changes nothing.

    Args:
        model: any model; it is asked in evaluation mode and given back as it was.
        layers: what :func:`seewhy.features.layer_choice.chosen_layers` takes; the model's stages if None.
        frames_first: the inputs that the model takes as ``(B, T, C, H, W)``; found by its first convolution if None.

    Raises:
        LayerError: a layer that is not there.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> reader = LayerReader(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), "0")
        >>> reader.maps(torch.zeros(4, 1, 8, 8))["0"].shape
        torch.Size([4, 2, 6, 6])
    """

    def __init__(self, model: nn.Module, layers: Any = None, *, frames_first: Sequence[str] | None = None) -> None:
        self.model = unwrapped(model)
        self.layers = chosen_layers(self.model, layers)
        self.required = layers is not None
        self.skipped: dict[str, str] = {}
        self._frames_first = frames_first
        self._surveys: dict[Any, ClipSurvey] = {}
        self._pictures: dict[Any, bool] = {}

    def given(self, batch: Any) -> GivenBatch:
        """The batch as the model takes it: a model of pictures gets the frames of a clip as pictures.

        Raises:
            DataError: ``SW-D130``, ``SW-D131`` a batch without inputs or records.
            ModelError: ``SW-M09``, the model can be called neither on clips nor on their frames.
        """
        if isinstance(batch, GivenBatch):
            return batch
        given = given_batch(self.model, batch, self._frames_first)
        return replace(given, as_pictures=self._takes_pictures(given))

    def _takes_pictures(self, given: GivenBatch) -> bool:
        """Tried on one record, once for each shape of clip: what a forward takes cannot be read off its layers."""
        if not given.frames_first:
            return False
        key = _shapes(given)
        if key not in self._pictures:
            one = given.first(1)
            with borrowed(self.model):
                try:
                    one.run(self.model)
                    self._pictures[key] = False
                except ModelError as refused:
                    try:
                        replace(one, as_pictures=True).run(self.model)
                    except ModelError:
                        raise refused from None
                    self._pictures[key] = True
        return self._pictures[key]

    def read(self, batch: Any, take: Callable[[Part], None]) -> dict[str, int]:
        """Run the whole model once and hand over each call of each layer; how often each layer ran.

        A layer that was chosen by default and cannot be read is left out, with its reason in ``skipped``.

        Raises:
            LayerError: ``SW-L07`` a named layer that did not run, ``SW-L12`` one without a tensor, ``SW-L40`` one whose
                rows are neither records nor time steps.
            ModelError: ``SW-M09``, the model cannot be called on the batch.
        """
        given = self.given(batch)
        with borrowed(self.model):
            places = Places(given, self._survey(given))

            def hand(output: LayerOutput) -> None:
                lying = places.lying(self.layers[output.layer], output)
                if lying is None:
                    self._skip(output, given)
                    return
                values = as_floats(lying.rows(output.tensor, given.records))
                take(Part(output.layer, output.call, output.module, lying, values))

            with places.learning(self.model), reading(self.model, self.layers, hand, required=self.required) as counts:
                given.run(self.model)
        if self.required:
            require_reached(self.layers, counts)
        for name, count in counts.items():
            if not count:
                self.skipped.setdefault(name, "it was not reached, or puts out no single tensor")
        return dict(counts)

    def maps(self, batch: Any) -> dict[str, Num[Tensor, "rows c *s"]]:
        """What each layer puts out for a whole batch, on the CPU: ``(B, C, *S)``, tokens as grids, vectors ``(B, C)``.

        Where the layer sees frames there is a row for each time step of each record, ``(B · T, C, *S)``. Of a module
        that runs several times for one record (or frame), the call that was named.
        """
        given, calls = self.given(batch), dict[str, dict[int, Tensor]]()
        lying: dict[str, Lying] = {}

        def take(part: Part) -> None:
            calls.setdefault(part.layer, {})[part.call] = part.values.to("cpu", copy=True)
            lying[part.layer] = part.lying

        counts = self.read(given, take)
        found = {}
        for name, layer in self.layers.items():
            if layer.call not in calls.get(name, {}):
                continue
            between = lying[name].calls_between(counts[name], given)
            found[name] = calls[name][layer.call]
            if between:
                found[name] = torch.stack(
                    [
                        calls[name][layer.call + lying[name].call_of((record, step), between, given)][
                            0 if lying[name].order == "single" else record
                        ]
                        for record in range(given.records)
                        for step in range(given.steps)
                    ]
                )
        return found

    def _skip(self, output: LayerOutput, given: GivenBatch) -> None:
        what = (
            f"layer {self.layers[output.layer]} puts out {tuple(output.tensor.shape)}, whose rows are neither the "
            f"{given.records} records" + (f" nor their {given.steps} time steps" if given.steps > 1 else "")
        )
        if self.required:
            raise LayerError("SW-L40", what, fix="choose a layer inside it, or the next one")
        self.skipped[output.layer] = what

    def _survey(self, given: GivenBatch) -> ClipSurvey | None:
        """Asked once for each shape of clip and for one record or several: the answer lies in how the model is
        written."""
        if given.steps < 2 or given.as_pictures:
            return None
        key = (_shapes(given), min(given.records, 2))
        if key not in self._surveys:
            self._surveys[key] = surveyed(self.model, given, self.layers)
        return self._surveys[key]


def _shapes(given: GivenBatch) -> tuple[Any, ...]:
    return tuple((name, tensor.shape[1:]) for name, tensor in given.inputs.items())
