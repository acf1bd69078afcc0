"""The records that excite each channel of a layer most, gathered batch by batch: nothing else is kept of a record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Num
from numpy.typing import NDArray
from torch import Tensor

Reduce: TypeAlias = Literal["max", "mean"]
REDUCTIONS: Final = ("max", "mean")


@dataclass(frozen=True)
class Excited:
    """A record by its ``position``, how much it excites a channel (``value``, raw), where the channel's ``map``
    ``(*S)`` is highest (``place``, by axis), and the map itself.
    """

    position: int
    value: float
    place: tuple[int, ...]
    map: Float[Tensor, "*s"]


@dataclass
class MostExcited:
    """Keeps the ``top_k`` records with the highest value of each channel, and their maps.

    A record's value is its channel's largest (``"max"``) or average (``"mean"``) activation. Of equal values the record
    with the lower position counts as higher, so that neither the size nor the order of batches decides. A channel in
    which a record's value is no finite number is left out for it and counted in ``nonfinite``.

    Args:
        top_k: records for each channel.
        reduce: ``"max"`` or ``"mean"`` over places.
        channels: which are looked at; all if None.

    Example:
        >>> found = MostExcited(top_k=2)
        >>> found.add([0, 1], torch.tensor([[[1.0, 5.0]], [[7.0, 0.0]]]))
        >>> found.add([2], torch.tensor([[[5.0, 5.0]]]))
        >>> [(record.position, record.value, record.place) for record in found.ranked()[0]]
        [(1, 7.0, (0,)), (0, 5.0, (1,))]
    """

    top_k: int
    reduce: Reduce = "max"
    channels: Sequence[int] | None = None
    records: int = 0
    nonfinite: dict[int, int] = field(default_factory=dict)
    _values: NDArray[np.float64] | None = None
    _positions: NDArray[np.int64] | None = None
    _maps: list[list[Tensor]] = field(default_factory=list)

    def add(self, positions: Sequence[int], maps: Num[Tensor, "b c *s"]) -> None:
        """Look at a batch: ``maps`` ``(B, C, *S)`` of the records at these positions of the data."""
        chosen = maps if self.channels is None else maps[:, list(self.channels)]
        flat = chosen.flatten(2) if chosen.ndim > 2 else chosen[..., None]
        reduced = flat.amax(dim=2) if self.reduce == "max" else flat.double().mean(dim=2)
        scores = reduced.double().cpu().numpy().T
        self.records += len(positions)
        if self._values is None or self._positions is None:
            self._values = np.empty((len(scores), 0))
            self._positions = np.empty((len(scores), 0), np.int64)
            self._maps = [[] for _ in scores]
        kept = self._values.shape[1]
        finite = np.isfinite(scores)
        for row in np.flatnonzero(~finite.all(axis=1)).tolist():
            channel = row if self.channels is None else self.channels[row]
            self.nonfinite[channel] = self.nonfinite.get(channel, 0) + int((~finite[row]).sum())
        values = np.concatenate([self._values, np.where(finite, scores, -np.inf)], axis=1)
        places = np.concatenate([self._positions, np.tile(np.asarray(positions, np.int64), (len(scores), 1))], axis=1)
        order = np.lexsort((places, -values), axis=1)[:, : self.top_k]
        for row in np.flatnonzero((order >= kept).any(axis=1)).tolist():
            before = self._maps[row]
            self._maps[row] = [
                before[index] if index < kept else chosen[index - kept, row].to("cpu", copy=True)
                for index in order[row].tolist()
            ]
        self._values = np.take_along_axis(values, order, axis=1)
        self._positions = np.take_along_axis(places, order, axis=1)

    def ranked(self) -> dict[int, list[Excited]]:
        """By channel, its records with the most excited first."""
        if self._values is None or self._positions is None:
            return {}
        numbers = range(len(self._values)) if self.channels is None else self.channels
        return {
            channel: [
                Excited(int(position), float(value), _highest(values), values)
                for position, value, values in zip(
                    self._positions[row], self._values[row], self._maps[row], strict=True
                )
                if np.isfinite(value)
            ]
            for row, channel in enumerate(numbers)
        }


def _highest(values: Float[Tensor, "*s"]) -> tuple[int, ...]:
    if not values.ndim:
        return ()
    first = int(torch.argmax(values.double().nan_to_num(nan=-torch.inf, neginf=-torch.inf, posinf=torch.inf)))
    return tuple(int(axis) for axis in np.unravel_index(first, values.shape))
