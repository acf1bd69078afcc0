"""Previews are small, keep their proportions, and show what they say they show."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from seewhy.render.errors import RenderError
from seewhy.render.frames import even_slices
from seewhy.render.preview import picture_preview, signal_preview, slices_preview


def decoded(data: bytes) -> np.ndarray:
    image = Image.open(BytesIO(data))
    assert image.format == "JPEG"
    return np.asarray(image.convert("RGB")).astype(int)


def test_a_small_picture_keeps_its_size_and_colours() -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, 32:] = (200, 40, 90)
    shown = decoded(picture_preview(picture))
    assert shown.shape == (48, 64, 3)
    assert np.abs(shown[:, :24] - 0).max() <= 3
    assert np.abs(shown[:, 40:] - (200, 40, 90)).max() <= 3


def test_a_large_picture_is_reduced_to_256_pixels_on_its_longer_side() -> None:
    assert decoded(picture_preview(np.zeros((300, 1200, 3), np.uint8))).shape == (64, 256, 3)


def test_slices_are_the_middles_of_equal_parts_side_by_side() -> None:
    pixels = np.zeros((24, 16, 16, 3), np.uint8) + (np.arange(24, dtype=np.uint8) * 10)[:, None, None, None]
    data, shown = slices_preview(pixels)
    assert shown == (1, 4, 7, 10, 13, 16, 19, 22)
    tiles = decoded(data)
    assert tiles.shape == (16, 8 * 16, 3)
    for tile, position in enumerate(shown):
        assert np.abs(tiles[4:12, tile * 16 + 4 : tile * 16 + 12] - position * 10).max() <= 3


def test_few_slices_are_all_shown() -> None:
    data, shown = slices_preview(np.zeros((3, 8, 8, 3), np.uint8))
    assert shown == (0, 1, 2)
    assert decoded(data).shape == (8, 24, 3)
    assert even_slices(3, 8) == [0, 1, 2]


def test_slices_need_four_axes() -> None:
    with pytest.raises(RenderError):
        slices_preview(np.zeros((8, 8, 3), np.uint8))


def test_each_lead_of_a_signal_fills_a_row_of_its_own_with_gaps_where_it_is_not_finite() -> None:
    time = np.linspace(0, 1, 200, dtype=np.float32)
    lines = np.stack([time, np.full(200, np.nan, np.float32), np.zeros(200, np.float32)])
    shown = decoded(signal_preview(lines))
    assert shown.shape == (240, 512, 3)
    dark = shown.mean(axis=2) < 160
    assert not dark[84:156].any()  # the second lead holds nothing
    ramp = [int(np.flatnonzero(dark[:80, column]).mean()) for column in (20, 256, 490)]
    assert ramp[0] > ramp[1] > ramp[2]  # a rising line rises
    level = [int(np.flatnonzero(dark[160:, column]).mean()) for column in (20, 256, 490)]
    assert max(level) - min(level) <= 1  # a constant line stays level, in the middle of its row
    assert abs(level[0] - 40) <= 2
