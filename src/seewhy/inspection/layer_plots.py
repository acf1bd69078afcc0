"""The pictures and numbers of one layer: how its values are spread, each channel, where it is active."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float
from torch import Tensor

from seewhy.features.statistics import ChannelStatistics
from seewhy.features.verdict import judge
from seewhy.inspection.feature_schema import activations_of
from seewhy.render.encode import encode_png
from seewhy.render.plots import save_figure
from seewhy.render.plots_distribution import distribution_figure
from seewhy.render.plots_layers import channel_stats_figure
from seewhy.render.spatial_patterns import spatial_patterns
from seewhy.render.vector_strip import vector_strip
from seewhy.store.files import make_directory, write_atomic
from seewhy.store.names import safe_name
from seewhy.values import ConfigError

Folder = str | os.PathLike[str]
STRONGEST: Final = 9
_MOST_AXES: Final = 4


def layer_numbers(values: Float[Tensor, "c *s"], population: ChannelStatistics | None = None) -> dict[str, Any]:
    """One record's layer in numbers, with what the rules of thumb say of it.

    Args:
        values: ``(C, *S)``, raw.
        population: the layer's statistics over many records, by which dead channels are counted.

    Returns:
        ``shape``, ``spatial_size``, ``num_channels``; ``mean``, ``std`` (of the population), ``min``, ``max``,
        ``median``; ``num_zero``, ``sparsity`` (exact zeros), ``near_zero``; ``active_channels``, ``dead_channels``,
        ``dead_over``; ``channel_spread``, ``verdict``, ``notes``; ``nonfinite``.
    """
    summary = asdict(ChannelStatistics.of(values[None]).summary())
    found = judge(values, population)
    numbers = {key: summary[key] for key in ("num_channels", "mean", "std", "min", "max", "num_zero", "sparsity")}
    return {
        "shape": tuple(values.shape),
        "spatial_size": tuple(values.shape[1:]),
        **numbers,
        "median": float(np.median(values.numpy())),
        "near_zero": summary["near_zero"],
        "active_channels": summary["active_channels"],
        "dead_channels": found.dead,
        "dead_over": found.over,
        "channel_spread": found.spread,
        "verdict": found.words,
        "notes": list(found.notes),
        "nonfinite": summary["nonfinite"],
    }


def plot_activation_distribution(
    activations: Mapping[str, Any], layer: str, save_dir: Folder, population: ChannelStatistics | None = None
) -> dict[str, Any]:
    """Write ``{layer}_distribution.png``: histogram, box plot and cumulative distribution of every value.

    Args:
        activations: ``data["activations"]`` of a feature file.
        layer: one of its layers.
        save_dir: where to; it is made.
        population: the layer's statistics over many records, by which dead channels are counted.

    Returns:
        The numbers of :func:`layer_numbers`.

    Raises:
        CheckpointError: ``SW-C37``, no such layer. RenderError: ``SW-R55``, no value is finite.
    """
    values = activations_of(activations, layer)
    figure = distribution_figure(values.numpy(), title=layer)
    save_figure(figure, _place(save_dir, layer, "distribution"))
    return layer_numbers(values, population)


def plot_channel_statistics(
    activations: Mapping[str, Any], layer: str, save_dir: Folder, population: ChannelStatistics | None = None
) -> dict[str, list[float]]:
    """Write ``{layer}_channel_stats.png``: mean, deviation, maximum and sparsity of every channel; these numbers.

    Dead channels are marked: those near zero for every record of ``population``, or in this one.

    Raises:
        CheckpointError: ``SW-C37``, no such layer.
    """
    values = activations_of(activations, layer)
    found = ChannelStatistics.of(values[None])
    many = population if population is not None and len(population.mean) == len(found.mean) else found
    columns = {
        "means": found.mean,
        "stds": found.variance.sqrt(),
        "maxima": found.maximum,
        "sparsity": found.sparsity,
    }
    figure = channel_stats_figure(*(column.numpy() for column in columns.values()), title=layer, dead=many.dead.numpy())
    save_figure(figure, _place(save_dir, layer, "channel_stats"))
    return {name: column.tolist() for name, column in columns.items()}


def plot_spatial_activation_patterns(
    activations: Mapping[str, Any], layer: str, save_dir: Folder, num_channels: int = STRONGEST, caption: str = ""
) -> list[int]:
    """Write ``{layer}_spatial_patterns.png``: mean and deviation over channels, and the channels of the highest means.

    Signals are drawn as lines, volumes by their middle slice, and a vector, which has no places, as bars.

    Returns:
        The channels with the highest means, which are drawn, the highest first.

    Raises:
        CheckpointError: ``SW-C37``, no such layer. ConfigError: ``SW-F163``, ``num_channels`` is no number from 1 on.
    """
    if isinstance(num_channels, bool) or not isinstance(num_channels, int) or num_channels < 1:
        raise ConfigError("SW-F163", f"num_channels must be 1 or more, got {num_channels!r}", fix="num_channels=9")
    values = activations_of(activations, layer).numpy()
    means = values.reshape(len(values), -1).mean(axis=1, dtype=np.float64)
    strongest = np.argsort(-np.where(np.isfinite(means), means, -np.inf), kind="stable")[:num_channels].tolist()
    if values.ndim == 1:
        words = " · ".join(part for part in (caption, "a vector: it has channels, but no places") if part)
        page = vector_strip(values, heading=layer, caption=words)
    else:
        if values.ndim > _MOST_AXES:
            values = values.reshape(len(values), -1, *values.shape[-2:])
        page = spatial_patterns(values, heading=layer, caption=caption, channels=num_channels)
    write_atomic(_place(save_dir, layer, "spatial_patterns"), encode_png(page), durable=False)
    return [int(channel) for channel in strongest]


def require_folder(save_dir: Folder) -> Path:
    """The folder, made; raises what :func:`free_folder` raises, and ``StoreError`` where it cannot be made."""
    folder = free_folder(save_dir)
    make_directory(folder)
    return folder


def free_folder(save_dir: Folder) -> Path:
    """The folder, which need not be there.

    Raises:
        ConfigError: ``SW-F161``, there is a file of that name.
    """
    folder = Path(save_dir).expanduser()
    blocking = next((place for place in (folder, *folder.parents) if place.exists() and not place.is_dir()), None)
    if blocking is not None:
        raise ConfigError(
            "SW-F161", f"the results cannot go to {folder}: {blocking} is a file", fix="name a folder; it is made"
        )
    return folder


def _place(save_dir: Folder, layer: str, kind: str) -> Path:
    return require_folder(save_dir) / f"{safe_name(layer)}_{kind}.png"
