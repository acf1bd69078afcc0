"""What a person may say of an interactive figure or page, checked before a model is asked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from torch import Tensor, nn

from seewhy.data.clips import Clip
from seewhy.data.volumes import Volume
from seewhy.values import SeewhyError

NARROWEST, WIDEST = 100, 10_000
HIGHEST_K: Final = 1000
VOLUME_ENDINGS: Final = (".nii", ".nii.gz")
CLIP_ENDINGS: Final = (".mp4", ".avi", ".mov", ".mkv", ".webm")


class FigureError(SeewhyError):
    """An interactive figure or page cannot be made as asked. Codes ``SW-V..``."""


def require_lengths(**lengths: object) -> None:
    """Raise ``FigureError`` SW-V01 for a width or height that is no number of pixels."""
    for name, value in lengths.items():
        if isinstance(value, bool) or not isinstance(value, int) or not NARROWEST <= value <= WIDEST:
            raise FigureError(
                "SW-V01",
                f"{name} is a whole number of pixels from {NARROWEST} to {WIDEST}, got {value!r}",
                fix=f"{name}=800",
            )


def require_text(**texts: object) -> None:
    """Raise ``FigureError`` SW-V03 for a title that is no text."""
    for name, value in texts.items():
        if not isinstance(value, str):
            raise FigureError("SW-V03", f"{name} is a text, got {value!r}", fix=f"{name}='What the model saw'")


def require_count(top_k: object) -> None:
    """Raise ``FigureError`` SW-V04 for a number of rows that is none."""
    if isinstance(top_k, bool) or not isinstance(top_k, int) or not 1 <= top_k <= HIGHEST_K:
        raise FigureError("SW-V04", f"top_k is a whole number from 1 to {HIGHEST_K}, got {top_k!r}", fix="top_k=5")


def require_picture(image: Any) -> None:
    """Raise ``FigureError`` SW-V05 for what is no single picture, naming what explains it."""
    better = _explained_by(image)
    if better is not None:
        what, call = better
        raise FigureError("SW-V05", f"an interactive page shows one picture, this is {what}", fix=f"use {call}")


def require_model_of_pictures(model: nn.Module) -> None:
    """Raise ``FigureError`` SW-V05 for a model whose first convolution goes through depth or time."""
    first = next((one for one in model.modules() if isinstance(one, nn.Conv1d | nn.Conv2d | nn.Conv3d)), None)
    if isinstance(first, nn.Conv3d):
        raise FigureError(
            "SW-V05",
            "an interactive page shows one picture, and this model takes volumes or clips",
            fix="use seewhy.explain_volume(model, volume) or seewhy.explain_clip(model, clip)",
        )


def _explained_by(image: Any) -> tuple[str, str] | None:
    """What is given where it is no picture, and the call that explains it."""
    name = str(image).lower() if isinstance(image, str | os.PathLike) else ""
    if name.endswith(VOLUME_ENDINGS) or isinstance(image, Volume):
        return "a volume", "seewhy.explain_volume(model, volume).save('volume.png')"
    if name.endswith(CLIP_ENDINGS) or isinstance(image, Clip):
        return "a clip", "seewhy.explain_clip(model, clip).save('clip.gif')"
    if isinstance(image, Mapping):
        return "several inputs", "seewhy.GradCAM(model).explain_inputs(inputs)"
    if isinstance(image, np.ndarray | Tensor) and (image.ndim > 4 or (image.ndim == 4 and len(image) != 1)):
        return f"an array {tuple(image.shape)}", "explain_volume, explain_clip, or one picture (H, W, 3) at a time"
    return None
