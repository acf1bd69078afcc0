"""Clips as a model gets them: frames prepared as pictures are, crops told."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seewhy.data.clips import Clip
from seewhy.data.geometry import centre_crop, crop_notes
from seewhy.data.images import Preprocessing
from seewhy.data.volume_input import clip_input
from seewhy.values import Geometry


def test_a_clips_frames_are_prepared_as_pictures_are() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 20, 40, 3), np.uint8)
    preprocessing = Preprocessing.checked(10, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4), crop_ratio=1.0)
    loaded = clip_input(Clip(frames, 5.0, "r"), preprocessing)
    assert loaded.values.shape == (3, 3, 10, 10)
    assert loaded.geometry == Geometry((3, 20, 40), (3, 10, 10), (1.0, 0.5, 0.5), (0.0, 0.0, 5.0))
    mean, deviation = (torch.tensor(values)[:, None, None] for values in ((0.4, 0.5, 0.6), (0.2, 0.3, 0.4)))
    shown = loaded.values[:, 1] * deviation + mean
    rows = frames[1].astype(np.float64)[:, 10:30] / 255
    expected = np.einsum("ir,rcx->icx", halving(20), np.einsum("jc,rcx->rjx", halving(20), rows))
    np.testing.assert_allclose(shown.permute(1, 2, 0).numpy()[1:-1, 1:-1], expected[1:-1, 1:-1], atol=1.5 / 255)


def halving(length: int) -> np.ndarray:
    """The matrix of an antialiased bilinear resize to half the length: a triangle over four pixels, 1 3 3 1."""
    weights = np.zeros((length // 2, length))
    for row in range(length // 2):
        for offset, weight in zip((-1, 0, 1, 2), (1, 3, 3, 1), strict=True):
            weights[row, min(max(2 * row + offset, 0), length - 1)] += weight / 8
    return weights


@pytest.mark.parametrize(
    ("size", "crop", "note"),
    [
        ((10, 10), "center", ["the centre crop keeps 67% of each frame"]),
        ((10, 10), "none", []),
        ((7, 11), "none", []),
        ((10, 15), "center", []),
    ],
)
def test_any_crop_of_a_clip_is_noted(size: tuple[int, int], crop: str, note: list[str]) -> None:
    frames = np.zeros((2, 20, 30, 3), np.uint8)
    loaded = clip_input(Clip(frames, 5.0, "r"), Preprocessing.checked(size, [0.5], [1.0], crop=crop, crop_ratio=1.0))
    assert list(loaded.notes) == ["colour converted to gray", *note]


def test_a_crop_of_a_few_rows_is_noted_too() -> None:
    geometry = centre_crop((1000, 1001), (1000, 1000))
    assert crop_notes(geometry) == ["the centre crop keeps 99% of the picture"]
