"""The page of one layer: some of its channels, evenly spaced."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from seewhy.render.channel_sheet import layer_sheet


def layer_page(
    layer: str, values: Float[Tensor, "c *s"], count: int, pair: tuple[int, int], colormap: str
) -> NDArray[np.uint8]:
    """A page of evenly spaced channels of one layer, of the record and time step in ``pair``."""
    channels = evenly_spaced(len(values), count)
    shown = values[channels].float().numpy()
    size = " × ".join(map(str, values.shape[1:])) or "no space"
    caption = f"{len(channels)} of {len(values)} channels, {size}; record {pair[0]}, time step {pair[1]}"
    titles = [f"channel {channel}" for channel in channels]
    page: NDArray[np.uint8] = layer_sheet(shown, titles, heading=layer, caption=caption, colormap=colormap)
    return page


def evenly_spaced(available: int, wanted: int) -> list[int]:
    """The numbers of ``wanted`` channels spread evenly over those there are.

    Example:
        >>> evenly_spaced(64, 4), evenly_spaced(3, 16)
        ([0, 21, 42, 63], [0, 1, 2])
    """
    if wanted >= available:
        return list(range(available))
    return [round(place) for place in np.linspace(0, available - 1, wanted)]
