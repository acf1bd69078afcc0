"""FeatureMapInspector: what the layers of a model put out for chosen records and time steps, kept, drawn, measured."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from seewhy.features.collecting import Collected, Pair
from seewhy.features.layer_reader import LayerReader, Part
from seewhy.features.measuring import Measured, added, statistics_of
from seewhy.features.requirements import require_count
from seewhy.features.statistics import ChannelStatistics
from seewhy.inspection.analysis import population_of
from seewhy.inspection.feature_file import load_feature_file, save_feature_file
from seewhy.inspection.layer_page import layer_page
from seewhy.inspection.layer_plots import free_folder
from seewhy.inspection.shelf import MEMORY, Shelf
from seewhy.render.encode import encode_png
from seewhy.store.files import write_atomic
from seewhy.store.names import safe_name
from seewhy.values import ConfigError, DataError, LayerError, nearest

Activations: TypeAlias = dict[str, list[Float[Tensor, "c *s"]]]
Indices: TypeAlias = int | Iterable[int]
log = logging.getLogger(__name__)


class FeatureMapInspector:
    """Reads, keeps and draws what layers put out; the whole model runs, once for all layers.

    Args:
        model: any model; it is asked in evaluation mode and given back as it was.
        save_dir: where files go; made when the first one is written.
        layers: names (``layer2``, the end of a name), patterns (``layer*.0``), types (``nn.Conv2d``, ``"Conv2d"``) or
            modules, one or several; the model's stages if None.
        frames_first: the inputs that the model takes as ``(B, T, C, H, W)``; found by its first convolution if None.
        memory: bytes of activations held before they go straight to disk.

    Raises:
        LayerError: a layer that is not there.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> with FeatureMapInspector(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), layers=["0"]) as inspector:
        ...     activations = inspector.extract_features(torch.zeros(4, 1, 8, 8))
        >>> activations["0"][0].shape
        torch.Size([2, 6, 6])
    """

    def __init__(
        self,
        model: nn.Module,
        save_dir: str | os.PathLike[str] = "feature_maps",
        layers: Any = None,
        *,
        frames_first: Sequence[str] | None = None,
        memory: int = MEMORY,
    ) -> None:
        self.reader = LayerReader(model, layers, frames_first=frames_first)
        self.save_dir = free_folder(save_dir)
        self.activations: Activations = {}
        self.population: dict[str, ChannelStatistics] = {}
        self.described: dict[str, dict[str, str]] = {}
        self._counted: Any = None
        self._shelf = Shelf(self.save_dir, memory)
        self._names: tuple[Pair, ...] = ()
        self.set_target()
        for name, layer in self.reader.layers.items():
            log.info("Layer %s (%s)", name, layer)

    @property
    def layers(self) -> list[str]:
        """The short names of the layers looked into, in the model's order."""
        return list(self.reader.layers)

    def set_target(self, batch_idx: Indices = 0, timestep: Indices = 0) -> None:
        """Choose the record of the batch and the time step to look into; several of both give every pair of them.

        Raises:
            ConfigError: ``SW-F210``, not whole numbers of 0 or more.
        """
        records, steps = _indices("batch_idx", batch_idx), _indices("timestep", timestep)
        self.set_targets([(record, step) for record in records for step in steps])

    def set_targets(self, pairs: Sequence[Pair]) -> None:
        """Choose pairs of a record and a time step, in any order; at least one."""
        if not pairs or not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
            raise ConfigError(
                "SW-F210", f"targets are pairs of a record and a time step, got {pairs!r}", fix="[(0, 0), (1, 4)]"
            )
        self.targets: tuple[Pair, ...] = tuple(dict.fromkeys((pair[0], pair[1]) for pair in pairs))
        log.info("Target set to %s", ", ".join(f"batch[{record}], timestep[{step}]" for record, step in self.targets))

    def extract_features(self, batch: Any, names: Sequence[Pair] | None = None) -> Activations:
        """Run the model once and keep what each layer puts out for each target: ``activations[layer][i]`` ``(C, *S)``.

        Tokens become grids without their class token; a layer without space gives vectors ``(C,)``. Statistics over
        every record and time step of the batch are added to ``population``, once for a batch asked about in a row.

        Args:
            batch: a tensor ``(B, C, *S)`` or ``(B, T, C, H, W)``, a loader's tuple, or a dict, of which the entries
                named as forward's arguments are passed.
            names: what the targets are called in files, where their numbers in the data set are others than in the
                batch.

        Raises:
            DataError: ``SW-D130`` to ``SW-D132``, a batch without inputs, or without a target.
            LayerError: ``SW-L07``, ``SW-L12``, ``SW-L40``, a named layer that cannot be read.
            ModelError: ``SW-M09``, the model cannot be called on it.
        """
        given = self.reader.given(batch)
        self.forget()
        kept, measured = Collected(given, self.targets, keep=self._shelf.keep), Measured(given)

        def take(part: Part) -> None:
            kept.take(part)
            measured.take(part)

        counts = self.reader.read(given, take)
        if batch is not self._counted:  # another target of the same batch adds no evidence
            self.population = added(self.population, measured.by_layer(self.reader.layers, counts))
        self._counted = batch
        self.activations = kept.by_layer(self.reader.layers, counts)
        self.described = {
            name: {
                "module": str(self.reader.layers[name]),
                "kind": kept.kinds[name],
                "layout": kept.lying[name].layout,
            }
            for name in self.activations
        }
        self._names = tuple(names or self.targets)
        return self.activations

    def save_features(
        self,
        batch_info: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        suffix: str = "",
        format: Literal["pkl", "safetensors"] = "pkl",
    ) -> list[Path]:
        """Write one file for each target, ``features_b{record}_t{step}{suffix}.pkl``; the paths.

        A ``.pkl`` is a torch file of tensors and plain values, which ``torch.load(…, weights_only=True)`` reads.
        ``batch_info`` is what is known of the targets, plain values for all of them or for each.

        Raises:
            DataError: ``SW-D133``, nothing was extracted.
            ConfigError: a format, or a value of ``batch_info`` that is not plain.
        """
        self._require_activations()
        infos = self._infos(batch_info or {})
        paths = []
        for index, ((record, step), info) in enumerate(zip(self._names, infos, strict=True)):
            path = self.save_dir / f"features_b{record}_t{step}{suffix}.{format}"
            save_feature_file(path, self._content(index, record, step, info), format=format)
            log.info("Features saved to %s", path)
            paths.append(path)
        return paths

    def load_features(self, filename: str | os.PathLike[str]) -> dict[str, Any]:
        """Take a file's activations as if they had just been extracted; ``filename`` may be one in ``save_dir``."""
        given = Path(filename).expanduser()
        path = self.save_dir / given if not given.exists() and (self.save_dir / given).exists() else given
        content = load_feature_file(path)
        self.forget()
        self.activations = {name: list(each) for name, each in content["activations"].items()}
        self.described = dict(content.get("layers", {}))
        known = {name: population_of(content, name) for name in content["activations"]}
        self.population = {name: statistics for name, statistics in known.items() if statistics is not None}
        self._names = ((int(content["batch_idx"]), int(content["timestep"])),)
        self.set_targets(self._names)
        return content

    def visualize_feature_maps(
        self, layer_name: str, num_channels: int = 16, save_plot: bool = True, colormap: str = "viridis"
    ) -> list[UInt8[np.ndarray, "h w 3"]]:
        """Draw evenly spaced channels of a layer, one page for each target, as ``{layer}_b{record}_t{step}.png``.

        Each channel has its own scale, from zero to its largest value, which is printed below it.

        Raises:
            DataError: ``SW-D133`` nothing was extracted. LayerError: ``SW-L41``, a layer that was not.
        """
        maps = self._activations_of(layer_name)
        require_count("num_channels", num_channels)
        pages = []
        for (record, step), values in zip(self._names, maps, strict=True):
            page = layer_page(layer_name, values, num_channels, (record, step), colormap)
            if save_plot:
                path = self.save_dir / f"{safe_name(layer_name)}_b{record}_t{step}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(path, encode_png(page), durable=False)
                log.info("Plot saved to %s", path)
            pages.append(page)
        return pages

    def get_feature_statistics(self) -> dict[str, dict[str, Any]]:
        """Of each layer over all targets: ``shape`` of one, mean, std, min, max, num_zero, sparsity, near_zero,
        num_channels, spatial_size, active and dead channels; see :class:`seewhy.features.statistics.LayerStatistics`.

        A channel's death is told over everything that was run, in ``population_dead_channels``.

        Raises:
            DataError: ``SW-D133``, nothing was extracted.
        """
        self._require_activations()
        return {name: self._statistics_of(name, maps) for name, maps in self.activations.items()}

    def measure(self, batch: Any) -> None:
        """Run the model once for the statistics over the records alone; nothing is kept."""
        self.population = added(self.population, statistics_of(self.reader, [batch]))

    def forget(self) -> None:
        """Let go of the activations; statistics over the records stay."""
        self.activations, self.described, self._names = {}, {}, ()
        self._shelf.clear()

    def cleanup(self) -> None:
        """Let go of everything, files of large activations included; there are no hooks to remove."""
        self.forget()
        self.population, self._counted = {}, None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shelf.clear()

    def _statistics_of(self, name: str, maps: Sequence[Float[Tensor, "c *s"]]) -> dict[str, Any]:
        over = ChannelStatistics.of(maps[0][None])
        for values in maps[1:]:
            over = over.merged(ChannelStatistics.of(values[None]))
        shape = tuple(maps[0].shape)
        found: dict[str, Any] = {"shape": shape, "spatial_size": shape[1:], **asdict(over.summary())}
        if name in self.population:
            everything = self.population[name].summary()
            found["population_records"] = everything.records
            found["population_dead_channels"] = everything.dead_channels
        return found

    def _infos(self, info: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        several = [info] * len(self._names) if isinstance(info, Mapping) else list(info)
        if len(several) != len(self._names) or not all(isinstance(one, Mapping) for one in several):
            raise ConfigError(
                "SW-F221",
                f"batch_info is a dict, or one for each of the {len(self._names)} targets, got {info!r}",
                fix="batch_info={'experiment': 'test1'}",
            )
        return several

    def _content(self, index: int, record: int, step: int, info: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "activations": {name: maps[index][None] for name, maps in self.activations.items()},
            "batch_idx": record,
            "timestep": step,
            "batch_info": dict(info),
            "layers": self.described,
            "population": {name: each.state() for name, each in self.population.items()},
        }

    def _activations_of(self, layer: str) -> list[Float[Tensor, "c *s"]]:
        self._require_activations()
        if layer not in self.activations:
            reason = self.reader.skipped.get(layer)
            raise LayerError(
                "SW-L41",
                f"No activations found for layer {layer!r}" + (f": {reason}" if reason else ""),
                near=nearest(layer, self.activations) or list(self.activations)[:5],
                fix="name one of the layers that were extracted, or pass it in layers=[...]",
            )
        return self.activations[layer]

    def _require_activations(self) -> None:
        if not self.activations:
            raise DataError(
                "SW-D133",
                "there are no activations",
                fix="call extract_features(batch) or load_features(filename) first",
            )


def _indices(name: str, given: Any) -> list[int]:
    several = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    if several and all(isinstance(one, int | np.integer) and not isinstance(one, bool) and one >= 0 for one in several):
        return [int(one) for one in several]
    raise ConfigError(
        "SW-F210", f"{name} must be a whole number of 0 or more, or several, got {given!r}", fix=f"{name}=0"
    )
