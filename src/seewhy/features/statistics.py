"""What a layer puts out, channel by channel: moments, extremes and zeros, gathered over any number of records.

Sums of parts are merged exactly (Chan, Golub and LeVeque 1979, eq. 2.1), so that memory depends on the number of
channels alone, and neither batches nor their order change a number beyond rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import torch
from jaxtyping import Bool, Float, Float64, Int64, Num
from torch import Tensor

from seewhy.values import DataError

NEAR_ZERO: Final = 0.01
"""A value counts as near zero up to this share of the largest magnitude that its record has in the layer."""
_AT_ONCE: Final = 2**19
"""Values looked at together: what stays in a processor's cache between the passes over them."""


@dataclass(frozen=True)
class LayerStatistics:
    """A layer in numbers.

    ``std`` is the population's. ``sparsity`` is the share of values that are exactly zero, ``near_zero`` the share of
    those at most :data:`NEAR_ZERO` of their record's largest magnitude, which is what tells about layers behind GELU or
    SiLU. A channel is dead where no value of any record exceeds :data:`NEAR_ZERO` of the layer's largest magnitude;
    ``active_channels`` have a mean above 0.01. ``nonfinite`` counts NaN and infinite values.
    """

    records: int
    num_channels: int
    mean: float
    std: float
    min: float
    max: float
    num_zero: int
    sparsity: float
    near_zero: float
    active_channels: int
    dead_channels: tuple[int, ...]
    nonfinite: int


@dataclass(frozen=True)
class ChannelStatistics:
    """Each channel ``(C,)`` over ``records`` records, which gave ``count`` values per channel.

    ``squares`` are sums of squared deviations from ``mean``; ``zeros``, ``near_zeros`` and ``nonfinite`` count values.

    Example:
        >>> both = ChannelStatistics.of(torch.tensor([[[0.0, 2.0]], [[4.0, 6.0]]]))
        >>> both.mean.tolist(), both.variance.tolist(), both.summary().sparsity
        ([3.0], [5.0], 0.25)
    """

    records: int
    count: int
    mean: Float64[Tensor, " c"]
    squares: Float64[Tensor, " c"]
    minimum: Float64[Tensor, " c"]
    maximum: Float64[Tensor, " c"]
    zeros: Int64[Tensor, " c"]
    near_zeros: Int64[Tensor, " c"]
    nonfinite: Int64[Tensor, " c"]

    @classmethod
    def of(cls, values: Num[Tensor, "b c *s"]) -> ChannelStatistics:
        """The statistics of a batch of maps, vectors or volumes; channels second.

        Raises:
            DataError: ``SW-D134``, there are no values.
        """
        if values.ndim < 2 or not values.numel():
            raise DataError(
                "SW-D134",
                f"activations {tuple(values.shape)} hold no values by record and channel",
                fix="give (B, C, *S) with one value or more",
            )
        batch, channels = values.shape[:2]
        single = values.detach() if values.dtype in (torch.float32, torch.float64) else values.detach().float()
        rows = single.reshape(batch * channels, -1)
        low, high = rows.amin(dim=1), rows.amax(dim=1)
        limits = torch.maximum(-low, high).reshape(batch, channels).amax(dim=1, keepdim=True) * NEAR_ZERO
        found = _measured(rows, low, limits.expand(batch, channels).reshape(-1, 1))
        means, squares, zeros, near = (each.reshape(batch, channels) for each in found)
        mean = means.mean(dim=0)
        size = rows.shape[1]
        return cls(
            records=batch,
            count=batch * size,
            mean=mean,
            squares=squares.sum(dim=0) + size * (means - mean).square().sum(dim=0),
            minimum=low.reshape(batch, channels).amin(dim=0).cpu().double(),
            maximum=high.reshape(batch, channels).amax(dim=0).cpu().double(),
            zeros=zeros.sum(dim=0),
            near_zeros=near.sum(dim=0),
            nonfinite=_nonfinite(rows, means.isfinite().all()).reshape(batch, channels).sum(dim=0),
        )

    def merged(self, other: ChannelStatistics) -> ChannelStatistics:
        """The statistics of the records of both."""
        count = self.count + other.count
        apart = other.mean - self.mean
        return ChannelStatistics(
            records=self.records + other.records,
            count=count,
            mean=self.mean + apart * (other.count / count),
            squares=self.squares + other.squares + apart.square() * (self.count * other.count / count),
            minimum=torch.minimum(self.minimum, other.minimum),
            maximum=torch.maximum(self.maximum, other.maximum),
            zeros=self.zeros + other.zeros,
            near_zeros=self.near_zeros + other.near_zeros,
            nonfinite=self.nonfinite + other.nonfinite,
        )

    @property
    def variance(self) -> Float64[Tensor, " c"]:
        """The population variance of each channel."""
        return self.squares / self.count

    @property
    def sparsity(self) -> Float64[Tensor, " c"]:
        """The share of exact zeros of each channel."""
        return self.zeros.double() / self.count

    @property
    def magnitude(self) -> Float64[Tensor, " c"]:
        """The largest magnitude of each channel."""
        return torch.maximum(-self.minimum, self.maximum)

    @property
    def dead(self) -> Bool[Tensor, " c"]:
        """Which channels stay near zero for every record; one with values that are no numbers is not known to."""
        known = self.magnitude.isfinite()
        largest = self.magnitude[known].max() if bool(known.any()) else torch.tensor(0.0)
        return known & (self.magnitude <= NEAR_ZERO * largest)

    def summary(self) -> LayerStatistics:
        """The whole layer in numbers."""
        channels = len(self.mean)
        values = self.count * channels
        mean = self.mean.mean()
        spread = self.squares.sum() + self.count * (self.mean - mean).square().sum()
        return LayerStatistics(
            records=self.records,
            num_channels=channels,
            mean=float(mean),
            std=float((spread / values).sqrt()),
            min=float(self.minimum.min()),
            max=float(self.maximum.max()),
            num_zero=int(self.zeros.sum()),
            sparsity=float(self.zeros.sum()) / values,
            near_zero=float(self.near_zeros.sum()) / values,
            active_channels=int((self.mean > 0.01).sum()),
            dead_channels=tuple(torch.nonzero(self.dead)[:, 0].tolist()),
            nonfinite=int(self.nonfinite.sum()),
        )

    def state(self) -> dict[str, Any]:
        """Everything as tensors and whole numbers, for a file."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ChannelStatistics:
        """What :meth:`state` gave."""
        return cls(**{field.name: state[field.name] for field in fields(cls)})


def _measured(
    rows: Float[Tensor, "rows places"], low: Float[Tensor, " rows"], limits: Float[Tensor, "rows 1"]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean, sum of squared deviations, zeros and near zeros of each row, a few rows at a time."""
    parts = []
    few = max(1, _AT_ONCE // max(1, rows.shape[1]))
    scratch = torch.empty_like(rows[:few])
    for start in range(0, len(rows), few):
        part, limit = rows[start : start + few], limits[start : start + few]
        out = scratch[: len(part)]
        mean = part.mean(dim=1, keepdim=True)
        squares = torch.sub(part, mean, out=out).square_().sum(dim=1)
        # comparing into floats is several times as fast as into truth values, and their sum is exact
        zeros = _counted(torch.eq(part, 0, out=out))
        # behind a ReLU there is nothing below zero to take the magnitude of
        magnitudes = part if bool((low[start : start + few] >= 0).all()) else torch.abs(part, out=out)
        near = _counted(torch.le(magnitudes, limit, out=out))
        parts.append((mean[:, 0].cpu().double(), squares.cpu().double(), zeros.cpu(), near.cpu()))
    means, squares, zeros, near = (torch.cat(each) for each in zip(*parts, strict=True))
    return means, squares, zeros, near


def _counted(ones: Float[Tensor, "rows places"]) -> Int64[Tensor, " rows"]:
    """How many of each row are one, the others being zero; float32 counts no further than 2 ** 24."""
    return ones.sum(dim=1, dtype=ones.dtype if ones.shape[1] <= 2**24 else torch.float64).long()


def _nonfinite(rows: Float[Tensor, "rows places"], clean: Bool[Tensor, ""]) -> Int64[Tensor, " rows"]:
    """How many values of each row are NaN or infinite; a finite mean of every row says that none is."""
    return torch.zeros(len(rows), dtype=torch.int64) if bool(clean) else (~rows.isfinite()).sum(dim=1).cpu()
