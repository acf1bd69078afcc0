"""Blending is integer arithmetic that can be done by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seewhy.render import RenderError, colormap, colormap_names, overlay
from seewhy.render.overlay import step_weights


def by_hand(pixel, step, name, alpha):
    """The documented formula in plain Python integers, for a step at or above the ramp's end."""
    weight = round(255 * alpha)
    return [
        (p * (255 - weight) + int(c) * weight + 127) // 255 for p, c in zip(pixel, colormap(name)[step], strict=True)
    ]


@pytest.mark.parametrize("alpha", [0.0, 0.4, 0.7, 1.0])
def test_a_pixel_equals_the_formula(alpha):
    picture = np.array([[[10, 200, 255], [0, 1, 127]]], np.uint8)
    drawn = overlay(picture, np.array([[1.0, 128 / 255]]), "jet", alpha)
    assert drawn[0].tolist() == [by_hand((10, 200, 255), 255, "jet", alpha), by_hand((0, 1, 127), 128, "jet", alpha)]


def test_on_the_ramp_the_weight_is_proportional():
    # step 32 of 64: half of alpha 0.4, so round(255 * 0.2) = 51 parts of 255, a fifth
    grey = np.full((1, 1, 3), 100, np.uint8)
    colour = colormap("turbo")[32].astype(int)
    expected = (100 * 204 + colour * 51 + 127) // 255
    assert overlay(grey, np.array([[32 / 255]]), "turbo", 0.4)[0, 0].tolist() == expected.tolist()


@given(arrays(np.uint8, (3, 4, 3)), st.sampled_from(colormap_names()), st.floats(0, 1))
def test_where_the_map_is_zero_the_picture_is_untouched(picture, name, alpha):
    assert np.array_equal(overlay(picture, np.zeros((3, 4)), name, alpha), picture)
    assert np.array_equal(overlay(picture, np.full((3, 4), 0.5), name, alpha, diverging=True), picture)


def test_full_weight_shows_the_table_and_no_weight_the_picture():
    picture = np.random.default_rng(0).integers(0, 256, (1, 192, 3), dtype=np.uint8)
    ramp = (np.arange(64, 256) / 255)[None]
    assert np.array_equal(overlay(picture, ramp, "viridis", 1.0)[0], colormap("viridis")[64:])
    assert np.array_equal(overlay(picture, ramp, "viridis", 0.0), picture)


def test_on_a_black_picture_a_larger_value_is_never_darker():
    ramp = (np.arange(256) / 255)[None]
    drawn = overlay(np.zeros((1, 256, 3), np.uint8), ramp, "gray", 0.5)[0, :, 0].astype(int)
    assert np.all(np.diff(drawn) >= 0)
    assert drawn[-1] == 128  # round(255 * 0.5) = 128 of 255 parts


def test_diverging_weights_are_symmetric_about_the_neutral_step():
    weights = step_weights(0.6, diverging=True).astype(int)
    assert weights[128] == 0
    assert np.array_equal(weights[1:128], weights[255:128:-1])
    assert weights[255] == weights[0] == 153


def test_the_inputs_are_not_changed():
    picture, heat = np.full((2, 2, 3), 9, np.uint8), np.ones((2, 2))
    overlay(picture, heat)
    assert np.all(picture == 9)
    assert np.all(heat == 1)


@pytest.mark.parametrize(
    ("picture", "heat", "alpha", "code"),
    [
        (np.zeros((2, 2, 3), np.uint8), np.full((2, 2), np.nan), 0.5, "SW-R02"),
        (np.zeros((2, 2, 3), np.float32), np.zeros((2, 2)), 0.5, "SW-R03"),
        (np.zeros((2, 2), np.uint8), np.zeros((2, 2)), 0.5, "SW-R03"),
        (np.zeros((2, 2, 3), np.uint8), np.zeros((1, 2, 2)), 0.5, "SW-R04"),
        (np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2)), 1.5, "SW-R05"),
        (np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2)), float("nan"), "SW-R05"),
        (np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3)), 0.5, "SW-R08"),
    ],
)
def test_each_misuse_has_its_code(picture, heat, alpha, code):
    with pytest.raises(RenderError) as caught:
        overlay(picture, heat, "jet", alpha)
    assert caught.value.code == code
