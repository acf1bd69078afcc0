"""The attention sheet shows every head once, beside the original and the rollout."""

import numpy as np
import pytest

from seewhy.render import RenderError, attention_sheet, heatmap, overlay
from seewhy.render.layout import paste, sheet
from seewhy.render.panels import columns_for


def picture(height=224, width=224):
    return np.random.default_rng(0).integers(60, 200, (height, width, 3), dtype=np.uint8)


def one_hot_heads(count, rows=4, columns=4):
    """Head ``i`` attends to cell ``i`` only."""
    return np.eye(rows * columns)[:count].reshape(count, rows, columns)


def place_of(page, part):
    """Top and left of the only place where ``part`` lies on ``page`` pixel for pixel."""
    corner = part[:1, :6]
    windows = np.lib.stride_tricks.sliding_window_view(page, corner.shape)[:, :, 0]
    places = np.argwhere((windows == corner).all(axis=(2, 3, 4)))
    height, width = part.shape[:2]
    found = [
        (int(top), int(left))
        for top, left in places
        if np.array_equal(page[top : top + height, left : left + width], part)
    ]
    assert len(found) == 1
    return found[0]


def test_every_head_the_rollout_and_the_original_are_there_in_reading_order():
    image, heads, rollout = picture(), one_hot_heads(4), np.arange(16.0).reshape(4, 4)
    page = attention_sheet(image, {"layer 3": heads}, rollout, title="record", colormap="viridis", alpha=0.6)
    panels = [overlay(image, heatmap(head, (224, 224)).values, "viridis", 0.6) for head in [*heads, rollout]]
    first, second, third, fourth, under = (place_of(page, panel) for panel in panels)
    original = place_of(page, image)
    assert original[0] == first[0] == second[0]
    assert original[1] < first[1] < second[1]
    assert third[0] == fourth[0] == under[0] > first[0]
    assert (under[1], third[1], fourth[1]) == (original[1], first[1], second[1])


def test_a_new_layer_starts_a_new_row():
    image = picture()
    layers = {"layer 0": one_hot_heads(3), "layer 1": one_hot_heads(6)[3:]}
    page = attention_sheet(image, layers, None, title="record")
    rows = [
        {place_of(page, overlay(image, heatmap(head, (224, 224)).values, "inferno", 0.7))[0] for head in maps}
        for maps in layers.values()
    ]
    assert [len(tops) for tops in rows] == [1, 1]
    assert rows[0].pop() < rows[1].pop()


def test_each_panel_has_its_own_scale():
    image, head = picture(), one_hot_heads(2)
    page = attention_sheet(image, {"layer 0": head * [[[1.0]], [[0.001]]]}, None, title="record")
    for maps in head:
        place_of(page, overlay(image, heatmap(maps, (224, 224)).values, "inferno", 0.7))


def test_grids_that_are_not_square_cover_a_picture_that_is_not_square():
    image, rollout = picture(224, 320), np.zeros((3, 5))
    rollout[2, 4] = 1.0
    page = attention_sheet(image, {}, rollout, title="record")
    place_of(page, overlay(image, heatmap(rollout, (224, 320)).values, "inferno", 0.7))


def test_heads_without_a_value_to_show_leave_the_picture_bare():
    image, heads = picture(), np.zeros((2, 4, 4))
    heads[1, 0, 0] = np.nan
    page = attention_sheet(image, {"layer 0": heads}, None, title="record")
    height, width = image.shape[:2]
    bare = sum(
        np.array_equal(page[top : top + height, left : left + width], image)
        for top in range(page.shape[0] - height + 1)
        for left in np.flatnonzero((page[top] == image[0, 0]).all(axis=-1))
        if left + width <= page.shape[1]
    )
    assert bare == 3


@pytest.mark.parametrize(
    ("references", "heads", "columns"),
    [
        (2, [12], 6),
        (2, [6], 3),
        (2, [5], 3),
        (2, [3, 3], 3),
        (2, [4], 2),
        (1, [4], 4),
        (2, [16], 4),
        (2, [12, 12], 6),
        (2, [1], 1),
    ],
)
def test_the_grid_leaves_the_fewest_gaps(references, heads, columns):
    assert columns_for(references, heads) == columns


def test_small_inputs_get_large_panels_and_large_inputs_stay_within_bounds():
    small = attention_sheet(picture(32, 32), {"layer 0": one_hot_heads(1)}, None, title="record")
    large = attention_sheet(picture(900, 1800), {"layer 0": one_hot_heads(1)}, None, title="record")
    assert small.shape[1] == 2 * 224 + 14 + 2 * 24
    assert large.shape[1] == 2 * 640 + 14 + 2 * 24


def test_a_long_title_does_not_widen_the_sheet():
    arguments = (picture(), {"a" * 300: one_hot_heads(1)}, None)
    assert attention_sheet(*arguments, title="id" * 400).shape == attention_sheet(*arguments, title="id").shape


@pytest.mark.parametrize("heads", [{}, {"layer 0": np.zeros((4, 4))}, {"layer 0": np.zeros((0, 4, 4))}])
def test_nothing_to_draw_is_refused(heads):
    with pytest.raises(RenderError) as caught:
        attention_sheet(picture(), heads, None, title="record")
    assert caught.value.code == "SW-R09"


def test_pasting_writes_only_its_own_place():
    page = sheet(5, 5)
    paste(page, np.zeros((2, 3, 3), np.uint8), 1, 2)
    rows, columns = np.nonzero((page == 0).all(axis=-1))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (1, 2, 2, 4)
