"""Superpixels: the parts of a picture that look alike."""

from __future__ import annotations

from importlib import import_module

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seewhy.pixels import Normalisation
from seewhy.values import MissingExtraError


def superpixels(
    image: Float[Tensor, "c h w"],
    *,
    segments: int = 50,
    compactness: float = 10.0,
    normalisation: Normalisation | None = None,
) -> Int[Tensor, "h w"]:
    """SLIC superpixels of a picture, numbered from 0 without gaps.

    ``image`` is in the model's own values; ``normalisation`` turns it back into colours, without one it is stretched to
    [0, 1]. About ``segments`` come out. Raises ``MissingExtraError`` without scikit-image.

    Example:
        >>> quarters = torch.tensor([[0.0, 0.3], [0.6, 1.0]]).repeat_interleave(8, 0).repeat_interleave(8, 1)
        >>> superpixels(quarters.expand(3, 16, 16), segments=4)[::8, ::8]
        tensor([[0, 1],
                [2, 3]])
    """
    try:
        segmentation = import_module("skimage.segmentation")
    except ModuleNotFoundError as error:
        raise MissingExtraError("scikit-image", "captum") from error
    if normalisation is not None and len(normalisation.mean) == image.shape[0]:
        colours = normalisation.undo(image.detach())
    else:
        low, high = image.amin(), image.amax()
        colours = (image - low) / torch.where(high > low, high - low, 1.0)
    pixels = colours.detach().double().cpu().permute(1, 2, 0).numpy()
    found = segmentation.slic(pixels, n_segments=segments, compactness=compactness, start_label=0, channel_axis=-1)
    _, numbered = torch.unique(torch.from_numpy(found).long(), return_inverse=True)
    without_gaps: Tensor = numbered
    return without_gaps
