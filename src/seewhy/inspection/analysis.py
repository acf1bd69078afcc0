"""A feature file analysed: three pictures of each layer, one that compares them, and a table with verdicts."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from seewhy.features.statistics import ChannelStatistics
from seewhy.features.verdict import bands
from seewhy.inspection.feature_file import load_feature_file
from seewhy.inspection.feature_schema import activations_of, checked
from seewhy.inspection.layer_plots import (
    Folder,
    layer_numbers,
    plot_activation_distribution,
    plot_channel_statistics,
    plot_spatial_activation_patterns,
    require_folder,
)
from seewhy.render.plots import save_figure
from seewhy.render.plots_layers import layer_comparison_figure
from seewhy.store.files import write_atomic
from seewhy.store.names import safe_name
from seewhy.values import CheckpointError, ConfigError, nearest

COLUMNS: Final = ("Layer", "Shape", "Mean", "Std", "Sparsity", "Channels", "Near zero", "Dead", "Verdict")
_CSV: Final = (
    *("shape", "mean", "std", "min", "max", "median", "num_zero", "sparsity", "near_zero", "num_channels"),
    *("active_channels", "dead_channels", "dead_over", "channel_spread", "nonfinite", "verdict"),
)
Source = str | os.PathLike[str] | Mapping[str, Any]


@dataclass(frozen=True)
class Analysis:
    """What was found and written: ``table[layer]`` holds the numbers of :func:`layer_numbers`, ``files`` the paths.

    ``notes`` say what could not be drawn, and why.
    """

    table: Mapping[str, Mapping[str, Any]]
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()

    def rows(self) -> list[tuple[str, ...]]:
        """The table in text, with a first row of headings."""
        return [COLUMNS, *(_row(layer, numbers) for layer, numbers in self.table.items())]


def analyze(
    feature_file: Source, save_dir: Folder = "feature_analysis", layers: str | Sequence[str] = "all"
) -> Analysis:
    """Draw and measure the layers of a feature file.

    Writes ``{layer}_distribution.png``, ``{layer}_channel_stats.png`` and ``{layer}_spatial_patterns.png`` of each
    layer, ``layer_comparison.png``, and the table as ``statistics.json`` and ``statistics.csv``.

    Args:
        feature_file: its path, or what :func:`load_feature_file` gave.
        save_dir: where to; it is made.
        layers: names, full or short, or ``"all"``.

    Raises:
        CheckpointError: what :func:`load_feature_file` raises; ``SW-C37``, a layer that is not in the file.
        ConfigError: ``SW-F161`` ``save_dir`` is a file, ``SW-F162`` no layers.

    Example:
        >>> import tempfile, torch
        >>> data = {"activations": {"relu": torch.tensor([[[[0.0, 1.0], [0.0, 2.0]], [[0.0, 0.0], [1.0, 3.0]]]])}}
        >>> found = analyze(data, tempfile.mkdtemp())
        >>> found.table["relu"]["sparsity"], found.table["relu"]["verdict"]
        (0.5, 'within the bands')
    """
    data = loaded(feature_file)
    chosen = chosen_layers(data, layers)
    folder = require_folder(save_dir)
    activations, files, notes, table = data["activations"], list[Path](), list[str](), dict[str, dict[str, Any]]()
    for layer in chosen:
        population = population_of(data, layer)
        values = activations_of(activations, layer)
        if bool(values.isfinite().any()):
            table[layer] = plot_activation_distribution(activations, layer, folder, population)
            files.append(folder / f"{safe_name(layer)}_distribution.png")
        else:
            table[layer] = layer_numbers(values, population)
            notes.append(f"{layer}: none of its values is finite, so that there is no distribution to draw")
        plot_channel_statistics(activations, layer, folder, population)
        plot_spatial_activation_patterns(activations, layer, folder, caption=told(data))
        files += [folder / f"{safe_name(layer)}_{kind}.png" for kind in ("channel_stats", "spatial_patterns")]
    files += [_write_comparison(table, folder), *_write_table(data, table, folder)]
    return Analysis(table, tuple(files), tuple(notes))


def compare_layers(feature_data: Source, save_dir: Folder) -> dict[str, dict[str, Any]]:
    """Write ``layer_comparison.png``: mean, deviation, sparsity and number of channels over all layers; the numbers."""
    data = loaded(feature_data)
    table = {
        layer: layer_numbers(activations_of(data["activations"], layer), population_of(data, layer))
        for layer in data["activations"]
    }
    _write_comparison(table, require_folder(save_dir))
    return table


def loaded(source: Source) -> dict[str, Any]:
    """The content of a feature file from its path, or as it was loaded."""
    if isinstance(source, Mapping):
        return checked(source, "the features")
    return load_feature_file(source)


def chosen_layers(data: Mapping[str, Any], layers: str | Sequence[str]) -> list[str]:
    """The layers of a file that are asked for, by their names there.

    A name may be short (``layer1`` for ``backbone.layer1``) or full.

    Raises:
        CheckpointError: ``SW-C37``, a layer that is not in the file. ConfigError: ``SW-F162``, no layer.
    """
    names = [layers] if isinstance(layers, str) else list(layers)
    if not names:
        raise ConfigError("SW-F162", "no layers were asked for", fix="name some, or 'all'")
    if names == ["all"]:
        return list(data["activations"])
    return list(dict.fromkeys(_in_file(data, name) for name in names))


def population_of(data: Mapping[str, Any], layer: str) -> ChannelStatistics | None:
    """The statistics over many records that a file has of a layer; None without."""
    state = data["population"].get(layer)
    known = isinstance(state, Mapping) and {field.name for field in fields(ChannelStatistics)} <= set(state)
    return ChannelStatistics.from_state(state) if known else None


def told(data: Mapping[str, Any]) -> str:
    """Which record and time step a file is of, and of which data set."""
    info = data["batch_info"]
    record = info.get("record_id", data["batch_idx"])
    parts = [f"record {record}", f"time step {data['timestep']}"]
    return " · ".join([str(info["dataset"]), *parts] if info.get("dataset") else parts)


def finite(value: Any) -> Any:
    """A value as JSON has it: numbers that are none become null."""
    if isinstance(value, Mapping):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def number(value: float | None) -> str:
    """A number in a table: four digits, or a dash where there is none."""
    return f"{value:.4g}" if value is not None and math.isfinite(value) else "-"


def size(shape: Sequence[int]) -> str:
    """Lengths as in ``64×56×56``."""
    return "×".join(map(str, shape))


def _in_file(data: Mapping[str, Any], name: str) -> str:
    activations = data["activations"]
    if name in activations:
        return name
    known = {layer: about for layer, about in data["layers"].items() if isinstance(about, Mapping)}
    described = {layer: str(about.get("module", "")) for layer, about in known.items()}
    matching: list[str] = [
        layer
        for layer in activations
        if described.get(layer) == name or layer.endswith(f".{name}") or name.endswith(f".{layer}")
    ]
    if len(matching) == 1:
        return matching[0]
    raise CheckpointError(
        "SW-C37",
        f"No activations found for layer {name}" + (f", which may be {' or '.join(matching)}" if matching else ""),
        near=matching or nearest(name, activations) or list(activations)[:5],
        fix="name layers of this file; inspect_features --layers chooses those that are extracted",
    )


def _row(layer: str, numbers: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        layer,
        size(numbers["shape"]),
        number(numbers["mean"]),
        number(numbers["std"]),
        f"{numbers['sparsity']:.1%}",
        str(numbers["num_channels"]),
        f"{numbers['near_zero']:.1%}",
        str(numbers["dead_channels"]),
        numbers["verdict"],
    )


def _write_comparison(table: Mapping[str, Mapping[str, Any]], folder: Path) -> Path:
    path = folder / "layer_comparison.png"
    save_figure(layer_comparison_figure(table), path)
    return path


def _write_table(data: Mapping[str, Any], table: Mapping[str, Mapping[str, Any]], folder: Path) -> list[Path]:
    content = {
        "batch_idx": data["batch_idx"],
        "timestep": data["timestep"],
        "batch_info": data["batch_info"],
        "bands": bands(),
        "layers": table,
    }
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(("layer", *_CSV))
    for layer, numbers in table.items():
        writer.writerow((layer, *(size(numbers[key]) if key == "shape" else numbers[key] for key in _CSV)))
    paths = [folder / "statistics.json", folder / "statistics.csv"]
    write_atomic(paths[0], (json.dumps(finite(content), indent=2, default=str) + "\n").encode(), durable=False)
    write_atomic(paths[1], lines.getvalue().encode(), durable=False)
    return paths
