"""A heat map has a fixed zero and a declared divisor, and says what it could not show."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seewhy.render import NEUTRAL, RenderError, heatmap, place_on_original
from seewhy.values import Geometry

RAW = np.array([[-4.0, 0.0], [1.0, 2.0]])


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        ("positive", [[0.0, 0.0], [0.5, 1.0]]),
        ("magnitude", [[1.0, 0.0], [0.25, 0.5]]),
        ("diverging", [[0.0, 0.5], [0.625, 0.75]]),
    ],
)
def test_each_scale_by_hand(scale, expected):
    heat = heatmap(RAW, scale=scale)
    assert heat.values.tolist() == expected
    assert (heat.low, heat.high) == (-4.0, 2.0)
    assert heat.drawable


def test_never_min_max_a_constant_positive_map_is_full_and_its_floor_is_not_pulled_to_zero():
    assert heatmap(np.full((2, 2), 5.0)).values.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert heatmap(np.array([[3.0, 4.0]])).values.tolist() == [[0.75, 1.0]]


@given(
    arrays(np.float64, (3, 4), elements=st.floats(-100, 100)), st.sampled_from(["positive", "magnitude", "diverging"])
)
def test_a_power_of_two_changes_no_value(raw, scale):
    assert np.array_equal(heatmap(raw, scale=scale).values, heatmap(raw * 8, scale=scale).values)


@pytest.mark.parametrize("raw", [np.zeros((3, 3)), np.full((3, 3), -2.0)])
def test_a_map_without_positive_evidence_is_zero_and_says_so(raw):
    heat = heatmap(raw, (6, 6))
    assert heat.zero
    assert not heat.drawable
    assert not heat.values.any()


def test_a_zero_map_on_the_diverging_scale_is_neutral():
    heat = heatmap(np.zeros((2, 2)), scale="diverging")
    assert heat.zero
    assert np.all(heat.values == NEUTRAL["diverging"])


def test_noise_under_the_floor_is_not_stretched_to_full_colour():
    noise = np.array([[1e-15, -2e-15]])
    assert heatmap(noise, floor=1e-12).values.tolist() == [[0.0, 0.0]]
    assert heatmap(noise).values.max() == 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_counted_and_nothing_is_paintable(bad):
    heat = heatmap(np.array([[bad, 1.0], [3.0, bad]]), (4, 4))
    assert heat.nonfinite == 2
    assert (heat.low, heat.high) == (1.0, 3.0)
    assert not heat.drawable
    assert np.isnan(heat.values).all()


def test_a_map_of_nothing_but_nan_is_reported_too():
    heat = heatmap(np.full((2, 3), np.nan))
    assert heat.nonfinite == 6
    assert not heat.zero


def test_relu_comes_before_the_enlargement():
    # enlarging first would let the negative cell pull the pixels beside it down: 0.75 * 1 - 0.25 * 3 = 0
    assert heatmap(np.array([[-3.0, 1.0]]), (1, 4)).values.tolist() == [[0.0, 0.25, 0.75, 1.0]]


def test_the_divisor_is_the_native_peak_at_every_size():
    raw = np.array([[0.0, 4.0, 0.0]])
    # six pixels read the peak's cell a quarter of a cell off its centre: 3/4 of the peak, not stretched to 1
    assert heatmap(raw, (1, 6)).values.max() == 0.75
    assert heatmap(raw, (1, 9)).values.max() == 1.0


def test_a_shared_reference_makes_maps_comparable_and_clips_above():
    weak, strong = (heatmap(np.array([[peak]]), reference=4.0).values.item() for peak in (1.0, 8.0))
    assert (weak, strong) == (0.25, 1.0)


@pytest.mark.parametrize("reference", [0.0, -1.0, np.nan, np.inf])
def test_a_reference_that_cannot_divide_is_refused(reference):
    with pytest.raises(RenderError) as caught:
        heatmap(RAW, reference=reference)
    assert caught.value.code == "SW-R06"


@pytest.mark.parametrize("raw", [np.zeros(()), np.zeros((0, 3)), np.array([["a"]])])
def test_what_is_not_one_map_is_refused(raw):
    with pytest.raises(RenderError) as caught:
        heatmap(raw)
    assert caught.value.code == "SW-R04"


def test_extreme_magnitudes_keep_their_shape():
    for unit in (1e-300, 1e300):
        assert heatmap(np.array([[1.0, 2.0]]) * unit).values.tolist() == [[0.5, 1.0]]
    # a quotient beyond the largest float would overflow before the clip
    assert heatmap(np.array([[-1e300, 1e-300]])).values.tolist() == [[0.0, 1.0]]


def test_on_the_original_an_identity_changes_nothing():
    heat = np.random.default_rng(0).random((5, 7)).astype(np.float32)
    placed, seen = place_on_original(heat, Geometry.identity((5, 7)))
    assert np.array_equal(placed, heat)
    assert seen.all()


def test_on_the_original_a_crop_lands_in_its_window_and_the_rest_is_unseen():
    heat = np.arange(1.0, 7.0, dtype=np.float32).reshape(2, 3) / 6
    placed, seen = place_on_original(heat, Geometry((5, 6), (2, 3), (1.0, 1.0), (2.0, 1.0)))
    expected = np.zeros((5, 6), np.float32)
    expected[2:4, 1:4] = heat
    assert np.array_equal(placed, expected)
    assert np.array_equal(seen, expected > 0)


def test_outside_the_crop_a_diverging_map_is_neutral():
    placed, seen = place_on_original(np.ones((1, 1)), Geometry((1, 3), (1, 1), (1.0, 1.0), (0.0, 1.0)), outside=0.5)
    assert placed.tolist() == [[0.5, 1.0, 0.5]]
    assert seen.tolist() == [[False, True, False]]


def test_padding_of_the_input_is_left_behind():
    # a 2x2 original in the middle of a 4x4 input: offset -1 on both axes
    heat = np.arange(16.0).reshape(4, 4) / 16
    placed, seen = place_on_original(heat, Geometry((2, 2), (4, 4), (1.0, 1.0), (-1.0, -1.0)))
    assert np.array_equal(placed, heat[1:3, 1:3])
    assert seen.all()


@given(
    st.tuples(st.integers(40, 120), st.integers(40, 120)),
    st.floats(0.4, 2.5),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_bright_square_lands_where_it_was(original, scale, crop, place):
    """A 6x6 square seen through resize and crop comes back to its centre within a pixel."""
    whole = [round(length * scale) for length in original]
    exact = tuple(after / before for after, before in zip(whole, original, strict=True))
    size = tuple(int(length * 0.8) for length in whole)
    offset = tuple(float(round((w - s) * c)) for w, s, c in zip(whole, size, crop, strict=True))
    geometry = Geometry(original, size, exact, offset)
    seen_from = geometry.to_original((0, 0))
    seen_to = geometry.to_original(size)
    centre = [a + 6 + (b - a - 12) * p for a, b, p in zip(seen_from, seen_to, place, strict=True)]
    start = geometry.to_input([c - 3 for c in centre])
    stop = geometry.to_input([c + 3 for c in centre])
    cover = [
        (np.minimum(np.arange(n) + 1, b) - np.maximum(np.arange(n), a)).clip(0, 1)
        for n, a, b in zip(size, start, stop, strict=True)
    ]
    placed, _ = place_on_original(np.multiply.outer(*cover), geometry)
    grids = np.meshgrid(*[np.arange(n) + 0.5 for n in original], indexing="ij")
    found = [float((grid * placed).sum() / placed.sum()) for grid in grids]
    assert max(abs(a - b) for a, b in zip(found, centre, strict=True)) < 1


def test_a_heat_map_of_another_size_than_the_input_is_refused():
    with pytest.raises(RenderError) as caught:
        place_on_original(np.zeros((3, 3)), Geometry.identity((4, 4)))
    assert caught.value.code == "SW-R07"
