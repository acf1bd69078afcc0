"""A segmentation model as the engine sees it: its logits for every place, and the layer that maps come from."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from seewhy.core import Inputs
from seewhy.models.adapter import Adapter
from seewhy.models.endings import LastActivation
from seewhy.models.layers import Choice, call_at, candidates, default_layer
from seewhy.models.logit_layers import calls_holding_logits
from seewhy.models.outputs import Selector
from seewhy.models.segmenters import SegmentationReader
from seewhy.models.trace import first_call
from seewhy.values import ModelError


def segmentation_adapter(
    model: nn.Module, example: Inputs, *, output_selector: Selector | None = None, **others: Any
) -> SegmentationAdapter:
    """A segmentation model traced on example inputs of any rank, a softmax or sigmoid at its end passed by or undone.

    ``others`` are those of :class:`Adapter`.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 1))
        >>> segmentation_adapter(net, {"image": torch.randn(1, 3, 8, 8)}).target_layer.layer
        '1'
    """
    reader = SegmentationReader(output_selector)
    found = SegmentationAdapter(model, example, reader=reader, **others)
    activation = found.trace.activation
    if activation is None or activation == "log_softmax":
        return found
    undone = SegmentationAdapter(model, example, reader=replace(reader, activation=activation), **others)
    told = f"the model's outputs are behind a {activation}, which is undone; where it saturates, digits are lost"
    undone.notes = (*undone.notes, told)
    return undone


class SegmentationAdapter(Adapter):
    """An :class:`Adapter` whose default layer does not hold the logits already: there a map is the logit map itself.

    A softmax or sigmoid that is a module of its own at the very end is passed by, as in a classifier.
    """

    def _first_look(self) -> Float[Tensor, "b c *s"]:
        super()._first_look()
        records = next(iter(self.example.values())).shape[0]
        last = LastActivation(self.model)
        with last.watching():
            outputs = self.outputs(first_call(self.call, self.example), batch=records)
        self.passed_by = last.layer(outputs)
        return outputs if self.passed_by is None else self.outputs(self.call(self.example), batch=records)

    def _target_layer(self, name: str) -> Choice:
        """Raises ``ModelError`` SW-M85 where every layer with a grid holds the logits."""
        held, calls = self._holding_logits, candidates(self.trace)
        if calls and all((call.name, call.call) in held for call in calls):
            raise ModelError(
                "SW-M85",
                f"every layer with a grid holds the logits already ({calls[-1].name}): a map there is the logit map",
                fix="use a method that needs no layer, such as integrated_gradients, or name the layer to see that map",
            )
        chosen = default_layer(self.trace, name, without=held)
        grid = call_at(self.trace, self.layer(chosen.layer)).grid
        if grid is not None and grid.layout == "tokens":
            # The queries of a decoder may be as many as some grid has cells; they look everywhere.
            lost = [place for place, order in self._orders_of(calls).items() if order != "in place"]
            if any((call.name, call.call) not in (*held, *lost) for call in calls):
                chosen = default_layer(self.trace, name, without=[*held, *lost])
        return replace(chosen, why="last layer with a spatial grid that does not hold the logits already")

    @cached_property
    def _holding_logits(self) -> list[tuple[str, int]]:
        return calls_holding_logits(self)
