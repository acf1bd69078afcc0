"""What a person gives as inputs, as one batch of named tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from seewhy.core import Inputs
from seewhy.explain.prepared import each_image, prepare
from seewhy.explain.recipe import Recipe
from seewhy.values import DataError


def given_inputs(x: Any, recipe: Recipe, dtype: torch.dtype, *, signals: bool = False) -> Inputs:
    """Tensors by name as they are, a tensor as the image or images it is, pictures prepared by ``recipe``.

    Three axes are one picture ``(C, H, W)``, or for a model of ``signals`` a batch ``(B, C, T)``.

    Raises:
        DataError: ``SW-D49`` values that are not finite, ``SW-D54`` pictures of several shapes, ``SW-D55`` no tensor.
    """
    if isinstance(x, Mapping):
        return {str(name): _checked(str(name), tensor) for name, tensor in x.items()}
    if isinstance(x, Tensor):
        name = "signal" if signals else "image"
        return {name: _checked(name, x[None] if x.ndim == 3 and not signals else x)}
    return stacked([prepare(image, recipe, dtype).pixels for image in each_image(x)])


def stacked(pixels: Sequence[Tensor]) -> Inputs:
    """One batch of tensors of one shape; a single one is not copied.

    Raises:
        DataError: ``SW-D54``, the shapes differ.
    """
    if len({tensor.shape for tensor in pixels}) > 1:
        raise DataError(
            "SW-D54",
            f"one batch needs inputs of one shape, got {sorted({tuple(tensor.shape) for tensor in pixels})}",
            fix="use explain_batch, which takes mixed sizes; to a model of several inputs pass a dict by input name",
        )
    return {"image": pixels[0][None] if len(pixels) == 1 else torch.stack(list(pixels))}


def _checked(name: str, tensor: object) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise DataError(
            "SW-D55",
            f"the input {name!r} must be a tensor (B, C, *S), got {type(tensor).__name__}",
            fix="convert it with torch.from_numpy, or pass pictures as a list",
        )
    if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
        raise DataError("SW-D49", f"the tensor {name!r} holds NaN or infinite values", fix="replace them first")
    return tensor
