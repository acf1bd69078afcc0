"""Explain what a model says of a clip: a film, an animated picture, a stack of frames."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from numpy.typing import NDArray
from torch import Tensor, nn

from seewhy.data.clips import Clip, read_clip
from seewhy.data.images import Preprocessing
from seewhy.data.volume_input import LoadedInput, clip_input
from seewhy.explain.answer_values import answer_values
from seewhy.explain.drawing import Destination, Look
from seewhy.explain.every_input import InputsExplained
from seewhy.explain.explained import on_original
from seewhy.explain.explainer import Explainer
from seewhy.explain.explainers import make_explainer
from seewhy.explain.prepared import ASSUMED
from seewhy.explain.reading import Reading
from seewhy.explain.recipe import Given, Recipe
from seewhy.explain.stack_result import Stack, StackResult
from seewhy.explain.warning import warn_caller
from seewhy.models.outputs import Selector
from seewhy.render.frames import frame_labels
from seewhy.render.heatmap import heatmap
from seewhy.values import ConfigError, DataError, Geometry, ModelError

ClipLike: TypeAlias = "str | os.PathLike[str] | Clip | NDArray[Any]"
DIMMED_TO: Final = 0.4
"""How bright the part of a frame is drawn that the model did not see."""


def explain_clip(
    model: nn.Module,
    clip: ClipLike,
    method: str = "gradcam",
    target_class: Any = None,
    target_layer: str | nn.Module | None = None,
    colormap: str = "turbo",
    alpha: float = 0.5,
    save_path: Destination | None = None,
    *,
    frames: int | None = None,
    frames_first: bool | None = None,
    preprocessing: Given | Recipe = None,
    class_names: Sequence[str] | None = None,
    task: str | None = None,
    threshold: float | None = None,
    output_selector: Selector | None = None,
    **settings: Any,
) -> StackResult:
    """What a model of clips says of one, and where and when in it the evidence lies.

    Args:
        model: takes ``(B, C, T, H, W)`` or ``(B, T, C, H, W)``; it comes back untouched.
        clip: a video file, an animated picture, a multi-page TIFF, a :class:`Clip` or frames ``(T, H, W, 3)`` uint8.
        frames: how many frames the model gets, spread evenly over the film; all of them if None.
        frames_first: whether the model takes ``(B, T, C, H, W)``; found by calling it if None.
        preprocessing: how frames become the model's values, as for pictures.
        method, target_class, target_layer, class_names, task, threshold, output_selector, settings: as in
            :func:`seewhy.explain_prediction`.
        colormap, alpha: how the picture looks.
        save_path: where to write it; the ending says as what, see :meth:`StackResult.save`.

    The result also has ``valid_mask`` ``(H, W)``, which pixels of a frame the model saw; the rest is drawn dark.

    Raises:
        ConfigError: ``SW-F141``, as many frames as channels, so that it cannot be found which axis is which.
        SeewhyError: with a code and a fix, for whatever else cannot be done.
    """
    look = Look(colormap, alpha)
    reading = Reading(preprocessing, class_names, task, threshold, output_selector)
    explainer = make_explainer(method, model, target_layer, reading, settings, explain_clip)
    known = _read(clip, frames)
    loaded = clip_input(known, _frame_preprocessing(explainer))
    found = _ask(explainer, loaded.values[None].to(explainer.study.dtype), frames_first, target_class)
    heat, valid = _on_frames(found, loaded.geometry)
    numbered = [f"frame {position + 1} / {len(heat)}" for position in range(len(heat))]
    labels = frame_labels(len(heat), known.fps) if known.fps else numbered
    stack = Stack(_unseen_dimmed(known.frames, valid), heat, labels, found.reference, fps=known.fps)
    values = answer_values(found, explainer.class_names)
    notes = [*values["notes"], *_notes(known, loaded, valid)]
    values |= {"heatmap": heat, "raw": found.raw["video"], "valid_mask": valid, "notes": notes}
    result = StackResult(values, stack, look)
    if save_path is not None:
        result.save(save_path)
    return result


def _read(given: ClipLike, frames: int | None) -> Clip:
    if isinstance(given, Clip):
        return given
    if not isinstance(given, np.ndarray):
        return read_clip(given, frames)
    if given.ndim != 4 or given.shape[-1] != 3 or given.dtype != np.uint8 or not given.size:
        raise DataError(
            "SW-D57",
            f"expected frames (T, H, W, 3) of uint8, got {given.shape} of {given.dtype}",
            fix="pass one clip without its batch axis; tensors prepared for the model go to explainer.explain_inputs",
        )
    wanted = range(len(given)) if frames is None else [(2 * i + 1) * len(given) // (2 * frames) for i in range(frames)]
    return Clip(given[list(wanted)], None, "")


def _frame_preprocessing(explainer: Explainer) -> Preprocessing:
    how = explainer.recipe.how
    if not isinstance(how, Preprocessing):
        raise ConfigError(
            "SW-F142",
            f"frames are prepared by settings, and this model's preprocessing is a function: {how}",
            fix="pass preprocessing={'size': 112, 'mean': [...], 'std': [...]}",
        )
    if explainer.recipe.assumed:
        warn_caller(ASSUMED)
    return how


def _ask(explainer: Explainer, clip: Tensor, frames_first: bool | None, target_class: Any) -> InputsExplained:
    """The answer, the clip handed over the way the model takes it."""
    if frames_first is not None:
        return _asked(explainer, clip, frames_first, target_class)
    channels, frames = clip.shape[1:3]
    if channels == frames:
        raise ConfigError(
            "SW-F141",
            f"{frames} frames of {channels} channels: which axis the model takes for which cannot be found",
            fix="say frames_first=False for (B, C, T, H, W), or True for (B, T, C, H, W)",
        )
    try:
        return _asked(explainer, clip, False, target_class)
    except ModelError as error:
        if error.code != "SW-M09":
            raise
    return _asked(explainer, clip, True, target_class)


def _asked(explainer: Explainer, clip: Tensor, frames_first: bool, target_class: Any) -> InputsExplained:
    given = clip.transpose(1, 2) if frames_first else clip
    told = explainer.with_frames_first(("video",) if frames_first else ())
    (found,) = told.explain_inputs({"video": given}, target_class)
    return found


def _on_frames(
    found: InputsExplained, geometry: Geometry
) -> tuple[Float32[np.ndarray, "t h w"], Bool[np.ndarray, "h w"]]:
    """The heat map on the original frames, zero where a crop cut, and which pixels of a frame the model saw."""
    scaled = heatmap(found.raw["video"], geometry.input, scale=found.scale).values
    plane = Geometry(geometry.original[1:], geometry.input[1:], geometry.scale[1:], geometry.offset[1:])
    placed = [on_original(frame, plane) for frame in scaled]
    return np.stack([heat for heat, _ in placed]), placed[0][1]


def _unseen_dimmed(
    frames: UInt8[np.ndarray, "t h w 3"], valid: Bool[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "t h w 3"]:
    """Frames with what the model did not see dimmed, lest it look like a place without evidence."""
    if valid.all():
        return frames
    shown = frames.copy()
    shown[:, ~valid] = (shown[:, ~valid] * DIMMED_TO).round()
    return shown


def _notes(clip: Clip, loaded: LoadedInput, valid: Bool[np.ndarray, "h w"]) -> list[str]:
    drawn = () if valid.all() else ("what the model did not see is drawn dark",)
    return list(dict.fromkeys((*clip.notes, *loaded.notes, *drawn)))
