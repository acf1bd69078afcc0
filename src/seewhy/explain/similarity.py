"""Explain why a model finds two pictures alike: what in each of them brings their embeddings together."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.core import Attribution, Inputs, Wants
from seewhy.explain.answering import Answer
from seewhy.explain.drawing import Destination, Look, Picture, overlay_on
from seewhy.explain.explained import Explained, each_record
from seewhy.explain.given_inputs import stacked
from seewhy.explain.head import Head
from seewhy.explain.keywords import require_settings
from seewhy.explain.prepared import ImageLike, Prepared, prepare
from seewhy.explain.reading import Reading
from seewhy.explain.recipe import Given, Recipe
from seewhy.explain.sheet_result import SheetResult
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.models.borrow import unwrapped
from seewhy.models.embedding_reader import EmbeddingReader
from seewhy.models.layers import OUTPUTS, Choice, default_embedding, find_layer
from seewhy.models.outputs import Selector
from seewhy.models.weights import dtype_of
from seewhy.pixels import Normalisation
from seewhy.registry import METHODS
from seewhy.targets import Similarity

LARGEST: Final = 1 - 1e-6
"""A cosine from here on is 1 up to rounding in single precision; its gradient is zero there."""
AT_THE_TOP: Final = (
    "the embeddings point the same way: their cosine is at its maximum of 1, where its gradient is zero, so no map can "
    "tell what brings them together"
)


def explain_similarity(
    model: nn.Module,
    image: ImageLike,
    other: ImageLike,
    method: str = "gradcam",
    target_layer: str | nn.Module | None = None,
    embedding_layer: str | None = None,
    colormap: str = "viridis",
    alpha: float = 0.4,
    save_path: Destination | None = None,
    *,
    output_selector: Selector | None = None,
    preprocessing: Given | Recipe = None,
    dpi: int = 100,
    **settings: Any,
) -> SimilarityResult:
    """How alike two pictures are to a model, and what in each of them makes them so.

    The question to each picture is the cosine of its embedding with the other's, which is held fixed. Each heat map is
    scaled by its own peak.

    Args:
        model: a classifier, whose features before the head are compared, or an encoder, whose outputs are.
        image, other: each a path, a PIL image, an array, or a tensor that is prepared already; sizes may differ.
        method: a method's name.
        target_layer: the layer to explain through; if None the last with a grid that the embedding depends on.
        embedding_layer: where the embedding is, such as ``fc.input``, or ``outputs`` for what the model puts out; if
            None the input of the layer that makes the logits, or the outputs where no layer does.
        colormap, alpha, dpi: how the pictures look.
        save_path: where to write them, if anywhere.
        output_selector: where the features are in what an encoder returns: a key, an index or a function of it.
        preprocessing: how pictures become inputs, where the model does not tell.
        settings: the method's own.

    Raises:
        TargetError: ``SW-T55`` embeddings of different lengths, ``SW-T56`` an embedding of length zero.
        ModelError: ``SW-M83``, ``SW-M84`` a layer that holds no embedding.
        SeewhyError: with a code and a fix, for whatever else cannot be done; see ``docs/errors.md``.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
        >>> picture = torch.randn(3, 16, 16)
        >>> result = explain_similarity(net, picture, picture.flip(2))
        >>> result["embedding_layer"], result["similarity"] > 0.9, len(result["heatmaps"])
        ('4.input', True, 2)
    """
    look = Look(colormap, alpha, dpi)
    require_settings(METHODS[method], settings, explain_similarity)
    reading = Reading(preprocessing, None, None, None, output_selector).settled(model)
    layer = None if target_layer is None else str(find_layer(unwrapped(model), target_layer))
    asked = Asked(METHODS[method].name, layer, settings)
    recipe = reading.recipe
    pair = [prepare(one, recipe, dtype_of(model) or torch.float32) for one in (image, other)]
    inputs = [stacked([one.pixels]) for one in pair]
    place = embedding_place(model, inputs[0], embedding_layer, output_selector)
    adapters = _adapters(model, inputs, EmbeddingReader(place.layer, output_selector), recipe.normalisation)
    embeddings = [
        Probe(adapter, []).capture(one, Wants()).outputs for adapter, one in zip(adapters, inputs, strict=True)
    ]
    cosine = float(Similarity(embeddings[1]).bind(embeddings[0])(embeddings[0]))
    found = [
        _explained(adapter, asked, one, prepared, Similarity(reference), embedding)
        for adapter, one, prepared, embedding, reference in zip(
            adapters, inputs, pair, embeddings, reversed(embeddings), strict=True
        )
    ]
    result = SimilarityResult(found, cosine, place, [e[0].cpu().numpy() for e in embeddings], str(recipe), look)
    if save_path is not None:
        result.save(save_path)
    return result


class SimilarityResult(SheetResult):
    """Two pictures compared.

    Keys: ``similarity``, the cosine; ``heatmaps``, ``(H, W)`` in [0, 1] on each picture; ``valid_masks``, the pixels
    the model saw; ``embeddings``, ``(D,)`` of each; ``embedding_layer``, ``target_layer``, ``method``, ``settings``,
    ``preprocessing``, ``notes``, ``images`` (their names) and, once written, ``save_path``.
    """

    def __init__(
        self,
        found: list[Explained],
        cosine: float,
        place: Choice,
        embeddings: list[Float[np.ndarray, " d"]],
        preprocessing: str,
        look: Look,
    ) -> None:
        self.explained = found
        self.at_the_top = cosine > LARGEST
        facts = found[0].attribution.facts
        notes = [f"embedding: {place.layer}, {place.why}", *(note for one in found for note in one.notes)]
        values = {
            "images": [one.prepared.stem or None for one in found],
            "similarity": cosine,
            "heatmaps": [self._shown(one.heat) for one in found],
            "valid_masks": [one.valid for one in found],
            "embeddings": embeddings,
            "embedding_layer": place.layer,
            "target_layer": facts.get("layer"),
            "method": facts.get("method"),
            "settings": facts.get("settings", {}),
            "preprocessing": preprocessing,
            "notes": list(dict.fromkeys([*notes, *([AT_THE_TOP] if self.at_the_top else [])])),
        }
        super().__init__(values, look)

    @property
    def attributions(self) -> tuple[Attribution, ...]:
        """The raw answer for each picture."""
        return tuple(one.attribution for one in self.explained)

    def panels(self) -> dict[str, Picture]:
        """Each picture and its heat map."""
        panels: dict[str, Picture] = {}
        for number, one in enumerate(self.explained, 1):
            picture = one.prepared.draw()
            map_title = "no gradient at cosine 1" if self.at_the_top else one.titled(f"like picture {3 - number}")
            panels[f"{number} · cosine {self['similarity']:.3f}"] = picture
            panels[f"{number} · {map_title}"] = overlay_on(picture, self._shown(one.drawn), self.look)
        return panels

    def _shown(self, heat: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
        """A heat map; none where all there is to show is rounding."""
        return np.zeros_like(heat) if self.at_the_top else heat


def embedding_place(
    model: nn.Module, inputs: Inputs, layer: str | None, output_selector: Selector | None = None
) -> Choice:
    """Where a model's embedding is, and why: the layer given, the input of the head, or the outputs without a head."""
    if layer is not None:
        return Choice(layer if layer == OUTPUTS else str(find_layer(unwrapped(model), layer)), "as given")
    adapter = Adapter(model, inputs, headless=True, output_selector=output_selector)
    without = getattr(adapter.model, "num_classes", None) == 0 or not adapter.has_head
    return default_embedding(adapter.trace, headless=without)


def _adapters(
    model: nn.Module, inputs: list[Inputs], reader: EmbeddingReader, normalisation: Normalisation
) -> list[Adapter]:
    """An adapter for each; inputs of one shape share it."""
    shapes = [one["image"].shape for one in inputs]
    made = {
        shape: Adapter(model, one, reader=reader, normalisation=normalisation)
        for shape, one in zip(shapes, inputs, strict=True)
    }
    return [made[shape] for shape in shapes]


def _explained(
    adapter: Adapter,
    asked: Asked,
    inputs: Inputs,
    prepared: Prepared,
    target: Similarity,
    embedding: Float[Tensor, "one d"],
) -> Explained:
    attribution = asked(Probe(adapter, [target]), inputs).target()
    head = Head(None, embedding.shape[1], None, headless=True, threshold=None)
    (found,) = each_record(Answer(attribution, embedding, target, head, adapter.notes), [prepared], asked)
    return found
