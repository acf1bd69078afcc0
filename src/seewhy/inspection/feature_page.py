"""What stands below a page of channels, and how a page becomes a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from jaxtyping import Num, UInt8
from torch import Tensor

from seewhy.explain.drawing import ENCODERS
from seewhy.features.channel_order import SortBy
from seewhy.render.plots import save_figure
from seewhy.render.plots_page import page_figure
from seewhy.store.files import write_atomic

if TYPE_CHECKING:
    from seewhy.render.plots import Figure

Destination: TypeAlias = str | os.PathLike[str]


def caption_of(
    maps: Num[Tensor, "c *s"], chosen: Sequence[int], asked: int, sort_by: SortBy, notes: Sequence[str] = ()
) -> str:
    """Which channels of how many, of what size, in which order, and what is to know of the picture.

    Example:
        >>> import torch
        >>> caption_of(torch.zeros(2, 7, 7), [1, 0], 16, "variance")
        '2 of 2 channels, 16 were asked for, 7 × 7 · by variance over places, highest first'
    """
    size = " × ".join(map(str, maps.shape[1:])) or "no space"
    fewer = f", {asked} were asked for" if asked > len(chosen) else ""
    orders = {
        "activation": "by mean activation, highest first",
        "variance": "by variance over places, highest first",
        "l1": "by sum of magnitudes, highest first",
        "random": "drawn at random",
    }
    order = getattr(sort_by, "__name__", "its own order") if callable(sort_by) else orders[sort_by]
    return " · ".join([f"{len(chosen)} of {len(maps)} channels{fewer}, {size}", order, *notes])


def save_page(
    page: UInt8[np.ndarray, "h w 3"], path: Destination, figure: Figure | None = None, *, fitted: bool = False
) -> None:
    """Write a page in the format of its suffix: PNG and JPEG straight from its pixels, others by matplotlib.

    ``figure`` holds the page; it is written itself where it was ``fitted`` to another size.

    Raises:
        RenderError: ``SW-R23``, no such format.
    """
    target = Path(path).expanduser()
    encode = ENCODERS.get(target.suffix.lower())
    if encode is None or fitted:
        save_figure(figure or page_figure(page), target)
        return
    write_atomic(target, encode(page), durable=False)
