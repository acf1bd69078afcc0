"""A signal's line carries its evidence: the right colour at the right time, nothing lost, nothing invented."""

import numpy as np
import pytest

from seewhy.render import NEUTRAL, RenderError, overlay
from seewhy.render.picture import WARNING
from seewhy.render.signals import signal_picture, signal_plot
from seewhy.render.time_axis import round_step, ticks
from seewhy.render.traces import BARE, PADDING, THICK, RowLook, column_evidence, signal_row, trace_coverage

HEIGHT, WIDTH = 60, 300
FLAT = np.zeros(WIDTH)
"""A flat line of one sample per pixel."""


def look(style="line", colormap="jet", alpha=1.0, diverging=False, grid=()):
    return RowLook(style, colormap, alpha, diverging, HEIGHT, WIDTH, grid)


def covered_rows(signal, bounds, thickness=THICK):
    """For each column the first and the last row that the line touches, -1 where there is no line."""
    touched = trace_coverage(signal, bounds, HEIGHT, WIDTH, thickness) > 0
    first = np.where(touched.any(axis=0), touched.argmax(axis=0), -1)
    last = np.where(touched.any(axis=0), HEIGHT - 1 - touched[::-1].argmax(axis=0), -1)
    return first, last


def test_a_flat_line_is_as_thick_as_asked_in_the_middle_of_its_row():
    coverage = trace_coverage(FLAT, (0.0, 0.0), HEIGHT, WIDTH, 2.5).astype(float) / 255
    inner = coverage[:, 5:-5]
    assert np.allclose(inner.sum(axis=0), 2.5, atol=0.01)
    centre = (inner * (np.arange(HEIGHT) + 0.5)[:, None]).sum(axis=0) / inner.sum(axis=0)
    assert np.allclose(centre, HEIGHT / 2, atol=0.2)


def test_the_lowest_and_the_highest_value_keep_their_margin():
    square = np.where(np.arange(WIDTH) < WIDTH // 2, -2.0, 3.0)
    first, last = covered_rows(square, (-2.0, 3.0))
    top, bottom = HEIGHT * PADDING, HEIGHT * (1 - PADDING)
    assert abs((first[200] + last[200] + 1) / 2 - top) < 1
    assert abs((first[50] + last[50] + 1) / 2 - bottom) < 1


def test_sample_and_column_have_the_same_place():
    steps = np.repeat([0.0, 1.0, 0.0], [40, 1, 59])
    first, _ = covered_rows(steps, (0.0, 1.0))
    # sample 40 of 100 stands at 40.5 % of 300 pixels
    assert abs(float(np.flatnonzero(first == first[first >= 0].min()).mean()) + 0.5 - 121.5) <= 1


@pytest.mark.parametrize("length", [WIDTH, 20 * WIDTH])
def test_values_that_are_not_finite_leave_a_gap(length):
    signal = np.zeros(length)
    signal[length // 3 : length // 2] = np.nan
    signal[length * 3 // 4] = np.inf
    first, _ = covered_rows(signal, (0.0, 0.0))
    assert (first[WIDTH // 3 + 3 : WIDTH // 2 - 3] == -1).all()
    assert (first[5 : WIDTH // 3 - 3] >= 0).all()


def test_a_spike_of_one_sample_in_a_long_recording_is_drawn():
    signal = np.zeros(200_000)
    signal[123_456] = 1.0
    first, last = covered_rows(signal, (0.0, 1.0))
    column = 123_456 * WIDTH // 200_000
    assert abs(first[column] + THICK / 2 - HEIGHT * PADDING) < 1.5
    assert last[column] > HEIGHT * (1 - PADDING) - 1
    assert (first[: column - 2] > HEIGHT / 2).all()


@pytest.mark.parametrize("colormap", ["jet", "turbo", "inferno"])
def test_the_line_has_the_overlays_colour_along_its_length(colormap):
    heat = np.linspace(0, 1, WIDTH)
    row = signal_row(FLAT, (0.0, 0.0), heat, look(colormap=colormap))
    expected = overlay(np.full((1, WIDTH, 3), BARE, np.uint8), heat[None], colormap, 1.0)
    assert np.array_equal(row[HEIGHT // 2, 5:-5], expected[0, 5:-5])


def test_more_evidence_is_a_later_colour():
    row = signal_row(FLAT, (0.0, 0.0), np.linspace(0.25, 1, WIDTH), look(colormap="gray"))
    shades = row[HEIGHT // 2, 5:-5, 0].astype(int)
    assert (np.diff(shades) >= 0).all()
    assert shades[-1] - shades[0] > 150


@pytest.mark.parametrize("style", ["line", "band"])
@pytest.mark.parametrize("diverging", [False, True])
def test_no_evidence_is_no_colour(style, diverging):
    neutral = np.full(WIDTH, NEUTRAL["diverging" if diverging else "positive"])
    drawn = look(style, "rdbu_r" if diverging else "jet", 1.0, diverging)
    bare = look(style, drawn.colormap, 0.0, diverging)
    signal = np.sin(np.arange(WIDTH) / 9)
    row = signal_row(signal, (-1.0, 1.0), neutral, drawn)
    assert np.array_equal(row, signal_row(signal, (-1.0, 1.0), neutral, bare))
    assert not np.array_equal(row, signal_row(signal, (-1.0, 1.0), np.ones(WIDTH), drawn))


def test_a_band_fills_the_height_behind_the_line():
    heat = np.zeros(WIDTH)
    heat[100:200] = 1.0
    row = signal_row(FLAT, (0.0, 0.0), heat, look("band", alpha=0.5))
    full = overlay(np.full((1, 1, 3), 255, np.uint8), np.ones((1, 1)), "jet", 0.5)[0, 0]
    assert (row[:20, 101:199] == full).all()
    assert (row[:20, :99] == 255).all()


def test_the_strongest_evidence_of_a_column_survives():
    heat = np.zeros(10 * WIDTH)
    heat[1234] = 0.9
    columns = column_evidence(heat, WIDTH)
    assert columns[123] == np.float32(0.9)
    assert np.count_nonzero(columns) == 1


def test_of_signed_evidence_the_farthest_from_zero_survives():
    heat = np.array([0.5, 0.1, 0.6, 0.5, 0.5, 0.8, 0.45, 0.5])
    assert column_evidence(heat, 2, neutral=0.5).tolist() == [np.float32(0.1), np.float32(0.8)]


def test_evidence_against_shows_where_a_column_holds_many_samples():
    heat = np.full(10 * WIDTH, 0.5)
    heat[1500] = 0.0
    row = signal_row(np.zeros(10 * WIDTH), (0.0, 0.0), heat, look(colormap="rdbu_r", diverging=True))
    middle = row[HEIGHT // 2]
    expected = overlay(np.full((1, 1, 3), BARE, np.uint8), np.zeros((1, 1)), "rdbu_r", 1.0, diverging=True)[0, 0]
    assert (middle[150] == expected).all()
    assert (middle[[100, 149, 151, 200]] == BARE).all()


def test_between_samples_the_evidence_is_their_line():
    assert column_evidence(np.array([0.0, 1.0]), 4).tolist() == [0.0, 0.25, 0.75, 1.0]


@pytest.mark.parametrize(
    ("samples", "rate", "width", "expected"),
    [
        (2500, 500.0, 500, {0: "0", 100: "1", 200: "2", 300: "3", 400: "4"}),
        (1000, 500.0, 400, {0: "0.0", 100: "0.5", 200: "1.0", 300: "1.5"}),
        (300, None, 300, {0: "0", 100: "100", 200: "200"}),
        (3, None, 300, {50: "0", 150: "1", 250: "2"}),
        (1, None, 300, {150: "0"}),
        (7200, 1.0, 400, {0: "0", 111: "2000", 222: "4000", 333: "6000"}),
    ],
)
def test_ticks_are_round_and_stand_where_their_sample_is(samples, rate, width, expected):
    assert ticks(samples, rate, width) == expected


@pytest.mark.parametrize("least", [3e-7, 0.012, 0.5, 1.0, 19.9, 7e8])
def test_a_round_step_is_the_next_of_one_two_five(least):
    step = round_step(least)
    digits = f"{step:e}".split("e")[0].rstrip("0").rstrip(".")
    assert digits in {"1", "2", "5"}
    assert least <= step < 2.5 * least


def plot_colours(page):
    """Where the page is clearly coloured, neither grey nor ink."""
    return np.ptp(page.astype(int), axis=2) > 60


def test_evidence_of_one_lead_colours_that_lead_alone():
    heat = np.zeros((3, 400))
    heat[1, 100:200] = 1.0
    signal = np.tile(np.sin(np.arange(400) / 20), (3, 1))
    page = signal_plot(signal, heat)
    rows = plot_colours(page)[20 : 20 + 3 * 160].reshape(3, 160, -1).any(axis=(1, 2))
    assert rows.tolist() == [False, True, False]


def test_evidence_for_all_leads_colours_the_same_columns_of_each():
    signal = np.random.default_rng(0).normal(size=(3, 400))
    heat = np.zeros(400)
    heat[100:200] = 1.0
    rows = plot_colours(signal_plot(signal, heat, style="band"))[20 : 20 + 3 * 160].reshape(3, 160, -1).any(axis=1)
    assert rows.any()
    assert np.array_equal(rows[0], rows[1])
    assert np.array_equal(rows[0], rows[2])


def test_with_a_shared_range_a_smaller_lead_looks_smaller():
    wave = np.sin(np.arange(400) / 20)
    signal = np.stack([wave, 4 * wave])
    heights = {}
    for shared in (False, True):
        page = signal_plot(signal, np.ones(400), shared_range=shared)
        rows = plot_colours(page)[20 : 20 + 2 * 160].reshape(2, 160, -1).any(axis=2)
        heights[shared] = [int(np.ptp(np.flatnonzero(row))) for row in rows]
    assert abs(heights[False][0] - heights[False][1]) <= 2
    assert abs(heights[True][1] - 4 * heights[True][0]) <= 4 * 2 * THICK


def test_a_raw_map_is_enlarged_to_the_signal_and_scaled_by_its_peak():
    signal = np.random.default_rng(0).normal(size=(2, 800))
    raw = np.array([0.0, 8.0, 2.0, -4.0])
    heat = np.interp((np.arange(800) + 0.5) / 200 - 0.5, np.arange(4), [0.0, 1.0, 0.25, 0.0])
    assert np.array_equal(
        signal_picture(signal, raw, title="x"), signal_plot(signal, heat.astype(np.float32), title="x", reference=8.0)
    )


def test_a_raw_map_for_each_lead_is_enlarged_along_time_alone():
    signal = np.random.default_rng(0).normal(size=(2, 80))
    raw = np.array([[0.0, 2.0], [4.0, 4.0]])
    heat = np.stack([np.interp((np.arange(80) + 0.5) / 40 - 0.5, [0, 1], ends) for ends in ([0.0, 0.5], [1.0, 1.0])])
    assert np.array_equal(signal_picture(signal, raw), signal_plot(signal, heat, reference=4.0))


def test_a_signed_raw_map_keeps_both_signs():
    signal = np.zeros((1, 900))
    page = signal_picture(signal, np.array([-1.0, 0.0, 1.0]), signed=True).astype(int)[20 : 20 + 160]
    excess = (page[..., 0] - page[..., 2]).sum(axis=0)
    assert excess[: page.shape[1] // 3].sum() < -1000
    assert excess[-page.shape[1] // 3 :].sum() > 1000


@pytest.mark.parametrize(
    ("raw", "signed"),
    [
        (np.zeros(5), False),
        (-np.ones(5), False),
        (np.full(5, np.nan), False),
        (np.zeros(5), True),
        (np.array([1.0, np.inf]), True),
    ],
)
def test_what_cannot_be_drawn_leaves_bare_lines_and_a_warning(raw, signed):
    signal = np.random.default_rng(0).normal(size=(2, 300))
    page = signal_picture(signal, raw, signed=signed)
    warned = (page == np.array(WARNING)).all(axis=2)
    assert warned.any()
    assert not plot_colours(page)[: int(np.flatnonzero(warned.any(axis=1)).min()) - 10].any()


def test_a_lead_without_one_finite_value_is_an_empty_row():
    signal = np.stack([np.full(300, np.nan), np.sin(np.arange(300) / 9)])
    rows = plot_colours(signal_plot(signal, np.ones(300), shared_range=True))[20 : 20 + 2 * 160].reshape(2, 160, -1)
    assert rows.any(axis=(1, 2)).tolist() == [False, True]


ONES = np.ones((2, 50))


@pytest.mark.parametrize(
    ("signal", "heat", "settings", "code"),
    [
        (np.ones(50), np.ones(50), {}, "SW-R36"),
        (np.ones((0, 50)), np.ones(50), {}, "SW-R36"),
        (np.array([["a"]]), np.ones(1), {}, "SW-R36"),
        (ONES, np.ones(49), {}, "SW-R37"),
        (ONES, np.ones((3, 50)), {}, "SW-R37"),
        (ONES, ONES, {"leads": ["I"]}, "SW-R37"),
        (ONES, ONES * np.nan, {}, "SW-R02"),
        (ONES, ONES, {"sampling_rate": 0.0}, "SW-R38"),
        (ONES, ONES, {"sampling_rate": float("inf")}, "SW-R38"),
        (ONES, ONES, {"style": "lines"}, "SW-R39"),
        (ONES, ONES, {"width": 220}, "SW-R39"),
        (ONES, ONES, {"alpha": -0.1}, "SW-R05"),
        (ONES, ONES, {"colormap": "jett"}, "SW-R01"),
    ],
)
def test_each_wrong_argument_has_its_code(signal, heat, settings, code):
    with pytest.raises(RenderError) as caught:
        signal_plot(signal, heat, **settings)
    assert caught.value.code == code


def test_a_map_of_three_axes_is_no_map_of_a_signal():
    with pytest.raises(RenderError) as caught:
        signal_picture(ONES, np.ones((1, 2, 5)))
    assert caught.value.code == "SW-R04"
