"""What layers put out for chosen records and time steps, whichever way the model goes through time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from seewhy.features.given_batch import GivenBatch
from seewhy.features.layer_reader import Part
from seewhy.features.row_order import Lying
from seewhy.models.layers import Layer
from seewhy.values import DataError

Pair = tuple[int, int]
"""A record of a batch and a time step, both from 0."""


@dataclass
class Collected:
    """Gathers the rows of ``pairs`` while a batch goes through the model; ``keep`` copies what is kept.

    Raises:
        DataError: ``SW-D132``, a pair that the batch does not have.
    """

    given: GivenBatch
    pairs: Sequence[Pair]
    keep: Callable[[Tensor], Tensor] = lambda tensor: tensor.to("cpu", copy=True)
    lying: dict[str, Lying] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    _rows: dict[tuple[str, int], dict[Pair, Tensor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        records, steps = self.given.records, self.given.steps if self.given.is_clip else 1
        for record, step in self.pairs:
            if not (0 <= record < records and 0 <= step < steps):
                time = f"{steps} time steps" if self.given.is_clip else "no time"
                raise DataError(
                    "SW-D132",
                    f"batch_idx={record}, timestep={step} was asked for; the batch has {records} records and {time}",
                    fix=f"use batch_idx 0 to {records - 1} and timestep 0 to {steps - 1}; clips are (B, T, C, H, W)",
                )

    def take(self, part: Part) -> None:
        """Keep the wanted rows of one call of a layer."""
        self.lying[part.layer], self.kinds[part.layer] = part.lying, type(part.module).__name__
        kept = self._rows.setdefault((part.layer, part.call), {})
        for pair in self.pairs:
            place = self._place(part.lying, pair)
            if place not in kept:
                kept[place] = self.keep(self._row(part, place))

    def _place(self, lying: Lying, pair: Pair) -> Pair:
        """Where a pair's values are in one call: its row, and its step along a time axis inside the row."""
        record, step = pair
        if lying.per_step:
            return record * self.given.steps + step, 0
        if lying.order == "single":
            return 0, 0
        return record, step * lying.time_axis // self.given.steps

    def _row(self, part: Part, place: Pair) -> Float[Tensor, "c *s"]:
        row, step = place
        values: Tensor = part.values[row]
        return values[:, step] if part.lying.time_axis else values

    def by_layer(
        self, layers: Mapping[str, Layer], counts: Mapping[str, int]
    ) -> dict[str, list[Float[Tensor, "c *s"]]]:
        """What each layer puts out for each pair, in the order of ``pairs``; layers that did not run are left out."""
        return {
            name: [self._found(name, layer.call, counts[name], pair) for pair in self.pairs]
            for name, layer in layers.items()
            if (name, layer.call) in self._rows
        }

    def _found(self, name: str, call: int, count: int, pair: Pair) -> Float[Tensor, "c *s"]:
        lying = self.lying[name]
        if between := lying.calls_between(count, self.given):
            call += lying.call_of(pair, between, self.given)
        return self._rows[name, call][self._place(lying, pair)]
