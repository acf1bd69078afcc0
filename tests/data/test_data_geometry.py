"""What is aligned on the original stays aligned on the input, for pixels, boxes and masks alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

from seewhy.data.geometry import box_to_input, centre_crop, kept_fraction, mask_to_input, resample, stretch
from seewhy.values import Geometry

lengths = st.integers(min_value=8, max_value=600)


def test_a_centre_crop_of_a_wide_picture_cuts_equally_left_and_right() -> None:
    geometry = centre_crop((100, 300), (50, 50))
    assert geometry == Geometry((100, 300), (50, 50), (0.5, 0.5), (0.0, 50.0))


def test_a_crop_ratio_resizes_to_more_than_the_input_and_cuts_all_sides() -> None:
    geometry = centre_crop((512, 512), (224, 224), ratio=0.875)
    assert geometry == Geometry((512, 512), (224, 224), (0.5, 0.5), (16.0, 16.0))


def test_stretching_has_one_scale_per_axis() -> None:
    assert stretch((100, 200), (50, 400)) == Geometry((100, 200), (50, 400), (0.5, 2.0), (0.0, 0.0))


def test_an_input_that_is_not_square_is_covered() -> None:
    geometry = centre_crop((100, 100), (50, 100))
    assert geometry == Geometry((100, 100), (50, 100), (1.0, 1.0), (25.0, 0.0))


@settings(max_examples=60, deadline=None)
@given(lengths, lengths, st.integers(8, 300), st.sampled_from([1.0, 0.875, 0.5]))
def test_a_crop_lies_within_the_resized_picture(height: int, width: int, size: int, ratio: float) -> None:
    geometry = centre_crop((height, width), (size, size), ratio)
    first, last = geometry.to_original((0, 0)), geometry.to_original((size, size))
    assert min(first) >= 0
    assert last[0] <= height + 1e-9
    assert last[1] <= width + 1e-9


@pytest.mark.parametrize(("height", "width"), [(97, 211), (300, 128), (64, 64), (40, 41)])
@pytest.mark.parametrize("size", [32, 65])
def test_pixels_equal_torchvisions_resize_and_centre_crop(height: int, width: int, size: int) -> None:
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8))
    ratio = 0.875
    peer = v2.Compose([v2.Resize(int(size / ratio)), v2.CenterCrop(size)])(picture)
    ours = resample(picture, centre_crop((height, width), (size, size), ratio))
    difference = np.abs(np.asarray(ours).astype(int) - np.asarray(peer).astype(int))
    assert difference.max() <= 1


@settings(max_examples=60, deadline=None)
@given(lengths, lengths, st.sampled_from(["crop", "stretch"]), st.data())
def test_a_bright_square_its_box_and_its_mask_land_on_the_same_place(
    height: int, width: int, kind: str, data: st.DataObject
) -> None:
    x0, y0 = data.draw(st.integers(0, width - 8)), data.draw(st.integers(0, height - 8))
    side = data.draw(st.integers(4, 8))
    mask = np.zeros((height, width), dtype=bool)
    mask[y0 : y0 + side, x0 : x0 + side] = True
    geometry = (stretch if kind == "stretch" else centre_crop)((height, width), (256, 256))
    light = np.asarray(resample(Image.fromarray(mask.astype(np.float32)), geometry))
    moved, box = mask_to_input(mask, geometry), box_to_input((x0, y0, x0 + side, y0 + side), geometry)
    if box is None:
        assert not moved.any()
        return
    centres = np.arange(256) + 0.5
    inside = ((centres > box[1]) & (centres < box[3]))[:, None] & ((centres > box[0]) & (centres < box[2]))[None, :]
    rows_clear = np.min([np.abs(centres - box[1]), np.abs(centres - box[3])], axis=0) > 1e-6
    columns_clear = np.min([np.abs(centres - box[0]), np.abs(centres - box[2])], axis=0) > 1e-6
    clear = rows_clear[:, None] & columns_clear[None, :]  # a centre on the very edge may count either way
    assert np.array_equal(moved[clear], inside[clear])
    weight = light.sum()
    untouched = box[0] > 0 and box[1] > 0 and box[2] < 256 and box[3] < 256
    if untouched and min(geometry.scale) >= 1:
        rows, columns = np.arange(256) + 0.5, np.arange(256) + 0.5
        centre = (light.sum(0) @ columns / weight, light.sum(1) @ rows / weight)
        assert centre == pytest.approx(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), abs=0.75 * max(geometry.scale))


def test_a_box_is_cut_at_the_edge_of_the_crop() -> None:
    geometry = centre_crop((100, 300), (50, 50))
    assert box_to_input((80.0, 0.0, 160.0, 100.0), geometry) == (0.0, 0.0, 30.0, 50.0)


def test_a_box_outside_the_crop_is_none() -> None:
    assert box_to_input((0.0, 0.0, 100.0, 100.0), centre_crop((100, 300), (50, 50))) is None


def test_the_kept_share_of_a_picture_three_times_as_wide_is_a_third() -> None:
    assert kept_fraction(centre_crop((100, 300), (50, 50))) == pytest.approx(1 / 3)
    assert kept_fraction(stretch((100, 300), (50, 50))) == pytest.approx(1)


def test_a_long_strip_is_resized_without_making_all_of_it() -> None:
    strip = Image.new("L", (40_000, 10), 200)
    input_picture = resample(strip, centre_crop((10, 40_000), (224, 224)))
    assert torch.from_numpy(np.array(input_picture)).float().mean() == 200
