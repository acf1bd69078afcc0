"""Statistics of layers gathered while a batch goes through the model, each call of each layer by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from seewhy.features.given_batch import GivenBatch
from seewhy.features.layer_reader import LayerReader, Part
from seewhy.features.row_order import Lying
from seewhy.features.statistics import ChannelStatistics
from seewhy.models.layers import Layer

Statistics = dict[str, ChannelStatistics]


@dataclass
class Measured:
    """The statistics of one batch; which calls of a module count is known when all have been seen."""

    given: GivenBatch
    _calls: dict[str, list[ChannelStatistics]] = field(default_factory=dict)
    _lying: dict[str, Lying] = field(default_factory=dict)

    def take(self, part: Part) -> None:
        """Measure one call of a layer."""
        self._calls.setdefault(part.layer, []).append(ChannelStatistics.of(part.values))
        self._lying[part.layer] = part.lying

    def by_layer(self, layers: Mapping[str, Layer], counts: Mapping[str, int]) -> Statistics:
        """Each layer over all records and time steps; of a module that runs several times, the call that was named."""
        found: Statistics = {}
        for name, layer in layers.items():
            calls = self._calls.get(name, [])
            between = self._lying[name].calls_between(counts[name], self.given) if calls else 0
            chosen = calls[layer.call :: between] if between else calls[layer.call : layer.call + 1]
            for seen in chosen:
                found[name] = found[name].merged(seen) if name in found else seen
        return found


def added(known: Mapping[str, ChannelStatistics], more: Mapping[str, ChannelStatistics]) -> Statistics:
    """The statistics of the records of both, by layer."""
    return {**known, **{name: known[name].merged(seen) if name in known else seen for name, seen in more.items()}}


def statistics_of(
    reader: LayerReader, batches: Iterable[Any], watch: Callable[[GivenBatch], None] | None = None
) -> Statistics:
    """Each layer over all records and time steps of all batches; memory does not grow with their number.

    ``watch`` is told of each batch when it is done.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> reader = LayerReader(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()))
        >>> statistics_of(reader, torch.zeros(6, 1, 8, 8).split(2))["1"].summary().records
        6
    """
    found: Statistics = {}
    for batch in batches:
        measured = Measured(reader.given(batch))
        counts = reader.read(measured.given, measured.take)
        found = added(found, measured.by_layer(reader.layers, counts))
        if watch is not None:
            watch(measured.given)
    return {name: found[name] for name in reader.layers if name in found}
