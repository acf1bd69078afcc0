"""The embedding of a new picture, to be compared with those of a run."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.core import Wants
from seewhy.explain.given_inputs import stacked
from seewhy.explain.prepared import ImageLike, prepare
from seewhy.explain.reading import Reading
from seewhy.explain.recipe import Given, Recipe
from seewhy.explain.similarity import embedding_place
from seewhy.models.adapter import Adapter
from seewhy.models.embedding_reader import EmbeddingReader
from seewhy.models.weights import dtype_of


def embed_image(
    model: nn.Module, image: ImageLike, layer: str | None = None, *, preprocessing: Given | Recipe = None
) -> Float[Tensor, " d"]:
    """One picture's embedding ``(D,)`` on the CPU, as a run of the same model would hold it.

    Args:
        model: a classifier or an encoder; it comes back as it was.
        image: a path, a PIL image, an array, or a tensor ``(C, H, W)`` that is prepared already.
        layer: where the embedding is, such as ``fc.input`` (``Embeddings.layer``); default: before the head.
        preprocessing: how pictures become inputs, where the model does not tell.

    Raises:
        SeewhyError: with a code and a fix, for whatever cannot be done; see ``docs/errors.md``.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
        >>> embed_image(net, torch.ones(3, 8, 8)).shape
        torch.Size([4])
    """
    recipe = Reading(preprocessing, None, None, None, None).settled(model).recipe
    prepared = prepare(image, recipe, dtype_of(model) or torch.float32)
    inputs = stacked([prepared.pixels])
    place = embedding_place(model, inputs, layer)
    adapter = Adapter(model, inputs, reader=EmbeddingReader(place.layer), normalisation=recipe.normalisation)
    return Probe(adapter, []).capture(inputs, Wants()).outputs[0].detach().cpu()
