"""Lines, planes and volumes are resampled and scaled by one rule."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seewhy.render import RenderError, heatmap, place_on_original, resize
from seewhy.values import Geometry

LENGTHS = st.integers(2, 9)


@pytest.mark.parametrize(
    ("native", "size", "mode"),
    [
        ((7,), (50,), "linear"),
        ((50,), (7,), "linear"),
        ((1,), (4,), "linear"),
        ((3, 4, 5), (9, 10, 21), "trilinear"),
        ((8, 7, 6), (3, 14, 6), "trilinear"),
        ((1, 4, 4), (6, 9, 9), "trilinear"),
    ],
)
def test_equals_torch_interpolation_at_every_rank(native, size, mode):
    values = np.random.default_rng(3).random(native)
    theirs = torch.nn.functional.interpolate(torch.from_numpy(values)[None, None], size, mode=mode)[0, 0].numpy()
    assert np.abs(resize(values, size) - theirs).max() < 1e-6


@settings(max_examples=30)
@given(st.tuples(LENGTHS, LENGTHS, LENGTHS), st.tuples(LENGTHS, LENGTHS, LENGTHS))
def test_a_ramp_in_a_volume_stays_a_ramp_between_the_outer_centres(native, size):
    slopes = (1.0, -2.0, 0.5)

    def ramp(positions):
        return sum(slope * axis for slope, axis in zip(slopes, np.meshgrid(*positions, indexing="ij"), strict=True))

    centres = [np.arange(length) + 0.5 for length in native]
    read = [
        ((np.arange(count) + 0.5) * length / count).clip(0.5, length - 0.5)
        for length, count in zip(native, size, strict=True)
    ]
    assert np.allclose(resize(ramp(centres), size), ramp(read), atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_volume_of_one_cell_along_an_axis_is_its_plane_to_the_bit(axis):
    plane = np.random.default_rng(axis).normal(size=(7, 5))
    expected = resize(plane, (31, 40))
    size = [31, 40]
    size.insert(axis, 3)
    resized = resize(np.expand_dims(plane, axis), tuple(size))
    assert all(np.array_equal(slice_, expected) for slice_ in np.moveaxis(resized, axis, 0))


def test_four_axes_are_resized_one_after_the_other():
    values = np.random.default_rng(0).random((2, 3, 4, 5))
    alone = resize(np.stack([resize(volume, (6, 6, 6)) for volume in values]).reshape(2, -1), (7, 216))
    assert np.allclose(resize(values, (7, 6, 6, 6)), alone.reshape(7, 6, 6, 6), atol=1e-6)


def test_a_recording_of_a_day_is_resized_without_a_matrix_of_its_length_squared():
    coarse = np.arange(40_000.0)
    fine = resize(coarse, (1_280_000,))
    assert fine[[0, 31 + 32 * 999, -1]].tolist() == [0.0, 999 + 15.5 / 32, 39_999.0]


def test_the_result_never_shares_memory_with_the_volume():
    volume = np.ones((2, 2, 2), np.float32)
    resize(volume, (2, 2, 2))[:] = 0
    assert volume.sum() == 8


@pytest.mark.parametrize(
    ("scale", "expected"),
    [("positive", [0.0, 0.25, 1.0]), ("magnitude", [0.5, 0.25, 1.0]), ("diverging", [0.25, 0.625, 1.0])],
)
def test_the_heat_of_a_signal_by_hand(scale, expected):
    assert heatmap(np.array([-2.0, 1.0, 4.0]), scale=scale).values.tolist() == expected


def test_the_heat_of_a_volume_has_one_divisor_for_all_its_slices():
    raw = np.stack([np.full((2, 2), 1.0), np.full((2, 2), -3.0), np.full((2, 2), 4.0)])
    heat = heatmap(raw)
    assert [heat.values[i].tolist() for i in range(3)] == [[[v, v], [v, v]] for v in (0.25, 0.0, 1.0)]
    assert (heat.low, heat.high, heat.reference) == (-3.0, 4.0, 4.0)


def test_the_heat_of_one_slice_is_the_heat_of_its_plane_to_the_bit():
    raw = np.random.default_rng(1).normal(size=(6, 7))
    volume, plane = heatmap(raw[None], (2, 50, 60)).values, heatmap(raw, (50, 60)).values
    assert np.array_equal(volume[0], plane)
    assert np.array_equal(volume[1], plane)


def test_relu_comes_before_the_enlargement_of_a_volume_too():
    assert heatmap(np.array([-3.0, 1.0]).reshape(2, 1, 1), (4, 1, 1)).values.ravel().tolist() == [0, 0.25, 0.75, 1]


@pytest.mark.parametrize("shape", [(4,), (2, 2, 2)])
def test_a_value_that_is_not_finite_makes_nothing_of_a_map_paintable(shape):
    raw = np.ones(shape)
    raw.flat[1] = np.nan
    heat = heatmap(raw, tuple(2 * length for length in shape))
    assert heat.nonfinite == 1
    assert not heat.drawable
    assert np.isnan(heat.values).all()


@pytest.mark.parametrize(("shape", "size"), [((3,), (4, 4)), ((2, 3, 3), (4, 4)), ((3, 3), (4,)), ((3, 3), (0, 4))])
def test_a_size_with_other_axes_than_the_map_is_refused(shape, size):
    for derive in (heatmap, resize):
        with pytest.raises(RenderError) as caught:
            derive(np.ones(shape), size)
        assert caught.value.code == "SW-R04"


def test_a_window_of_a_signal_lands_where_it_was_cut():
    # the input is samples 2 to 5 of 8, at the recording's own rate
    placed, seen = place_on_original(np.array([1.0, 2.0, 3.0]), Geometry((8,), (3,), (1.0,), (2.0,)))
    assert placed.tolist() == [0, 0, 1, 2, 3, 0, 0, 0]
    assert np.flatnonzero(seen).tolist() == [2, 3, 4]


def test_a_crop_of_a_volume_lands_where_it_was_cut():
    heat = np.arange(1.0, 13.0).reshape(2, 3, 2)
    placed, seen = place_on_original(heat, Geometry((4, 5, 3), (2, 3, 2), (1.0,) * 3, (1.0, 2.0, 0.0)), outside=-1.0)
    assert np.array_equal(placed[1:3, 2:5, 0:2], heat)
    assert seen.sum() == 12
    assert (placed[~seen] == -1).all()


def test_a_geometry_of_another_rank_is_refused():
    with pytest.raises(RenderError) as caught:
        place_on_original(np.zeros((3, 3)), Geometry.identity((3, 3, 3)))
    assert caught.value.code == "SW-R07"
