"""Masks keep every class and its colour; uncertainty is drawn on a scale that is the same for every image."""

import colorsys
import math

import numpy as np
import pytest

from seewhy.render import RenderError, overlay, resize
from seewhy.render.palette import CLASSES, PALETTE, class_colours
from seewhy.render.segmentation_figure import segmentation_figure, uncertainty_scale
from seewhy.render.segments import class_key, class_name, classes_at, mask_overlay
from seewhy.render.text import INK, QUIET, line_height, text_line

MARGIN, GAP = 24, 14


def grey(height, width, level=100):
    return np.full((height, width, 3), level, np.uint8)


def tinted(level, colour, alpha=0.5):
    """The documented blend of one channel level with a colour."""
    weight = round(255 * alpha)
    return [(level * (255 - weight) + channel * weight + 127) // 255 for channel in colour]


def test_two_thousand_classes_have_two_thousand_colours():
    assert len(np.unique(class_colours(np.arange(2000)), axis=0)) == 2000


def test_a_class_keeps_its_colour_whatever_the_other_classes():
    assert class_colours(np.array([[300, 1]]))[0, 0].tolist() == class_colours(np.array(300)).tolist()
    assert class_colours(np.arange(21)).tolist() == [list(colour) for colour in CLASSES]
    assert CLASSES[:7] == PALETTE


def test_later_colours_are_hues_a_golden_turn_apart():
    for index in (21, 100, 999):
        hue = index * (math.sqrt(5) - 1) / 2 % 1
        expected = colorsys.hsv_to_rgb(hue, (0.85, 0.5, 0.7)[index % 3], (0.95, 0.65, 0.8, 0.5)[index % 4])
        assert class_colours(np.array(index)).tolist() == [round(255 * channel) for channel in expected]


def test_a_mask_tints_regions_and_draws_their_borders_in_full():
    mask = np.zeros((4, 6), int)
    mask[:, 3:] = 300
    shown = mask_overlay(grey(4, 6), mask)
    left, right = CLASSES[0], class_colours(np.array(300)).tolist()
    assert shown[:, :2].tolist() == [[tinted(100, left)] * 2] * 4
    assert shown[:, 2].tolist() == [list(left)] * 4
    assert shown[:, 3].tolist() == [right] * 4
    assert shown[:, 4:].tolist() == [[tinted(100, right)] * 2] * 4


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_weight_of_the_colours_is_as_asked(alpha):
    shown = mask_overlay(grey(3, 3), np.full((1, 1), 2), alpha)
    assert shown.tolist() == [[tinted(100, CLASSES[2], alpha)] * 3] * 3


def test_class_zero_is_a_class_unless_it_is_said_to_be_background():
    mask = np.array([[0, 0, 1, 1]])
    assert mask_overlay(grey(1, 4), mask)[0, 0].tolist() == tinted(100, CLASSES[0])
    shown = mask_overlay(grey(1, 4), mask, background=0)
    assert shown[0, :2].tolist() == [[100] * 3] * 2
    assert shown[0, 3].tolist() == tinted(100, CLASSES[1])


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, np.int16])
def test_class_numbers_above_255_do_not_wrap(dtype):
    mask = np.array([[0, 256, 511]], dtype)
    assert classes_at(mask, 2, 3).tolist() == [[0, 256, 511]] * 2


def test_each_pixel_takes_the_class_of_the_cell_under_its_centre():
    # pixel centres 0.3, 0.9, 1.5, 2.1, 2.7 in units of three cells over five pixels
    assert classes_at(np.array([[7, 8, 9]]), 1, 5).tolist() == [[7, 7, 8, 9, 9]]
    assert classes_at(np.arange(4).reshape(1, 4), 1, 2).tolist() == [[1, 3]]


@pytest.mark.parametrize("mask", [np.zeros((2, 2)), np.array([[-1]]), np.zeros((1, 2, 2), int), np.zeros((0, 2), int)])
def test_what_is_no_mask_of_class_indices_is_refused(mask):
    with pytest.raises(RenderError) as caught:
        mask_overlay(grey(4, 4), mask)
    assert caught.value.code == "SW-R45"


@pytest.mark.parametrize(
    ("index", "names", "name"),
    [
        (1, ["sky", "road"], "road"),
        (2, ["sky", "road"], "class 2"),
        (300, {300: "lamp"}, "lamp"),
        (0, {300: "lamp"}, "class 0"),
        (5, None, "class 5"),
    ],
)
def test_a_class_is_called_by_its_name_or_its_index(index, names, name):
    assert class_name(index, names) == name


def swatches(key, size):
    """Colours of the swatches, found where a square of ``size`` pixels has one colour that is no grey."""
    windows = np.lib.stride_tricks.sliding_window_view(key, (size, size), axis=(0, 1))
    flat = (windows == windows[..., :1, :1]).all(axis=(2, 3, 4))
    coloured = np.ptp(windows[..., 0, 0].astype(int), axis=2) > 20
    return [key[top, left].tolist() for top, left in np.argwhere(flat & coloured)]


def test_the_key_lists_the_classes_that_occur_the_largest_first():
    mask = np.repeat([4, 300, 1], [20, 50, 30]).reshape(10, 10)
    key = class_key(mask, {1: "road", 300: "lamp"}, 600, 14)
    assert swatches(key, 14) == [class_colours(np.array(index)).tolist() for index in (300, 1, 4)]
    assert len(key) == line_height(14)
    name = text_line("lamp", 100, 14, INK)[:, :20]
    assert np.array_equal(key[:, 14 + 7 : 14 + 7 + 20], name)


def test_the_key_leaves_the_background_out():
    assert swatches(class_key(np.array([[0, 0, 1]]), None, 300, 14, background=0), 14) == [list(CLASSES[1])]
    empty = class_key(np.zeros((2, 2), int), None, 300, 14, background=0)
    assert np.array_equal(empty, text_line("background only", 300, 14, QUIET))


def test_a_key_of_many_classes_counts_those_it_leaves_out():
    key = class_key(np.arange(400).reshape(20, 20), None, 320, 14)
    assert len(key) == 4 * line_height(14)
    shown = len(swatches(key, 14))
    assert shown == 6
    assert np.array_equal(key[-line_height(14) :], text_line("and 394 more classes", 320, 14, QUIET))


def test_a_name_longer_than_the_key_is_cut():
    key = class_key(np.array([[1]]), {1: "a very long class name " * 9}, 200, 14)
    assert key.shape == (line_height(14), 200, 3)
    fact = text_line("100 %", 40, 14, QUIET)[:, :30]
    assert any(np.array_equal(key[:, left : left + 30], fact) for left in range(170))


@pytest.mark.parametrize(("classes", "label"), [(2, "0.69 = ln 2"), (21, "3.04 = ln 21"), (1000, "6.91 = ln 1000")])
def test_entropy_is_drawn_from_zero_to_the_logarithm_of_the_number_of_classes(classes, label):
    scale = uncertainty_scale("entropy", classes)
    assert (scale.top, scale.label) == (math.log(classes), label)
    assert "nats" in scale.unit


def test_margin_is_drawn_from_zero_to_one_whatever_the_number_of_classes():
    assert {
        (uncertainty_scale("margin", classes).top, uncertainty_scale("margin", classes).label) for classes in (2, 99)
    } == {(1.0, "1")}


@pytest.mark.parametrize(
    ("method", "classes", "code"), [("entropie", 3, "SW-R46"), ("entropy", 1, "SW-R48"), ("margin", 0, "SW-R48")]
)
def test_an_uncertainty_without_a_scale_is_refused(method, classes, code):
    with pytest.raises(RenderError) as caught:
        uncertainty_scale(method, classes)
    assert caught.value.code == code
    if code == "SW-R46":
        assert caught.value.near[0] == "entropy"


def street(height=288, width=384):
    return np.random.default_rng(0).integers(60, 200, (height, width, 3), dtype=np.uint8)


PREDICTION = np.repeat([[0, 1]], 8, axis=0)
TOP = MARGIN + line_height(24) + GAP + line_height(16) + 2
LEFTS = [MARGIN + index * (384 + GAP) for index in range(3)]
"""A panel is 384 pixels wide: its text has 16 pixels, the page's title 24."""


def panel(page, column, top=TOP):
    return page[top : top + 288, LEFTS[column] : LEFTS[column] + 384]


def test_without_uncertainty_image_prediction_and_explanation_stand_in_one_row():
    picture, heat = street(), np.eye(5)
    page = segmentation_figure(picture, PREDICTION, heat, classes=2, title="street", colormap="jet", alpha=0.5)
    assert np.array_equal(panel(page, 0), picture)
    assert np.array_equal(panel(page, 1), mask_overlay(picture, PREDICTION))
    assert np.array_equal(panel(page, 2), overlay(picture, resize(heat, (288, 384)).clip(0, 1), "jet", 0.5))
    assert page.shape[1] == 2 * MARGIN + 3 * 384 + 2 * GAP


def second_row(page):
    """Where the panels of the second row begin: below the first row, whose key has one line."""
    return TOP + 288 + 4 + line_height(16) + GAP + line_height(16) + 2


def test_with_uncertainty_the_figure_is_two_by_two():
    picture, heat, uncertainty = street(), np.eye(5), np.linspace(0, math.log(3), 12).reshape(3, 4)
    page = segmentation_figure(picture, PREDICTION, heat, uncertainty, classes=3, title="street")
    assert page.shape[1] == 2 * MARGIN + 2 * 384 + GAP
    top = second_row(page)
    assert np.array_equal(panel(page, 0), picture)
    assert np.array_equal(panel(page, 1), mask_overlay(picture, PREDICTION))
    assert np.array_equal(panel(page, 0, top), overlay(picture, resize(heat, (288, 384)).clip(0, 1), "viridis", 0.4))
    share = resize(uncertainty / math.log(3), (288, 384)).clip(0, 1)
    assert np.array_equal(panel(page, 1, top), overlay(picture, share, "inferno", 0.75))


@pytest.mark.parametrize(("method", "top"), [("entropy", math.log(10)), ("margin", 1.0)])
@pytest.mark.parametrize("level", [0.2, 0.6])
def test_a_weak_uncertainty_is_not_stretched_to_the_full_scale(method, top, level):
    picture = street()
    page = segmentation_figure(
        picture, PREDICTION, np.eye(5), np.full((2, 2), level * top), classes=10, uncertainty_method=method, title="s"
    )
    expected = overlay(picture, np.full((288, 384), level), "inferno", 0.75)
    assert np.array_equal(panel(page, 1, second_row(page)), expected)


@pytest.mark.parametrize(("method", "high"), [("entropy", "2.30 = ln 10"), ("margin", "1")])
def test_the_uncertaintys_legend_carries_its_own_limits_and_unit(method, high):
    values = np.full((2, 2), 0.5)
    page = segmentation_figure(
        street(), PREDICTION, np.eye(5), values, classes=10, uncertainty_method=method, title="s"
    )
    foot = page[second_row(page) + 288 + 4 :, LEFTS[1] : LEFTS[1] + 384]
    label = text_line(high, 120, 16, QUIET)
    label = label[:, : int(np.flatnonzero((label != 255).any(axis=(0, 2)))[-1]) + 1]
    line = foot[: line_height(16)]
    matches = [
        left for left in range(385 - label.shape[1]) if np.array_equal(line[:, left : left + label.shape[1]], label)
    ]
    assert len(matches) == 1
    assert matches[0] > 250
    unit = uncertainty_scale(method, 10).unit
    assert np.array_equal(foot[line_height(16) :][: line_height(16)], text_line(unit, 384, 16, QUIET, align="centre"))


def test_an_uncertainty_with_values_that_are_no_numbers_is_not_painted():
    picture, values = street(), np.full((2, 2), 0.5)
    values[0, 0] = np.nan
    page = segmentation_figure(picture, PREDICTION, np.eye(5), values, classes=3, title="street")
    assert np.array_equal(panel(page, 1, second_row(page)), picture)


@pytest.mark.parametrize(("method", "value"), [("entropy", 1.2), ("entropy", -0.1), ("margin", 1.01)])
def test_an_uncertainty_outside_its_range_is_refused(method, value):
    values = np.array([[0.2, value]])
    with pytest.raises(RenderError) as caught:
        segmentation_figure(
            street(), PREDICTION, np.eye(2), values, classes=3, uncertainty_method=method, title="street"
        )
    assert caught.value.code == "SW-R47"


def test_the_rounding_of_single_precision_is_no_reason_to_refuse():
    values = np.array([[np.nextafter(np.float32(math.log(3)), np.float32(2)), np.float32(-1e-7)]])
    assert values.max() > math.log(3)
    page = segmentation_figure(street(), PREDICTION, np.eye(2), values, classes=3, title="street")
    assert np.array_equal(panel(page, 0), street())
