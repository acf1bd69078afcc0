"""Between pixels as a person knows them and values as a model wants them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor

from seewhy.values import DataError


@dataclass(frozen=True)
class Normalisation:
    """Per-channel ``(x - mean) / std`` on values in [0, 1], and the way back to 8-bit pictures.

    Raises ``DataError`` SW-D01 when the lengths differ or a value is not finite or a ``std`` not positive.
    """

    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        values = (*self.mean, *self.std)
        finite = all(isinstance(value, Real) and math.isfinite(value) for value in values)
        if not self.mean or len(self.mean) != len(self.std) or not finite or min(self.std) <= 0:
            raise DataError(
                "SW-D01",
                f"mean and std must be equally many finite numbers, std above 0; got mean={self.mean}, std={self.std}",
                fix="give one value per channel on the 0..1 scale, e.g. mean=[0.5,0.5,0.5] std=[0.5,0.5,0.5]",
            )

        object.__setattr__(self, "mean", tuple(float(value) for value in self.mean))
        object.__setattr__(self, "std", tuple(float(value) for value in self.std))

    def apply(self, image: Float[Tensor, "c ..."]) -> Float[Tensor, "c ..."]:
        """``image`` in [0, 1] to model space."""
        mean, std = (_per_channel(values, image) for values in (self.mean, self.std))
        return (image - mean) / std

    def undo(self, image: Float[Tensor, "c ..."]) -> Float[Tensor, "c ..."]:
        """A model-space tensor back to [0, 1], clipped."""
        mean, std = (_per_channel(values, image) for values in (self.mean, self.std))
        return (image * std + mean).clamp(0, 1)

    def picture(self, image: Float[Tensor, "c h w"]) -> UInt8[np.ndarray, "h w 3"]:
        """A model-space image as 8-bit RGB; a single channel is shown as gray, further than three are left out."""
        return to_rgb8(self.undo(image.detach().float()))


def to_rgb8(image: Float[Tensor, "c h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Values in [0, 1] as 8-bit RGB; one or two channels show the first as gray, further than three are left out."""
    shown = image[:3] if image.shape[0] >= 3 else image[:1].expand(3, -1, -1)
    pixels: NDArray[np.uint8] = (shown * 255).round().byte().cpu().permute(1, 2, 0).contiguous().numpy()
    return pixels


def _per_channel(values: Sequence[float], image: Tensor) -> Tensor:
    cells = torch.tensor(values, dtype=image.dtype, device=image.device)
    return cells.reshape(-1, *[1] * (image.ndim - 1))
