"""Occlusion: how far the score drops when a window of the input is covered."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from numbers import Integral

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seewhy import ops
from seewhy.capture.probe import Probe
from seewhy.core import Explanation, Inputs
from seewhy.methods.variants import (
    Value,
    check_counts,
    fillings,
    masks_at_once,
    scores_of_variants,
    spread_over,
)
from seewhy.registry import method
from seewhy.values import ConfigError

Sizes = int | Sequence[int]


@method(
    "occlusion",
    asks=True,
    signed=True,
    share_by="mean",
    cite="Zeiler and Fergus 2013, arXiv:1311.2901, section 4.2; overlapping windows averaged",
)
def occlusion(
    probe: Probe,
    inputs: Inputs,
    *,
    window: Sizes | None = None,
    stride: Sizes | None = None,
    value: Value = 0.0,
    chunk_size: int = 64,
) -> Explanation:
    """The drop of the score when a window is covered, averaged over the windows that cover a place.

    ``window`` and ``stride`` are one number or one per axis. By default a window is a fourteenth of each side of a
    signal or picture (16 of 224 pixels), a seventh of a volume's, and windows lie side by side. The last window of an
    axis is cut off at the border. What is covered becomes ``value``: a number in the model's own values (0 is the mean
    colour of a normalised picture) or a baseline, "black", "white", "blur", "mean", "random" or a tensor. Positive
    means that the place speaks for the class. Of several inputs each is covered alone.

    Raises ``ConfigError`` SW-F52 for a window or stride that does not fit the input, SW-F53 for a stride that leaves
    places uncovered, SW-F40 to SW-F42 and SW-F55 for a ``value`` that cannot be.

    Example:
        >>> from seewhy.methods.ask import Asked
        >>> from seewhy.models.adapter import Adapter
        >>> from seewhy.targets import Logit
        >>> x = {"signal": torch.tensor([[[1.0, 2.0, 4.0, 8.0, 16.0]]])}
        >>> total = torch.nn.Sequential(torch.nn.Conv1d(1, 1, 5, bias=False), torch.nn.Flatten())
        >>> _ = torch.nn.init.ones_(total[0].weight)
        >>> Asked("occlusion", settings={"window": 2})(Probe(Adapter(total, x), [Logit(0)]), x).maps["signal"]
        tensor([[[ 3.,  3., 12., 12., 16.]]])
    """
    check_counts(chunk_size=chunk_size)
    hidden = fillings(probe, inputs, value)
    windows = {name: Windows.over(inputs[name].shape[2:], window, stride) for name in hidden}
    settled, clean = probe.settled(inputs)
    maps = {
        name: _covered(settled, inputs, name, behind, windows[name], clean, chunk_size)
        for name, behind in hidden.items()
    }
    return Explanation(maps, clean)


def _covered(
    probe: Probe,
    inputs: Inputs,
    name: str,
    behind: Float[Tensor, "b c *s"],
    windows: Windows,
    clean: Float[Tensor, "k b"],
    chunk_size: int,
) -> Float[Tensor, "k b *s"]:
    picture = inputs[name].to(probe.adapter.device)
    hidden = behind.to(picture)
    total = times = torch.zeros((), device=picture.device)
    for chunk in ops.chunks(len(windows), masks_at_once(chunk_size, picture.shape[0])):
        masks = windows.masks(chunk).to(picture.device)
        scores = scores_of_variants(probe, inputs, name, torch.where(masks[:, None, None], hidden, picture))
        total = spread_over(clean.unsqueeze(1) - scores, masks) + total
        times = masks.sum(dim=0) + times
    return total / times


class Windows:
    """Windows over an input of any rank, the first axis slowest; every place lies in one at least."""

    def __init__(self, size: Sequence[int], window: Sequence[int], stride: Sequence[int]) -> None:
        self.size, self.window = tuple(size), tuple(window)
        self._starts = [
            range(0, max(length - reach, 0) + step, step)
            for length, reach, step in zip(size, window, stride, strict=True)
        ]

    @classmethod
    def over(cls, size: Sequence[int], window: Sizes | None, stride: Sizes | None) -> Windows:
        """Windows of one size per axis, with the defaults of :func:`occlusion`; raises SW-F52, SW-F53."""
        parts = 14 if len(size) < 3 else 7
        reach = [math.ceil(length / parts) for length in size] if window is None else _per_axis("window", window, size)
        step = reach if stride is None else _per_axis("stride", stride, size)
        if any(far > wide for far, wide in zip(step, reach, strict=True)):
            raise ConfigError(
                "SW-F53",
                f"a stride of {tuple(step)} with a window of {tuple(reach)} leaves places that no window covers",
                fix="make the stride no longer than the window on any axis",
            )
        return cls(size, reach, step)

    def __len__(self) -> int:
        return math.prod(len(starts) for starts in self._starts)

    def masks(self, chunk: range) -> Bool[Tensor, "n *s"]:
        """The windows numbered in ``chunk``, True where they cover."""
        masks = torch.zeros(len(chunk), *self.size, dtype=torch.bool)
        for mask, at in zip(masks, self._places(chunk), strict=True):
            mask[tuple(slice(start, start + reach) for start, reach in zip(at, self.window, strict=True))] = True
        return masks

    def _places(self, chunk: range) -> Iterator[tuple[int, ...]]:
        every = list(product(*self._starts))
        return (every[number] for number in chunk)


def _per_axis(name: str, given: Sizes, size: Sequence[int]) -> list[int]:
    lengths = list(given) if isinstance(given, Sequence) else [given] * len(size)
    whole = all(isinstance(length, Integral) and not isinstance(length, bool) and length >= 1 for length in lengths)
    if not whole or len(lengths) != len(size):
        raise ConfigError(
            "SW-F52",
            f"{name} must be a whole number of at least 1, or one for each of {len(size)} axes, got {given!r}",
            fix=f"write {name}=16, or {name}={[16] * len(size)}",
        )
    return [int(length) for length in lengths]
