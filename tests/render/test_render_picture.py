"""The written picture shows the overlay where the map says, and says so where there is nothing to show."""

import numpy as np
import pytest
from PIL import Image

from seewhy.render import RenderError, heatmap, overlay, overlay_picture
from seewhy.render.layout import LONGEST, readable
from seewhy.render.picture import SHORTEST, WARNING, why_not_drawn


def grey(height, width, level=90):
    return np.full((height, width, 3), level, np.uint8)


def contains(page, part):
    """Whether ``part`` lies on ``page`` pixel for pixel, looked for at every place."""
    height, width = part.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(page, (height, width), axis=(0, 1))
    tops, lefts = np.nonzero((windows[..., 0, 0] == part[0, 0]).all(axis=-1))
    return any(
        np.array_equal(page[top : top + height, left : left + width], part)
        for top, left in zip(tops[:2000], lefts[:2000], strict=True)
    )


def has_colour(page):
    """Pixels whose channels differ by more than the warm grey of the text."""
    return np.ptp(page.astype(int), axis=-1) > 40


def test_the_overlay_lies_on_the_page_pixel_for_pixel():
    picture = np.random.default_rng(0).integers(0, 256, (230, 240, 3), dtype=np.uint8)
    raw = np.random.default_rng(1).normal(size=(7, 7))
    page = overlay_picture(picture, raw, title="record", caption="cat · 97 %", colormap="jet", alpha=0.4)
    assert contains(page, overlay(picture, heatmap(raw, (230, 240)).values, "jet", 0.4))


def test_signed_maps_use_the_diverging_scale():
    picture, raw = grey(224, 224), np.array([[-2.0, 0.0, 1.0]])
    page = overlay_picture(picture, raw, signed=True, legend=False)
    heat = heatmap(raw, (224, 224), scale="diverging").values
    assert contains(page, overlay(picture, heat, "rdbu_r", 0.5, diverging=True))


def test_the_peak_is_drawn_where_it_is():
    raw = np.zeros((8, 8))
    raw[6, 1] = 3.0
    page = overlay_picture(grey(256, 256), raw, legend=False)
    margin = (page.shape[1] - 256) // 2
    rows, columns = np.nonzero(has_colour(page))
    # cell (6, 1) of eight covers pixels 192 to 224 and 32 to 64
    assert abs(rows.mean() - margin - 207.5) <= 1
    assert abs(columns.mean() - margin - 47.5) <= 1


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("legend", [False, True])
@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_map_that_cannot_be_shown_leaves_the_bare_picture_and_a_warning(signed, legend, value):
    picture = np.random.default_rng(0).integers(60, 70, (224, 224, 3), dtype=np.uint8)
    page = overlay_picture(picture, np.full((4, 4), value), title="record", signed=signed, legend=legend)
    assert contains(page, picture)
    assert (page == np.array(WARNING)).all(axis=-1).any()


def test_the_warning_says_what_is_wrong():
    assert why_not_drawn(heatmap(np.array([[-1.0]]))) == "no positive evidence"
    assert why_not_drawn(heatmap(np.array([[0.0]]), scale="diverging")) == "no evidence: the map is zero"
    assert why_not_drawn(heatmap(np.array([[np.nan, 1.0]]))) == "not drawn: 1 value is not finite"
    assert why_not_drawn(heatmap(np.array([[np.nan, np.inf]]))) == "not drawn: 2 values are not finite"


def test_the_legend_carries_the_whole_scale_in_the_pictures_own_colours():
    page = overlay_picture(grey(224, 224, 128), np.array([[1.0]]), colormap="viridis", alpha=1.0)
    bottom = page[-45:]
    strongest = overlay(grey(1, 1, 128), np.array([[1.0]]), "viridis", 1.0)[0, 0]
    weakest = overlay(grey(1, 1, 128), np.array([[0.0]]), "viridis", 1.0)[0, 0]
    columns = [int(np.nonzero((bottom == colour).all(axis=-1))[1].mean()) for colour in (weakest, strongest)]
    assert columns[0] < 40
    assert columns[1] > 180


def test_without_words_and_legend_only_the_picture_and_its_margin_remain():
    page = overlay_picture(grey(224, 300), np.array([[1.0]]), legend=False)
    margin = (page.shape[1] - 300) // 2
    assert page.shape == (224 + 2 * margin, 300 + 2 * margin, 3)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((64, 64), (256, 256)),
        ((224, 500), (224, 500)),
        ((100, 60), (400, 240)),
        ((1, 2000), (2, 4000)),
        ((1, 9000), (1, 4096)),
    ],
)
def test_small_pictures_are_enlarged_by_a_whole_factor_and_none_passes_the_limit(size, shown):
    assert readable(grey(*size), SHORTEST).shape[:2] == shown
    assert max(shown) <= LONGEST


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 224)])
def test_extreme_shapes_are_drawn(size):
    page = overlay_picture(grey(*size), np.array([[1.0, 2.0]]), title="a long record name " * 5, caption="x", alpha=1.0)
    assert has_colour(page).any()
    assert page.shape[1] >= SHORTEST


def test_a_record_id_of_any_length_does_not_widen_the_page():
    short = overlay_picture(grey(224, 224), np.array([[1.0]]), title="a")
    long = overlay_picture(grey(224, 224), np.array([[1.0]]), title="patient_" * 60)
    assert long.shape == short.shape


def test_equal_inputs_give_equal_pixels():
    raw = np.random.default_rng(0).normal(size=(7, 7))
    first, second = (overlay_picture(grey(64, 64), raw, title="id", caption="c") for _ in range(2))
    assert np.array_equal(first, second)


def test_a_small_picture_keeps_its_own_look():
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    page = overlay_picture(picture, np.zeros((2, 2)))
    enlarged = np.asarray(Image.fromarray(picture).resize((256, 256), Image.Resampling.LANCZOS))
    assert contains(page, enlarged)


def test_an_unknown_colour_map_is_refused_even_where_nothing_is_drawn():
    with pytest.raises(RenderError) as caught:
        overlay_picture(grey(8, 8), np.zeros((2, 2)), colormap="trubo")
    assert caught.value.near[0] == "turbo"
