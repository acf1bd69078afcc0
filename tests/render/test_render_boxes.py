"""Boxes lie where (x1, y1, x2, y2) says, in the palette's colours, with labels that stay inside and apart."""

import numpy as np
import pytest

from seewhy.render import RenderError, overlay, resize
from seewhy.render.boxes import Detection, colours_of, covered_pixels, draw_boxes, line_thickness
from seewhy.render.detection_figure import detection_figure, scaled_box
from seewhy.render.palette import PALETTE, is_light
from seewhy.render.text import line_height

MARGIN, GAP = 24, 14
SECOND = PALETTE[1]


def black(height, width):
    return np.zeros((height, width, 3), np.uint8)


def coloured(page, colour):
    return (page == np.array(colour)).all(axis=-1)


def extent(mask):
    """First and last row and column in which something is set."""
    rows, columns = np.nonzero(mask)
    return tuple(int(edge) for edge in (rows.min(), rows.max(), columns.min(), columns.max()))


def longest_run(values):
    """The greatest number of neighbours that are all set."""
    return max(len(run) for run in "".join("x" if value else " " for value in values).split(" "))


def test_x_runs_across_and_y_runs_down():
    # a box centred at column 170 and row 40: 20 pixels wide and 10 high
    page = draw_boxes(black(100, 200), [(160, 35, 180, 45)], [""])
    frame = coloured(page, PALETTE[0])
    assert extent(frame) == (35, 44, 160, 179)
    assert frame[[35, 44], 160:180].all()
    assert frame[35:45, [160, 179]].all()


def test_the_frame_runs_inside_the_box_and_leaves_the_rest_alone():
    page = draw_boxes(black(100, 200), [(20, 10, 60, 50)], [""])
    expected = np.zeros((100, 200), bool)
    expected[10:50, 20:60] = True
    expected[13:47, 23:57] = False
    assert np.array_equal(coloured(page, PALETTE[0]), expected)
    assert not page[~expected].any()


@pytest.mark.parametrize(
    ("size", "thickness"), [((20, 2000), 3), ((480, 640), 3), ((800, 1000), 5), ((1600, 1600), 10)]
)
def test_lines_are_thicker_on_larger_pictures(size, thickness):
    assert line_thickness(*size) == thickness


@pytest.mark.parametrize(
    ("box", "pixels"),
    [
        ((10.0, 2.0, 20.0, 7.0), (10, 2, 20, 7)),
        ((10.9, 2.1, 19.1, 6.9), (10, 2, 20, 7)),
        ((-5.0, -8.0, 500.0, 300.0), (0, 0, 40, 30)),
        ((12.0, 8.0, 12.0, 8.0), (12, 8, 13, 9)),
        ((100.0, 100.0, 120.0, 110.0), (39, 29, 40, 30)),
        ((-20.0, -20.0, -10.0, -10.0), (0, 0, 1, 1)),
    ],
)
def test_a_box_covers_every_pixel_it_touches_and_at_least_one(box, pixels):
    assert covered_pixels(box, height=30, width=40) == pixels


@pytest.mark.parametrize("box", [(10, 0, 5, 5), (0, 10, 5, 5), (0, 0, np.nan, 5), (0, 0, np.inf, 5), (1, 2, 3)])
def test_what_is_no_box_is_refused(box):
    with pytest.raises(RenderError) as caught:
        draw_boxes(black(20, 20), [box], [""])
    assert caught.value.code == "SW-R43"


@pytest.mark.parametrize(("labels", "colours"), [([], None), (["a", "b"], None), (["a"], [])])
def test_every_box_needs_its_label_and_colour(labels, colours):
    with pytest.raises(RenderError) as caught:
        draw_boxes(black(20, 20), [(0, 0, 5, 5)], labels, colours)
    assert caught.value.code == "SW-R44"


def test_colours_follow_the_palette_and_begin_again():
    assert colours_of(9) == [*PALETTE, *PALETTE[:2]]
    page = draw_boxes(black(60, 200), [(20 * index, 10, 20 * index + 15, 50) for index in range(9)], [""] * 9)
    assert [tuple(page[30, 20 * index].tolist()) for index in range(9)] == colours_of(9)


def relative_luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in np.array(colour) / 255]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", PALETTE)
def test_every_label_can_be_read_on_its_colour(colour):
    luminance = relative_luminance(colour)
    on_black, on_white = (luminance + 0.05) / 0.05, 1.05 / (luminance + 0.05)
    assert is_light(colour) == (on_black > on_white)
    assert max(on_black, on_white) >= 4.5


@pytest.mark.parametrize(
    ("box", "rows"),
    [((50, 40, 90, 80), (20, 39)), ((50, 5, 90, 80), (5, 24)), ((50, 5, 90, 17), (5, 24)), ((0, 0, 300, 100), (0, 19))],
)
def test_a_label_stands_above_its_box_or_else_inside_it(box, rows):
    page = draw_boxes(black(100, 300), [box], ["cat"], [SECOND])
    bare = draw_boxes(black(100, 300), [box], [""], [SECOND])
    first, last, left, _ = extent((page != bare).any(axis=-1) | coloured(page, SECOND) & ~coloured(bare, SECOND))
    assert line_height(15) == 20
    assert rows[0] <= first <= rows[0] + line_thickness(100, 300)
    assert last == rows[1]
    assert box[0] <= left <= box[0] + line_thickness(100, 300)


@pytest.mark.parametrize("box", [(280, 40, 299, 60), (290, -30, 320, 10), (0, 0, 300, 5), (150, 97, 160, 100)])
@pytest.mark.parametrize("label", ["cat", "a class name that is longer than the picture is wide " * 2])
def test_labels_are_cut_and_moved_so_that_they_stay_inside(box, label):
    page = draw_boxes(black(100, 300), [box], [label], [SECOND])
    tag = coloured(page, SECOND)
    # the tag's own background is seen over its whole height somewhere: nothing of it was cut off by the edge
    assert max(longest_run(column) for column in tag.T) >= line_height(15)
    assert page.shape == (100, 300, 3)


def test_two_labels_of_nearly_equal_boxes_do_not_cover_one_another():
    boxes = [(50, 50, 150, 120), (52, 52, 152, 122)]
    both = draw_boxes(black(200, 300), boxes, ["first", "second"])
    alone = draw_boxes(black(200, 300), boxes, ["first", ""])
    # the first label's tag lies above its box, in rows 30 to 49, and is whole
    tag = alone[30:50, 50:90]
    assert coloured(tag, PALETTE[0]).any()
    assert np.array_equal(both[30:50, 50:90], tag)


def test_the_picture_that_was_given_is_not_drawn_upon():
    given = black(50, 50)
    draw_boxes(given, [(5, 5, 20, 20)], ["cat"])
    assert not given.any()


@pytest.mark.parametrize(("score", "label"), [(0.934, "2 cat 0.93"), (1.0, "2 cat 1.00"), (None, "2 cat")])
def test_a_label_is_number_name_and_score(score, label):
    assert Detection((0, 0, 1, 1), "cat", score).label(2) == label


def random_picture(height=240, width=320):
    return np.random.default_rng(0).integers(60, 200, (height, width, 3), dtype=np.uint8)


def panel_at(page, index, height=240, width=320, across=4, captioned_line=15):
    """The panel of that number in reading order, found by arithmetic."""
    cell = line_height(captioned_line) + 2 + height
    title = MARGIN + line_height(round(captioned_line * 1.5)) + GAP
    top = title + (index // across) * (cell + GAP) + line_height(captioned_line) + 2
    left = MARGIN + (index % across) * (width + GAP)
    return page[top : top + height, left : left + width]


def test_all_boxes_come_first_then_one_panel_with_heat_and_box_per_detection():
    picture = random_picture()
    detections = [Detection((20 + 40 * index, 60, 50 + 40 * index, 100), "cat", 0.9) for index in range(5)]
    heats = [np.eye(6)[:, : 2 + index] for index in range(5)]
    page = detection_figure(picture, detections, heats, title="photograph", colormap="jet", alpha=0.6)
    labels = [f"{number} cat 0.90" for number in range(1, 6)]
    overview = draw_boxes(picture, [detection.box for detection in detections], labels)
    assert np.array_equal(panel_at(page, 0), overview)
    for index, (detection, heat) in enumerate(zip(detections, heats, strict=True)):
        heated = overlay(picture, resize(heat, (240, 320)).clip(0, 1), "jet", 0.6)
        expected = draw_boxes(heated, [detection.box], [""], [colours_of(5)[index]])
        assert np.array_equal(panel_at(page, index + 1), expected)


def test_boxes_of_a_small_picture_grow_with_it():
    picture = random_picture(60, 80)
    # 60 pixels are enlarged four times, to 240
    page = detection_figure(picture, [Detection((10, 20, 30, 40), "cat")], [np.zeros((2, 2))], title="photograph")
    assert extent(coloured(panel_at(page, 1), PALETTE[0])) == (80, 159, 40, 119)


def test_a_box_is_scaled_by_each_sides_own_factor():
    assert scaled_box((10, 20, 30, 40), black(100, 200), black(50, 400)) == (20, 10, 60, 20)


def test_no_detection_leaves_the_bare_picture_and_no_legend():
    picture = random_picture()
    page = detection_figure(picture, [], [], title="photograph")
    assert np.array_equal(panel_at(page, 0), picture)
    assert len(page) == 2 * MARGIN + line_height(22) + GAP + line_height(15) + 2 + 240


def test_every_detection_needs_its_heat_map():
    with pytest.raises(RenderError) as caught:
        detection_figure(random_picture(), [Detection((0, 0, 5, 5), "cat")], [], title="photograph")
    assert caught.value.code == "SW-R44"
