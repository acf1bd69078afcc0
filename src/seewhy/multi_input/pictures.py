"""Inputs as a person knows them, and figures and files of their heat maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from numpy.typing import NDArray
from torch import Tensor

from seewhy.models.per_input import of_each_input
from seewhy.multi_input.analysis import Heats
from seewhy.multi_input.methods import InputsMethod
from seewhy.pixels import Normalisation, to_rgb8
from seewhy.render.colormap import colorize
from seewhy.render.encode import encode_png
from seewhy.render.inputs_figure import inputs_figure
from seewhy.render.stacks import encode_tiff
from seewhy.store.files import write_atomic
from seewhy.store.names import safe_name
from seewhy.values import DataError

ALPHA = 0.4
STRIP = 32
"""Rows of pixels that show the map of a signal."""
PLANE, STACK = 2, 3
"""Axes of a picture, and of a volume or clip."""

Normalisations = Normalisation | Mapping[str, Normalisation] | None


@dataclass(frozen=True)
class Drawing:
    """One record ready to be drawn: pictures ``(H, W, 3)`` by input, heat maps ``(H, W)`` by method and input."""

    sample_id: str
    caption: str
    pictures: Mapping[str, NDArray[np.uint8]]
    heats: Mapping[str, Heats]
    shares: Mapping[str, Mapping[str, float]]
    common: bool = True

    def figure(self, methods: Sequence[InputsMethod]) -> UInt8[np.ndarray, "height width 3"]:
        """Inputs on top, below them the overlays of each method; of several methods all in jet."""
        alone = len(methods) == 1
        return inputs_figure(
            self.pictures,
            {method.title: self.heats[method.name] for method in methods},
            shares={method.title: self.shares[method.name] for method in methods if method.name in self.shares},
            title=self.sample_id,
            caption=self.caption,
            colormap=methods[0].colormap if alone else "jet",
            alpha=ALPHA,
            per_input_scale=not self.common,
        )


def drawing_of(
    sample_id: str,
    caption: str,
    tensors: Mapping[str, Float[Tensor, "c *s"]],
    heats: Mapping[str, Heats],
    shares: Mapping[str, Mapping[str, float]],
    normalisation: Normalisations = None,
    common: bool = True,
) -> Drawing:
    """One record's inputs and heat maps as flat pictures; of a volume or clip the slice with the most evidence.

    Raises:
        DataError: ``SW-D99``, no input has two or three axes of space.
    """
    first = next(iter(heats.values()))
    known = of_each_input("normalisation", normalisation, list(tensors))
    drawable = [name for name in first if tensors[name].ndim - 1 in (PLANE, STACK)]
    if not drawable:
        raise DataError(
            "SW-D99",
            f"figures are drawn of pictures, volumes and clips; the inputs are "
            f"{ {name: tuple(tensor.shape) for name, tensor in tensors.items()} }",
            fix="leave save_dir out and draw the maps of signals with seewhy.render.signals.signal_plot",
        )
    found = Drawing(sample_id, caption, {}, {method: {} for method in heats}, {method: {} for method in shares}, common)
    for name in drawable:
        found = _with_input(found, name, tensors[name], heats, shares, known[name])
    left_out = [name for name in tensors if name not in drawable]
    note = f"not drawn: {', '.join(left_out)}" if left_out else ""
    return replace(found, caption=" · ".join(part for part in (caption, note) if part))


def as_picture(
    tensor: Float[Tensor, "c h w"], normalisation: Normalisation | None = None
) -> UInt8[np.ndarray, "h w 3"]:
    """An input as 8-bit RGB: its normalisation undone; without one its values as they are where they lie in [0, 1],
    else from the lowest to the highest.

    Example:
        >>> as_picture(torch.tensor([[[-1.0, 1.0]]]))[0, :, 0].tolist()
        [0, 255]
    """
    values = tensor.detach().float().cpu()
    if normalisation is not None:
        return normalisation.picture(values)
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 1:
        values = (values - low) / (high - low) if high > low else torch.zeros_like(values)
    return to_rgb8(values)


def write_heat_maps(heats: Heats, folder: Path, prefix: str, colormap: str) -> list[Path]:
    """``folder/{prefix}_{input}.png`` for each input in the colours of a colour map; the paths.

    A map of three axes, of a volume or of several records, is a multi-page TIFF; that of a signal a strip along time.
    """
    written = []
    for name, heat in heats.items():
        stem = f"{prefix}_{safe_name(name)}"
        if heat.ndim <= PLANE:
            plane = np.tile(heat, (STRIP, 1)) if heat.ndim == 1 else heat
            path, data = folder / f"{stem}.png", encode_png(colorize(plane, colormap))
        else:
            path, data = folder / f"{stem}.tiff", encode_tiff(np.stack([colorize(page, colormap) for page in heat]))
        write_atomic(path, data, durable=False)
        written.append(path)
    return written


def write_picture(picture: UInt8[np.ndarray, "h w 3"], path: Path) -> Path:
    """A PNG file; the path."""
    write_atomic(path, encode_png(picture), durable=False)
    return path


def _with_input(
    drawing: Drawing,
    name: str,
    tensor: Float[Tensor, "c *s"],
    heats: Mapping[str, Heats],
    shares: Mapping[str, Mapping[str, float]],
    normalisation: Normalisation | None,
) -> Drawing:
    own: dict[str, Float32[np.ndarray, "*s"]] = {method: maps[name] for method, maps in heats.items()}
    shown = name
    if tensor.ndim - 1 == STACK:
        index = int(next(iter(own.values())).sum(axis=(1, 2)).argmax())
        tensor, own = tensor[:, index], {method: heat[index] for method, heat in own.items()}
        shown = f"{name} {index + 1} / {len(heats[next(iter(heats))][name])}"
    return replace(
        drawing,
        pictures={**drawing.pictures, shown: as_picture(tensor, normalisation)},
        heats={method: {**drawing.heats[method], shown: heat} for method, heat in own.items()},
        shares={
            method: {**drawing.shares[method], **({shown: own_shares[name]} if name in own_shares else {})}
            for method, own_shares in shares.items()
        },
    )
