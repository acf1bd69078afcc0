"""FeatureVisualizer: what the layers of a model make of pictures, and which part of a picture a unit looks at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Num
from torch import Tensor, nn

from seewhy.explain.drawing import require_size
from seewhy.explain.given_inputs import stacked
from seewhy.explain.prepared import Prepared, chunks_of_one_shape, each_image, prepare
from seewhy.explain.reading import require_model
from seewhy.explain.recipe import Given, Recipe, find_recipe
from seewhy.features.channel_order import SortBy, channel_scores, check_sort, highest
from seewhy.features.layer_reader import Part
from seewhy.features.measuring import Measured, Statistics, added
from seewhy.features.named_layer import reader_of, reader_of_one
from seewhy.features.requirements import require_choice, require_count
from seewhy.features.unit import unit_at
from seewhy.inspection.feature_page import Destination, caption_of, save_page
from seewhy.inspection.unit_view import METHODS, Baseline, Method, fields_of, unit_page
from seewhy.models.weights import dtype_of
from seewhy.render.channel_sheet import layer_sheet
from seewhy.render.plots import save_figure
from seewhy.render.plots_layers import ACTIVITY_QUANTITIES, layer_comparison_figure
from seewhy.render.plots_page import page_figure

if TYPE_CHECKING:
    from seewhy.render.plots import Figure

AT_ONCE = 32


class FeatureVisualizer:
    """Draws and measures what the layers of a model put out for pictures.

    Pictures are paths, PIL images or arrays, prepared as the explainers prepare them; tensors ``(C, H, W)`` count as
    prepared. Layers are named as in :func:`seewhy.features.layer_choice.chosen_layers`.

    Args:
        model: any model of pictures; it is asked in evaluation mode where it is, and given back as it was.
        use_cuda: accepted for compatibility: the model is asked where it is.
        preprocessing: how pictures become inputs, where the model does not tell: see
            :func:`seewhy.explain.recipe.find_recipe`.

    Raises:
        ModelError: ``SW-M20``, what is no model.
        ConfigError: a preprocessing that cannot be used.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten())
        >>> visualizer = FeatureVisualizer(model)
        >>> visualizer.get_features(torch.zeros(3, 32, 32), "1").shape
        torch.Size([1, 8, 30, 30])
    """

    def __init__(self, model: nn.Module, use_cuda: bool = True, *, preprocessing: Given | Recipe = None) -> None:
        del use_cuda
        require_model(model)
        self.model = model
        self.recipe = preprocessing if isinstance(preprocessing, Recipe) else find_recipe(model, preprocessing)

    def plot_feature_maps(
        self,
        image: Any,
        layer_name: Any,
        num_features: int = 16,
        sort_by: SortBy = "activation",
        save_path: Destination | None = None,
        figsize: tuple[float, float] | None = None,
        *,
        seed: int = 0,
        colormap: str = "viridis",
    ) -> Figure:
        """Draw the first channels of a layer in an order, each on its own scale from zero.

        Args:
            image: one picture.
            layer_name: the layer.
            num_features: how many channels; all where the layer has fewer, which the page says.
            sort_by: ``"activation"``, ``"variance"``, ``"l1"``, ``"random"`` or a function of the maps ``(C, *S)``: see
                :func:`seewhy.features.channel_order.channel_scores`.
            save_path: written as a picture, or in another format that matplotlib knows, by its suffix.
            figsize: ``(width, height)`` in inches that the page is fitted into; its own size if None.
            seed: of the random order.
            colormap: a colour map's name.

        Returns:
            The page as a matplotlib figure that belongs to the caller alone.

        Raises:
            ConfigError: ``SW-F200`` an unknown order, ``SW-F201`` no number of channels, ``SW-F207``, ``SW-F92``.
            LayerError: a layer that is not there.
        """
        check_sort(sort_by)
        count = require_count("num_features", num_features)
        require_size(figsize)
        (prepared,) = self._prepared(image, single=True)
        ((name, maps),) = self._maps([prepared], layer_name).items()
        chosen = highest(channel_scores(maps[0], sort_by, seed=seed), count)
        page = layer_sheet(
            maps[0, chosen].float().numpy(),
            [f"channel {channel}" for channel in chosen],
            heading=name,
            caption=caption_of(maps[0], chosen, count, sort_by, prepared.notes),
            colormap=colormap,
        )
        figure = page_figure(page, figsize)
        if save_path is not None:
            save_page(page, save_path, figure, fitted=figsize is not None)
        return figure

    def get_features(self, image: Any, layer_name: Any) -> Num[Tensor, "b c *s"]:
        """What a layer puts out, ``(B, C, *S)`` on the CPU, for one picture or several of one size; vectors ``(B, C)``.

        Tokens are laid out as the grid they were cut from, without their class token.

        Args:
            image: one picture, a list of them, or a batch ``(B, C, H, W)``.
            layer_name: the layer.

        Raises:
            LayerError: a layer that is not there. DataError: ``SW-D54``, pictures of several sizes.
        """
        (maps,) = self._maps(self._prepared(image), layer_name).values()
        return maps

    def get_feature_statistics(self, image: Any, layer_name: Any) -> dict[str, Any]:
        """A layer in numbers over one picture or several of any size.

        ``mean``, ``std`` (of the population), ``min``, ``max``; ``sparsity`` (share of exact zeros) and ``near_zero``;
        ``num_channels``, ``active_channels`` (mean above 0.01), ``dead_channels`` (their numbers); ``spatial_size``
        (None where it differs), ``records``, ``num_zero`` and ``nonfinite``: see
        :class:`seewhy.features.statistics.LayerStatistics`.

        Args:
            image, layer_name: as in :meth:`get_features`.
        """
        reader_of_one(self.model, layer_name)
        (found,) = self._statistics(image, layer_name).values()
        return found

    def compare_layers(
        self, image: Any, layer_names: Any = None, save_path: Destination | None = None
    ) -> dict[str, dict[str, Any]]:
        """The statistics of several layers by name, from one forward of each picture.

        Args:
            image: as in :meth:`get_features`.
            layer_names: the layers; the model's stages if None.
            save_path: where bars of mean, standard deviation, sparsity and active channels over the layers are
                written, if anywhere.
        """
        table = self._statistics(image, layer_names)
        if save_path is not None:
            save_figure(layer_comparison_figure(table, ACTIVITY_QUANTITIES), Path(save_path).expanduser())
        return table

    def get_top_activating_features(self, image: Any, layer_name: Any, top_k: int = 10) -> list[tuple[int, float]]:
        """The channels with the highest mean activation, over one picture or all of several: ``[(channel, mean)]``.

        Args:
            image, layer_name: as in :meth:`get_features`.
            top_k: how many channels.

        Raises:
            ConfigError: ``SW-F201``, no number of channels.
        """
        count = require_count("top_k", top_k)
        reader_of_one(self.model, layer_name)
        means = next(iter(self._measured(image, layer_name)[0].values())).mean
        return [(channel, float(means[channel])) for channel in highest(means, count)]

    def most_common_features(self, images: Any, layer_name: Any, top_k: int = 10) -> list[tuple[int, int]]:
        """In how many of the pictures each channel is among the ``top_k`` most active: ``[(channel, pictures)]``.

        The most common first, of equals the one with the lower number; channels that never are, are left out.

        Args:
            images: as ``image`` in :meth:`get_features`.
            layer_name: the layer.
            top_k: how many channels of each picture count.
        """
        count = require_count("top_k", top_k)
        reader = reader_of_one(self.model, layer_name)
        times: Counter[int] = Counter()
        for batch in self._batches(images):
            (maps,) = reader.maps(batch).values()
            for record in maps:
                times.update(highest(channel_scores(record, "activation"), count))
        return sorted(times.items(), key=lambda pair: (-pair[1], pair[0]))

    def visualize_receptive_field(
        self,
        image: Any,
        layer_name: Any,
        channel: int,
        position: Sequence[int] | None = None,
        save_path: Destination | None = None,
        *,
        method: Method = "occlusion",
        patch: int | Sequence[int] = 16,
        stride: int | Sequence[int] = 8,
        baseline: Baseline = 0.0,
        batch_size: int | None = None,
    ) -> Float32[np.ndarray, "height width"]:
        """Which part of a picture one unit looks at: ``(H, W)`` float32, signed, at the size of the prepared picture.

        Args:
            image: one picture.
            layer_name: the layer.
            channel: the unit's channel.
            position: its row and column among the layer's cells; the middle if None.
            save_path: where the field is drawn over the picture.
            method: ``"occlusion"``: the activation less what is left of it when a window is covered, averaged over the
                windows at a pixel (:func:`seewhy.features.receptive_field.occlusion_field`); ``"gradient"``: its
                gradient, summed over colours; ``"both"`` draws both and returns the occlusion.
            patch: the window's side in pixels, or its height and width.
            stride: pixels from a window to the next.
            baseline: what covered pixels become: a number or tensor in the model's own values (0 is the mean colour of
                a normalised picture), or ``"black"``, ``"white"``, ``"mean"``, ``"blur"``, ``"random"``.
            batch_size: windows in a forward; what suits the device if None.

        Raises:
            ConfigError: ``SW-F202`` to ``SW-F206`` no such channel, position, windows, covering or batch, ``SW-F208``
                no such method, ``SW-F40``, ``SW-F41`` a baseline that cannot be.
            LayerError: a layer that is not there; ``SW-L31``, no gradient path.
        """
        require_choice("method", method, METHODS)
        (prepared,) = self._prepared(image, single=True)
        unit = unit_at(self.model, prepared.pixels, layer_name, channel, position)
        fields = fields_of(unit, method, self.recipe.normalisation, patch, stride, baseline, batch_size)
        if save_path is not None:
            page = unit_page(unit, self._seen(prepared), fields)
            save_page(page, save_path)
        first: Float[np.ndarray, "height width"] = next(iter(fields.values())).map
        return first.astype(np.float32)

    def _seen(self, prepared: Prepared) -> Any:
        """The picture as the model gets it, its normalisation undone."""
        return prepare(prepared.pixels, self.recipe).draw()

    def _prepared(self, images: Any, *, single: bool = False) -> list[Prepared]:
        dtype = dtype_of(self.model) or torch.float32
        return [prepare(one, self.recipe, dtype) for one in ([images] if single else each_image(images))]

    def _maps(self, prepared: Sequence[Prepared], layer_name: Any) -> dict[str, Num[Tensor, "b c *s"]]:
        batch = stacked([one.pixels for one in prepared])["image"]
        return reader_of_one(self.model, layer_name).maps(batch)

    def _batches(self, images: Any) -> list[Float[Tensor, "b c h w"]]:
        prepared = [one.pixels for one in self._prepared(images)]
        several = chunks_of_one_shape([tuple(pixels.shape) for pixels in prepared], AT_ONCE)
        return [torch.stack([prepared[row] for row in rows]) for rows in several]

    def _measured(self, images: Any, layers: Any) -> tuple[Statistics, dict[str, set[tuple[int, ...]]]]:
        """The statistics of each layer over the pictures, and the spatial sizes it had."""
        reader = reader_of(self.model, layers)
        found: Statistics = {}
        sizes: dict[str, set[tuple[int, ...]]] = {}
        for batch in self._batches(images):
            measured = Measured(reader.given(batch))

            def take(part: Part, measured: Measured = measured) -> None:
                measured.take(part)
                if part.call == reader.layers[part.layer].call:
                    sizes.setdefault(part.layer, set()).add(tuple(part.values.shape[2:]))

            counts = reader.read(measured.given, take)
            found = added(found, measured.by_layer(reader.layers, counts))
        return found, sizes

    def _statistics(self, images: Any, layers: Any) -> dict[str, dict[str, Any]]:
        found, sizes = self._measured(images, layers)
        return {
            name: {
                **asdict(over.summary()),
                "spatial_size": next(iter(sizes[name])) if len(sizes[name]) == 1 else None,
            }
            for name, over in found.items()
        }
