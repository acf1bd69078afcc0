"""A sheet of channels shows every channel once, on a scale that keeps zero, and says what it does not paint."""

import subprocess
import sys

import numpy as np
import pytest
from pixel_search import place_of, places_of

from seewhy.render import RenderError, colormap
from seewhy.render.channel_grid import columns_for, grid, sheet_page
from seewhy.render.channel_panels import BLANK, line_panel, map_panel, panel_size, wrapped
from seewhy.render.channel_sheet import channel_sheet, layer_sheet, middle_slices, signal_sheet
from seewhy.render.spatial_patterns import by_mean, over_channels, spatial_patterns
from seewhy.render.text import INK, QUIET, text_line, text_width
from seewhy.render.value_scale import ValueScale, paint, scale_of, scale_strip, short_number
from seewhy.render.vector_strip import DOWN, UP, bars, vector_strip

VIRIDIS = colormap("viridis")


def blocks(indices, factor):
    """The picture of colour indices, each cell a block, written without the code under test."""
    return VIRIDIS[np.kron(np.array(indices), np.ones((factor, factor), int))]


def distinct_maps(count, size=8):
    """Maps that differ from one another: each has one cell at 1 and one at a value of its own."""
    maps = np.zeros((count, size, size), np.float32)
    maps[:, 0, 0] = 1.0
    maps[np.arange(count), 1 + np.arange(count) // size % (size - 1), np.arange(count) % size] = 0.5
    return maps


def names(count):
    return [f"channel {index}" for index in range(count)]


def words(text, size=13, colour=QUIET):
    return text_line(text, text_width(text, size), size, colour)


def test_each_map_is_painted_on_its_own_scale_from_zero_to_its_peak():
    maps = np.array([[[0.0, 1.0], [2.0, 4.0]], [[0.0, 0.001], [0.002, 0.004]]])
    page = channel_sheet(maps, names(2), heading="layer1")
    panel = blocks([[0, 64], [128, 255]], 80)
    (top, left), (same_top, right) = places_of(page, panel)
    assert top == same_top
    assert right - left == 160 + 12


def test_zero_is_dark_although_no_value_is_near_it():
    page = channel_sheet(np.array([[[3.0, 4.0], [4.0, 4.0]]]), names(1), heading="layer1")
    place_of(page, blocks([[191, 255], [255, 255]], 80))


def test_negative_values_are_darker_than_zero_and_the_notch_stands_at_zero():
    scale = scale_of(np.array([-1.0, 0.0, 3.0]))
    assert scale.shares(np.array([-1.0, 0.0, 3.0])).tolist() == [0.0, 0.25, 1.0]
    strip = scale_strip(scale, 200, 13, "viridis")
    left = words("-1").shape[1] + 6
    right = 200 - words("3").shape[1] - 6
    notch = np.flatnonzero((strip[len(strip) // 2 - 4] == INK).all(axis=-1))
    assert abs(notch.mean() - (left + 0.25 * (right - left))) <= 1


def test_a_scale_without_negative_values_has_no_notch():
    strip = scale_strip(ValueScale(0.0, 3.0), 200, 13, "viridis")
    assert not (strip == INK).all(axis=-1).any()


def test_a_diverging_scale_puts_zero_in_the_middle():
    scale = scale_of(np.array([-1.0, 4.0]), diverging=True)
    assert scale.shares(np.array([-4.0, -1.0, 0.0, 4.0])).tolist() == [0.0, 0.375, 0.5, 1.0]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_both_precisions_give_the_same_colours(dtype):
    values = np.random.default_rng(0).normal(size=(20, 20)).astype(dtype)
    scale = scale_of(values)
    by_hand = (values.astype(float) - scale.low) / (scale.high - scale.low)
    np.testing.assert_allclose(scale.shares(values), by_hand, atol=2e-7)


@pytest.mark.parametrize("peak", [1e-44, 1e-38, 3e38])
def test_extreme_values_neither_overflow_nor_vanish(peak):
    values = np.array([-peak, 0.0, peak], np.float32)
    assert scale_of(values).shares(values).tolist() == [0.0, 0.5, 1.0]


def test_min_max_scaling_would_be_noticed():
    values = np.array([[3.0, 4.0]])
    broken = ValueScale(float(values.min()), float(values.max()))
    assert not np.array_equal(paint(values, broken, "viridis", 1, 2), paint(values, scale_of(values), "viridis", 1, 2))


def test_a_map_of_zeros_has_the_colour_of_zero_and_says_so():
    page = channel_sheet(np.zeros((1, 4, 4)), names(1), heading="layer1")
    place_of(page, blocks(np.zeros((4, 4), int), 40))
    place_of(page, words("all zero"))


def test_a_map_with_values_that_are_no_numbers_is_not_painted_and_counts_them():
    maps = np.ones((2, 4, 4))
    maps[1, 0, :2] = np.nan, np.inf
    page = channel_sheet(maps, names(2), heading="layer1")
    place_of(page, np.full((160, 160, 3), BLANK, np.uint8))
    place_of(page, words("2 not finite", colour=(178, 58, 30)))
    assert not any((np.array(BLANK) == row).all() for row in VIRIDIS)


def test_too_large_a_map_is_averaged_before_it_is_coloured():
    checks = np.indices((512, 512)).sum(axis=0) % 2 * 2.0
    painted = paint(checks, ValueScale(0.0, 2.0), "viridis", 256, 256)
    np.testing.assert_array_equal(painted, np.broadcast_to(VIRIDIS[128], (256, 256, 3)))


@pytest.mark.parametrize(
    ("count", "side", "columns"),
    [(1, 168, 1), (2, 168, 2), (3, 168, 3), (4, 168, 2), (5, 168, 3), (16, 168, 4), (40, 120, 8), (256, 96, 20)],
)
def test_any_number_of_channels_is_drawn_in_reading_order(count, side, columns):
    maps = distinct_maps(count, 24)
    page = channel_sheet(maps, names(count), heading="layer1")
    found = [place_of(page, blocks(np.rint(255 * values).astype(int), side // 24)) for values in maps]
    assert found == sorted(found)
    assert len({left for _, left in found}) == columns


@pytest.mark.parametrize("columns", [1, 3, 50])
def test_columns_can_be_chosen(columns):
    page = channel_sheet(distinct_maps(5), names(5), heading="", columns=columns)
    tops = [place_of(page, blocks(np.rint(255 * values).astype(int), 20))[0] for values in distinct_maps(5)]
    assert len(set(tops)) == -(-5 // min(columns, 5))


def test_maps_that_are_not_square_keep_their_proportions():
    assert panel_size(10, 20, 160) == (160, 320)
    assert panel_size(64, 4, 160) == (320, 20)
    assert panel_size(1000, 500, 160) == (320, 160)


def test_titles_and_heading_are_written_and_a_long_caption_takes_several_lines():
    caption = "Sequential of many blocks, of which this is the last, at the first time step of the second clip"
    page = channel_sheet(np.ones((1, 8, 8)), ["channel 7"], heading="layer1", caption=caption)
    place_of(page, words("channel 7", colour=INK))
    lines = wrapped(caption, page.shape[1] - 40, 14)
    assert len(lines) > 1
    for line in lines:
        place_of(page, words(line, 14))
    assert " ".join(lines) == caption


def test_a_volume_is_shown_by_its_middle_slice_and_says_which():
    volume = np.stack([np.full((1, 4, 4), value) for value in (1.0, 2.0, 3.0)], axis=1)
    volume[0, 1, 0, 0] = 0.0
    shown, note = middle_slices(volume)
    assert shown[0, 0].tolist() == [0.0, 2.0, 2.0, 2.0]
    page = layer_sheet(volume, names(1), heading="layer1", caption="Conv3d")
    plane = np.full((4, 4), 255)
    plane[0, 0] = 0
    place_of(page, blocks(plane, 40))
    place_of(page, words(f"Conv3d · {note}", 14))
    assert note == "slice 2 of 3"


def test_a_signal_is_a_line_within_its_range():
    line = np.array([0.0, 0.0, 8.0, 0.0])
    page = signal_sheet(line[None], names(1), heading="layer1")
    place_of(page, line_panel(line, "channel 0", ValueScale(0.0, 8.0), 160))
    place_of(page, words("0 to 8"))
    blue = np.argwhere((page == UP).all(axis=-1))
    peak = blue[blue[:, 0].argmin()]
    assert abs(peak[1] - (20 + 240 * 2.5 / 4)) <= 4


def test_a_gap_in_a_signal_is_counted():
    line = np.array([1.0, np.nan, 2.0, np.inf, 1.0])
    page = signal_sheet(line[None], names(1), heading="layer1")
    place_of(page, words("2 not finite", colour=(178, 58, 30)))


def test_bars_reach_from_zero_to_their_value():
    plot = bars(np.array([2.0, -1.0]), ValueScale(-2.0, 2.0), 100, 80)
    up, down = plot[:, 20], plot[:, 70]
    assert np.flatnonzero((up == UP).all(axis=-1)).tolist() == list(range(40))
    assert np.flatnonzero((down == DOWN).all(axis=-1)).tolist() == list(range(41, 60))
    assert not (down == UP).all(axis=-1).any()


def test_no_spike_is_lost_where_channels_share_a_column():
    values = np.zeros(10_000)
    values[5_001] = 7.0
    plot = bars(values, ValueScale(0.0, 7.0), 100, 50)
    columns = np.flatnonzero((plot == UP).all(axis=-1).any(axis=0))
    assert columns.tolist() == [50]


def test_a_short_vector_names_its_values_and_counts_zeros_and_gaps():
    page = vector_strip(np.array([0.5, 0.0, np.nan]), names(3), heading="fc")
    place_of(page, words("0.5"))
    place_of(page, words("3 channels, 1 exactly zero, 1 not finite"))
    place_of(page, words("not finite", colour=(178, 58, 30)))


def test_a_vector_of_zeros_has_no_bars():
    page = layer_sheet(np.zeros(100), names(100), heading="fc")
    assert not ((page == UP) | (page == DOWN)).all(axis=-1).any()
    place_of(page, words("100 channels, 100 exactly zero"))


def test_spatial_patterns_show_mean_deviation_and_the_channels_with_the_highest_means():
    maps = np.zeros((4, 2, 2))
    maps[0, 0, 0], maps[1, 0, 1], maps[2, 1], maps[3, 0, 1] = 8.0, 4.0, (8.0, 8.0), 4.0
    # over channels 8, 0, 0, 0 have mean 2 and deviation sqrt(12), 0, 4, 0, 4 mean 2 and deviation 2
    page = spatial_patterns(maps, heading="layer1", channels=2)
    assert len(places_of(page, blocks([[255, 255], [255, 255]], 88))) == 1
    place_of(page, blocks([[255, round(255 * 2 / 12**0.5)], [255, 255]], 88))
    first, second = blocks([[0, 0], [255, 255]], 88), blocks([[255, 0], [0, 0]], 88)
    assert place_of(page, first)[1] < place_of(page, second)[1]
    assert places_of(page, blocks([[0, 255], [0, 0]], 88)) == []
    place_of(page, words("channel 2 · mean 4", colour=INK))


def test_the_summary_over_channels_is_numpys():
    values = np.random.default_rng(0).normal(size=(30, 5, 7)).astype(np.float32)
    mean, spread = over_channels(values)
    np.testing.assert_allclose(mean, values.mean(0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(spread, values.std(0, dtype=np.float64), rtol=1e-12)
    sample = values.std(0, dtype=np.float64, ddof=1)
    assert np.abs(spread - sample).max() > 1e-3


def test_the_order_by_mean_keeps_signs_and_puts_what_is_no_number_last():
    assert by_mean(np.array([[-9.0, -9.0], [np.nan, 99.0], [1.0, 2.0], [1.0, 2.0]])) == [2, 3, 0, 1]


def test_spatial_patterns_of_a_signal_and_of_a_volume():
    signal = np.array([[0.0, 4.0, 0.0], [2.0, 2.0, 2.0]])
    page = spatial_patterns(signal, heading="layer1")
    place_of(page, line_panel(signal[1], "channel 1 · mean 2", ValueScale(0.0, 2.0), 176))
    volume = np.arange(24.0).reshape(2, 3, 2, 2)
    page = spatial_patterns(volume, heading="layer1")
    scale = ValueScale(0.0, 19.0)
    place_of(page, map_panel(volume[1, 1], "channel 1 · mean 17.5", scale, "viridis", 176, 176))


@pytest.mark.parametrize(
    ("panels", "proportion", "columns"),
    [(1, 1, 1), (2, 1, 2), (9, 1, 3), (10, 1, 4), (16, 1, 4), (64, 1, 8), (8, 2, 4)],
)
def test_a_grid_is_about_as_wide_as_high(panels, proportion, columns):
    assert columns_for(panels, proportion) == columns


def test_short_numbers_round_to_three_digits():
    assert [short_number(value) for value in (1.0, -2.3456, 1e-10, 123456.0)] == ["1", "-2.35", "1e-10", "1.23e5"]


def test_a_page_is_wide_enough_for_its_words():
    page = sheet_page(np.zeros((10, 10, 3), np.uint8), "heading", "", "note")
    assert page.shape[1] == 420 + 40
    assert place_of(page, np.zeros((10, 10, 3), np.uint8)) == (20 + 29 + 12, 20)


@pytest.mark.parametrize(
    ("draw", "code"),
    [
        (lambda: channel_sheet(np.zeros((0, 4, 4)), [], heading=""), "SW-R51"),
        (lambda: channel_sheet(np.zeros((4, 4)), names(4), heading=""), "SW-R51"),
        (lambda: channel_sheet(np.zeros((1, 4, 4), complex), names(1), heading=""), "SW-R51"),
        (lambda: layer_sheet(np.zeros((1, 2, 2, 2, 2)), names(1), heading=""), "SW-R51"),
        (lambda: layer_sheet(np.array(1.0), [], heading=""), "SW-R51"),
        (lambda: vector_strip(np.zeros(0), heading=""), "SW-R51"),
        (lambda: channel_sheet(np.zeros((2, 4, 4)), names(3), heading=""), "SW-R52"),
        (lambda: signal_sheet(np.zeros((2, 4)), names(1), heading=""), "SW-R52"),
        (lambda: vector_strip(np.zeros(2), names(1), heading=""), "SW-R52"),
        (lambda: grid([np.zeros((2, 2, 3), np.uint8)], 0), "SW-R53"),
        (lambda: spatial_patterns(np.zeros(4), heading=""), "SW-R54"),
        (lambda: spatial_patterns(np.zeros((4, 2, 2)), heading="", channels=0), "SW-R54"),
        (lambda: channel_sheet(np.zeros((1, 4, 4)), names(1), heading="", colormap="virids"), "SW-R01"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, code):
    with pytest.raises(RenderError) as caught:
        draw()
    assert caught.value.code == code


DRAW = """
import sys
import numpy as np
from seewhy.render.channel_sheet import layer_sheet
from seewhy.render.excited_sheet import ExcitedChannel, ExcitedRecord, excited_sheet
from seewhy.render.feature_comparison import feature_comparison
from seewhy.render.receptive_field_figure import receptive_field_figure
from seewhy.render.spatial_patterns import spatial_patterns

picture, values = np.zeros((32, 32, 3), np.uint8), np.eye(4)
for shape in ((3,), (3, 4), (3, 4, 4), (3, 2, 4, 4)):
    layer_sheet(np.ones(shape), ["a", "b", "c"], heading="layer")
spatial_patterns(np.ones((3, 4, 4)), heading="layer")
feature_comparison(values, values, values * 0, heading="layer")
excited_sheet([ExcitedChannel("0", [ExcitedRecord(picture, values, "a", 1.0)])], heading="layer")
receptive_field_figure(picture, {"gradient": values}, position=(3, 3), heading="layer")
print(*{name.split(".")[0] for name in sys.modules} & {"torch", "matplotlib", "scipy", "pandas"})
from seewhy.render.plots_distribution import distribution_figure
from seewhy.render.plots_layers import MEAN, layer_comparison_figure
distribution_figure(values, title="layer")
layer_comparison_figure({"layer": {"mean": 1.0}}, [MEAN])
print(*{"matplotlib.pyplot", "torch"} & set(sys.modules))
"""


def test_pictures_need_no_plotting_library_and_figures_no_pyplot():
    path = [entry for entry in sys.path if entry]
    program = f"import sys\nsys.path[:0] = {path!r}\n{DRAW}"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
