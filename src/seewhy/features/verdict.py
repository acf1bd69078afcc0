"""A layer's numbers held against rules of thumb, in words. They are habits of people who train, not measurements.

The bands are those of the feature inspection guide: a mean activation of 0.1 to 2.0, 30 % to 70 % zeros, a moderate
spread over the channels. They were made for layers behind a ReLU. A layer with clearly negative values (before its
activation, or behind GELU or SiLU) is read by the magnitudes of its values and by its share of near zeros instead, of
which there can be too many, never too few; the verdict says so. Whether a channel is dead one input cannot tell: it is
counted over every record where the file has them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

from jaxtyping import Float
from torch import Tensor

from seewhy.features.statistics import NEAR_ZERO, ChannelStatistics, LayerStatistics

MEAN_BAND: Final = (0.1, 2.0)
SPARSITY_BAND: Final = (0.3, 0.7)
SPREAD_BAND: Final = (0.1, 3.0)
"""The spread over channels: standard deviation by mean of the channels' variances; 0 where all are alike."""

Band = Literal["low", "in range", "high", "unknown"]
MEANINGS: Final = {
    ("mean", "low"): "dead units, or a small scale",
    ("mean", "high"): "saturation, or a large scale",
    ("sparsity", "low"): "few units are switched off",
    ("sparsity", "high"): "little information passes",
    ("spread", "low"): "channels much alike: redundancy",
    ("spread", "high"): "few channels vary far more than the others",
}


@dataclass(frozen=True)
class Verdict:
    """What the rules of thumb say of a layer.

    ``signed`` layers have clearly negative values: ``level`` is then the mean magnitude and ``zeros`` the share of near
    zeros; else the mean and the share of exact zeros. ``spread`` is the coefficient of variation of the channels'
    variances over places (of their squares in a vector). ``dead`` channels were counted over ``dead_records`` records.
    """

    signed: bool
    level: float
    zeros: float
    spread: float
    mean_band: Band
    sparsity_band: Band
    spread_band: Band
    dead: int
    channels: int
    dead_records: int
    nonfinite: int

    @property
    def fine(self) -> bool:
        """Whether every number is in its band, no channel is dead and every value is a number."""
        bands = (self.mean_band, self.sparsity_band, self.spread_band)
        return all(band == "in range" for band in bands) and not self.dead and not self.nonfinite

    @property
    def words(self) -> str:
        """The verdict in a few words: what is out of its band, or ``within the bands``."""
        found = [f"{self.nonfinite} values not finite"] if self.nonfinite else []
        found += [
            f"{name} {band}"
            for name, band in zip(self._names, (self.mean_band, self.sparsity_band, self.spread_band), strict=True)
            if band not in ("in range", "unknown")
        ]
        if self.dead:
            found.append(f"{self.dead} of {self.channels} channels dead ({self.over})")
        return ", ".join(found) or "within the bands"

    @property
    def over(self) -> str:
        """What dead channels were counted over."""
        return f"over {self.dead_records:,} records" if self.dead_records > 1 else "one input only"

    @property
    def notes(self) -> tuple[str, ...]:
        """What each number out of its band may mean, and how the layer was read."""
        pairs = (("mean", self.mean_band), ("sparsity", self.sparsity_band), ("spread", self.spread_band))
        notes = [
            f"{name} {band}: {MEANINGS[key, band]}"
            for (key, band), name in zip(pairs, self._names, strict=True)
            if (key, band) in MEANINGS
        ]
        if self.signed:
            notes.append(
                "values below zero: no ReLU is the layer's last step, so magnitudes and near zeros "
                f"(up to {NEAR_ZERO:.0%} of the largest magnitude) are read, of which few are no fault"
            )
        if self.dead and self.dead_records <= 1:
            notes.append("a channel without activation on one input may be alive on others")
        return tuple(notes)

    @property
    def _names(self) -> tuple[str, str, str]:
        if self.signed:
            return "mean magnitude", "near-zero share", "spread"
        return "mean", "sparsity", "spread"


def judge(values: Float[Tensor, "c *s"], population: ChannelStatistics | None = None) -> Verdict:
    """Hold one record's activations of a layer against the bands.

    Args:
        values: ``(C, *S)``, raw.
        population: the layer's statistics over many records, which decide about dead channels; these ``values`` if None
            or of another number of channels.

    Example:
        >>> import torch
        >>> relu = torch.tensor([[0.0, 1.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
        >>> print(judge(relu).words)
        sparsity high, 1 of 2 channels dead (one input only)
    """
    own = ChannelStatistics.of(values[None].float())
    many = population if population is not None and len(population.mean) == len(own.mean) else own
    summary = own.summary()
    signed = clearly_negative(summary)
    level = float(values.double().abs().mean()) if signed else summary.mean
    zeros = summary.near_zero if signed else summary.sparsity
    spread = channel_spread(values)
    return Verdict(
        signed=signed,
        level=level,
        zeros=zeros,
        spread=spread,
        mean_band=_band(level, MEAN_BAND),
        sparsity_band="unknown"
        if summary.nonfinite
        else _band(zeros, (0.0, SPARSITY_BAND[1]) if signed else SPARSITY_BAND),
        spread_band=_band(spread, SPREAD_BAND),
        dead=int(many.dead.sum()),
        channels=summary.num_channels,
        dead_records=many.records,
        nonfinite=summary.nonfinite,
    )


def clearly_negative(summary: LayerStatistics) -> bool:
    """Whether the lowest value is below zero by more than 1 % of the largest magnitude, as no ReLU leaves it.

    Example:
        >>> import torch
        >>> clearly_negative(ChannelStatistics.of(torch.tensor([[[-0.17, 4.0]]])).summary())
        True
    """
    return summary.min < -NEAR_ZERO * max(-summary.min, summary.max)


def channel_spread(values: Float[Tensor, "c *s"]) -> float:
    """How unlike the channels are: standard deviation by mean of their variances over places.

    Of a vector, whose channels have one value each, the squares take the place of variances. 0 where all channels vary
    alike, at most ``sqrt(C - 1)``, where one alone varies; NaN where none does or there is one channel only.

    Example:
        >>> import torch
        >>> channel_spread(torch.tensor([[-1.0, 1.0], [-2.0, 2.0]]))
        0.6
    """
    if len(values) < 2:
        return math.nan
    rows = values.double().reshape(len(values), -1)
    variances = rows[:, 0].square() if rows.shape[1] == 1 else rows.var(dim=1, correction=0)
    mean = float(variances.mean())
    return float(variances.std(correction=0)) / mean if mean else math.nan


def bands() -> dict[str, Any]:
    """The bands and what they are of, for a file or a caption."""
    return {"mean": list(MEAN_BAND), "sparsity": list(SPARSITY_BAND), "channel_spread": list(SPREAD_BAND)}


def _band(value: float, band: tuple[float, float]) -> Band:
    if not math.isfinite(value):
        return "unknown"
    low, high = band
    return "low" if value < low else "high" if value > high else "in range"
