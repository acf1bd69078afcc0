"""Statistics of layers gathered from the calls that a training makes anyway; memory does not grow with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from jaxtyping import Num
from torch import Tensor, nn

from seewhy.capture.reading import LayerOutput
from seewhy.features.layer_reader import Part
from seewhy.features.statistics import ChannelStatistics
from seewhy.models.layer_calls import channels_of
from seewhy.models.layers import Layer

ExtraStatistic = Callable[[Tensor], Any]
FEWEST_AXES: Final = 2


@dataclass
class Tally:
    """What the layers put out since it was made: statistics per channel, and the mean of each extra statistic.

    A module that runs several times in a pass counts with every call, unless one was named (``relu#1``).
    """

    layers: Mapping[str, Layer]
    extra: Mapping[str, ExtraStatistic]
    statistics: dict[str, ChannelStatistics] = field(default_factory=dict)
    batches: int = 0
    _sums: dict[tuple[str, str], tuple[float, int]] = field(default_factory=dict)

    def take(self, output: LayerOutput | Part) -> None:
        """Count one call of a layer; the values are only read."""
        tensor = output.values if isinstance(output, Part) else output.tensor
        named_call = "#" in output.layer
        if tensor.ndim < FEWEST_AXES or not tensor.numel() or (named_call and output.call != self._call_of(output)):
            return
        values = tensor if isinstance(output, Part) else channels_second(output.module, tensor)
        with torch.no_grad():
            seen = ChannelStatistics.of(values)
        known = self.statistics.get(output.layer)
        self.statistics[output.layer] = seen if known is None else known.merged(seen)
        if self.extra:
            self._take_extra(output.layer, values, seen.records)

    def _take_extra(self, layer: str, values: Tensor, records: int) -> None:
        """The extra statistics of a copy, so that a function of the user's can neither write into the training's values
        nor move its random numbers."""
        devices = [values.device] if values.device.type == "cuda" else []
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            for name, statistic in self.extra.items():
                value = float(statistic(values.clone()))
                total, count = self._sums.get((layer, name), (0.0, 0))
                self._sums[layer, name] = (total + value * records, count + records)

    def numbers(self) -> dict[str, dict[str, float]]:
        """By layer: ``mean``, ``std``, ``sparsity``, ``max``, ``near_zero``, ``dead`` and the extra statistics."""
        found = {}
        for layer, statistics in self.statistics.items():
            told = statistics.summary()
            found[layer] = {
                "mean": told.mean,
                "std": told.std,
                "sparsity": told.sparsity,
                "max": told.max,
                "near_zero": told.near_zero,
                "dead": len(told.dead_channels) / told.num_channels,
                **{name: total / count for (of, name), (total, count) in self._sums.items() if of == layer},
            }
        return found

    def _call_of(self, output: LayerOutput | Part) -> int:
        return self.layers[output.layer].call


def channels_second(module: nn.Module, tensor: Num[Tensor, "b *s"]) -> Num[Tensor, "b c *s"]:
    """An output with its channels second, by what the module is made of: tokens and channels-last maps turned round.

    Example:
        >>> channels_second(nn.LayerNorm(5), torch.zeros(2, 49, 5)).shape
        torch.Size([2, 5, 49])
        >>> channels_second(nn.Sequential(nn.Conv2d(3, 5, 1), nn.GELU()), torch.zeros(2, 5, 7, 7)).shape
        torch.Size([2, 5, 7, 7])
    """
    return tensor if tensor.ndim <= FEWEST_AXES or _channels_first(module, tensor.ndim) else tensor.movedim(-1, 1)


def _channels_first(module: nn.Module, axes: int) -> bool:
    told = channels_of(module)
    if told is not None:
        return told == "first"
    inside = {channels_of(part) for part in module.modules()} - {None}
    if axes > FEWEST_AXES + 1:  # a map: channels last only where nothing inside has them first
        return "first" in inside or "last" not in inside
    # three axes are tokens, such as a patch embedding's, or a signal's where there are layers of signals
    return any("1d" in type(part).__name__ for part in module.modules())


def chosen_batches(total: float, count: int) -> frozenset[int] | range:
    """Which batches of an epoch are measured: ``count`` spread evenly, the first ones where their number is unknown.

    Example:
        >>> sorted(chosen_batches(100, 4)), sorted(chosen_batches(3, 10)), chosen_batches(math.inf, 2)
        ([12, 37, 62, 87], [0, 1, 2], range(0, 2))
    """
    if not math.isfinite(total):
        return range(count)
    few = min(count, int(total))
    return frozenset(int((place + 0.5) * total / few) for place in range(few))
