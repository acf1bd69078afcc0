"""Law 8: a larger value is a later colour; and nothing but a number in [0, 1] is painted."""

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seewhy.render import RenderError, colorize, colormap, colormap_names

PERCEPTUAL = ("viridis", "magma", "inferno", "plasma", "cividis", "gray")


@pytest.mark.parametrize("name", sorted({*colormap_names()} - {"blackbody"}))
def test_tables_equal_matplotlibs_to_one_level(name):
    lookup = {known.casefold(): known for known in matplotlib.colormaps}
    theirs = matplotlib.colormaps[lookup[name]](np.arange(256))[:, :3] * 255
    assert np.abs(colormap(name) - theirs).max() <= 1


def test_blackbody_goes_through_the_colours_that_plotly_gives_it():
    places = np.rint(np.array([0, 0.2, 0.4, 1]) * 255).astype(int)
    assert colormap("Blackbody")[places].tolist() == [[0, 0, 0], [230, 0, 0], [230, 210, 0], [160, 200, 255]]


def test_every_scale_that_pictures_and_pages_were_promised_is_there():
    promised = "Viridis Plasma Inferno Cividis Hot Jet Rainbow RdBu RdYlGn Greys Blackbody"
    assert all(colormap(name).shape == (256, 3) for name in promised.split())


def luminance(name):
    linear = (colormap(name) / 255) ** 2.2
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("name", PERCEPTUAL)
def test_sequential_tables_grow_brighter(name):
    values = luminance(name)
    # neighbouring steps differ by less than 8-bit rounding in places, eight steps never do
    assert np.all(values[8:] > values[:-8])


def test_diverging_table_is_brightest_in_its_middle_and_ends_blue_and_red():
    values = luminance("rdbu_r")
    assert 120 <= int(values.argmax()) <= 135
    first, last = colormap("rdbu_r")[[0, 255]].astype(int)
    assert first[2] > 2 * first[0]
    assert last[0] > 2 * last[2]


@given(st.lists(st.floats(0, 1), min_size=2, max_size=40))
def test_a_larger_value_is_never_an_earlier_colour(values):
    ordered = np.sort(np.array(values))[None]
    steps = colorize(ordered, "gray")[0, :, 0].astype(int)
    assert np.all(np.diff(steps) >= 0)


def test_every_step_of_the_table_is_reached_in_order():
    ramp = (np.arange(256) / 255)[None]
    assert np.array_equal(colorize(ramp, "viridis")[0], colormap("viridis"))


def test_halves_round_to_the_even_step():
    halves = np.array([[0.5, 1.5, 2.5, 127.5]]) / 255
    assert colorize(halves, "gray")[0, :, 0].tolist() == [0, 2, 2, 128]


@pytest.mark.parametrize(("value", "nans"), [(np.nan, 1), (np.inf, 0), (-0.01, 0), (1.01, 0)])
def test_a_value_outside_the_scale_is_refused_with_its_count(value, nans):
    with pytest.raises(RenderError, match=f"1 of 4 .*\\({nans} are NaN\\)") as caught:
        colorize(np.array([[0.0, value], [0.5, 1.0]]))
    assert caught.value.code == "SW-R02"


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(RenderError) as caught:
        colormap("viridsi")
    assert caught.value.code == "SW-R01"
    assert caught.value.near[0] == "viridis"


def test_names_are_known_in_any_case():
    assert np.array_equal(colormap("RdBu_r"), colormap("rdbu_r"))


def test_tables_cannot_be_changed_by_a_caller():
    with pytest.raises(ValueError, match="read-only"):
        colormap("viridis")[0] = 0
