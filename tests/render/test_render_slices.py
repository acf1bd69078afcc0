"""A page of slices shows the chosen ones in order, on one scale, each under its label."""

import numpy as np
import pytest

from seewhy.render import RenderError, heatmap, overlay, resize
from seewhy.render.frames import cells_across, chosen_slices, frame_labels, slice_labels
from seewhy.render.layout import readable
from seewhy.render.picture import WARNING, text_size
from seewhy.render.slices import slice_grid, slice_picture
from seewhy.render.text import line_height, text_line

SIZE = 200


def volume(slices=6, height=SIZE, width=SIZE):
    return np.random.default_rng(0).integers(60, 200, (slices, height, width, 3), dtype=np.uint8)


def blobs(peaks, height=SIZE, width=SIZE):
    """A heat map that rises along each row up to the slice's peak."""
    ramp = np.broadcast_to(np.linspace(0, 1, width, dtype=np.float32), (height, width))
    return np.stack([np.float32(peak) * ramp for peak in peaks])


def places_of(page, part):
    """Top and left of every place where ``part`` lies on ``page`` pixel for pixel."""
    corner = part[:1, :6]
    windows = np.lib.stride_tricks.sliding_window_view(page, corner.shape)[:, :, 0]
    places = np.argwhere((windows == corner).all(axis=(2, 3, 4)))
    height, width = part.shape[:2]
    return [
        (int(top), int(left))
        for top, left in places
        if np.array_equal(page[top : top + height, left : left + width], part)
    ]


def test_every_cell_is_the_overlay_of_its_slice_in_reading_order():
    pictures, heat = volume(), blobs([0.1, 0.3, 1.0, 0.7, 0.2, 0.0])
    page = slice_grid(pictures, heat, colormap="jet", alpha=0.4)
    found = [places_of(page, overlay(*pair, "jet", 0.4)) for pair in zip(pictures, heat, strict=True)]
    assert [len(places) for places in found] == [1] * 6
    places = [place for (place,) in found]
    assert places == sorted(places)
    assert len({top for top, _ in places}) == 2


def test_a_slice_without_evidence_is_its_picture_to_the_bit():
    pictures = volume(3)
    page = slice_grid(pictures, blobs([1.0, 0.0, 0.5]))
    assert len(places_of(page, pictures[1])) == 1
    assert not places_of(page, pictures[0])


def test_the_label_stands_right_above_its_cell():
    pictures, heat = volume(2), blobs([1.0, 0.5])
    page = slice_grid(pictures, heat, labels=["first", "0.48 s"])
    ((top, left),) = places_of(page, overlay(pictures[1], heat[1]))
    size = text_size(SIZE)
    label = page[top - 2 - line_height(size) : top - 2, left : left + SIZE]
    assert np.array_equal(label, text_line("0.48 s", SIZE, size))


def test_bare_slices_stand_above_their_overlays_if_asked():
    pictures, heat = volume(4), blobs([0.2, 0.4, 0.6, 0.8])
    page = slice_grid(pictures, heat, plain=True)
    for picture, plane in zip(pictures, heat, strict=True):
        ((bare_top, bare_left),) = places_of(page, picture)
        ((top, left),) = places_of(page, overlay(picture, plane))
        assert bare_left == left
        assert 0 < top - bare_top - SIZE < 10


def test_a_raw_volume_has_one_scale_weak_slices_stay_weak():
    pictures = volume(3)
    raw = blobs([1.0, 8.0, 2.0])
    page = slice_picture(pictures, raw)
    for picture, plane in zip(pictures, raw, strict=True):
        shared = overlay(picture, heatmap(plane, reference=8.0).values)
        own = overlay(picture, heatmap(plane).values)
        assert len(places_of(page, shared)) == 1
        assert np.array_equal(shared, own) == (plane.max() == 8)


def test_a_coarse_map_is_interpolated_between_the_slices():
    pictures = volume(4)
    raw = np.zeros((2, 1, 1))
    raw[1] = 4.0
    # the slices' centres lie at 0.25, 0.75, 1.25, 1.75 cells; the cells' centres at 0.5 and 1.5
    page = slice_picture(pictures, raw)
    for picture, share in zip(pictures, (0.0, 0.25, 0.75, 1.0), strict=True):
        assert len(places_of(page, overlay(picture, np.full((SIZE, SIZE), share)))) == 1


def test_a_signed_map_is_white_in_the_middle_and_keeps_its_zero():
    pictures = volume(3)
    raw = np.stack([np.full((SIZE, SIZE), value) for value in (-2.0, 0.0, 2.0)])
    page = slice_picture(pictures, raw, signed=True)
    assert len(places_of(page, pictures[1])) == 1
    blue = overlay(pictures[0], np.zeros((SIZE, SIZE)), "rdbu_r", diverging=True)
    assert len(places_of(page, blue)) == 1


def test_the_legend_names_the_raw_value_at_full_colour():
    pictures, raw = volume(2), blobs([4.0, 2.0])
    heat = raw / 4
    assert np.array_equal(slice_picture(pictures, raw), slice_grid(pictures, heat, reference=4.0))
    assert not np.array_equal(slice_picture(pictures, raw), slice_grid(pictures, heat))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("raw", [np.zeros((3, 2, 2)), np.full((3, 2, 2), np.nan)])
def test_what_cannot_be_drawn_leaves_bare_slices_and_a_warning(raw, signed):
    pictures = volume(3)
    page = slice_picture(pictures, raw, signed=signed)
    assert [len(places_of(page, picture)) for picture in pictures] == [1, 1, 1]
    assert (page == np.array(WARNING)).all(axis=2).any()
    assert not (slice_picture(pictures, np.ones((3, 2, 2))) == np.array(WARNING)).all(axis=2).any()


def test_small_slices_are_enlarged_before_they_are_painted():
    pictures, heat = volume(2, 64, 70), blobs([1.0, 0.5], 64, 70)
    canvas = readable(pictures[0], 192)
    assert canvas.shape == (192, 210, 3)
    page = slice_grid(pictures, heat)
    assert len(places_of(page, overlay(canvas, resize(heat[0], (192, 210)).clip(0, 1)))) == 1


def test_large_slices_are_painted_before_they_are_reduced():
    pictures, heat = volume(1, 600, 900), np.zeros((1, 600, 900), np.float32)
    heat[0, 301, 451] = 1.0
    page = slice_grid(pictures, heat)
    assert len(places_of(page, readable(overlay(pictures[0], heat[0]), 192, 480))) == 1


def test_even_slices_are_the_middles_of_equal_parts():
    assert chosen_slices(np.zeros((40, 1, 1)), 4) == [5, 15, 25, 35]
    assert chosen_slices(np.zeros((5, 1, 1)), 12) == [0, 1, 2, 3, 4]
    assert chosen_slices(np.zeros((7, 1, 1)), 1) == [3]


def test_the_slices_with_most_evidence_are_shown_in_their_own_order():
    heat = np.array([0.1, 0.3, 0.0, 0.9, 0.3]).reshape(5, 1, 1)
    assert chosen_slices(heat, 2, "evidence") == [1, 3]
    assert chosen_slices(heat, 3, "evidence") == [1, 3, 4]


def test_signed_evidence_counts_on_both_sides_of_its_zero():
    heat = np.array([0.5, 0.0, 0.6, 0.9]).reshape(4, 1, 1)
    assert chosen_slices(heat, 2, "evidence", neutral=0.5) == [1, 3]


def test_the_page_holds_only_the_chosen_slices():
    pictures, heat = volume(6), blobs([0.1, 0.9, 0.2, 0.8, 0.3, 0.4])
    page = slice_grid(pictures, heat, most=2, choice="evidence")
    counts = [len(places_of(page, overlay(*pair))) for pair in zip(pictures, heat, strict=True)]
    assert counts == [0, 1, 0, 1, 0, 0]


def test_labels_count_from_one_and_frames_from_time_zero():
    assert slice_labels(3) == ["slice 1 / 3", "slice 2 / 3", "slice 3 / 3"]
    assert frame_labels(3, 12.5) == ["0.00 s", "0.08 s", "0.16 s"]


def test_rows_leave_as_few_empty_places_as_they_can():
    assert [cells_across(count) for count in (1, 2, 3, 4, 6, 9, 12, 25)] == [1, 2, 3, 4, 3, 3, 4, 5]


@pytest.mark.parametrize(
    ("pictures", "heat", "settings", "code"),
    [
        (volume(2)[0], blobs([1.0]), {}, "SW-R30"),
        (volume(2).astype(np.float32), blobs([1.0, 1.0]), {}, "SW-R30"),
        (volume(2), blobs([1.0]), {}, "SW-R30"),
        (volume(2), np.full((2, SIZE, SIZE), np.nan), {}, "SW-R02"),
        (volume(2), blobs([1.0, 2.0]), {}, "SW-R02"),
        (volume(2), blobs([1.0, 1.0]), {"labels": ["one"]}, "SW-R31"),
        (volume(2), blobs([1.0, 1.0]), {"most": 0}, "SW-R32"),
        (volume(2), blobs([1.0, 1.0]), {"choice": "evidnce"}, "SW-R32"),
        (volume(2), blobs([1.0, 1.0]), {"alpha": 1.2}, "SW-R05"),
        (volume(2), blobs([1.0, 1.0]), {"colormap": "jett"}, "SW-R01"),
    ],
)
def test_each_wrong_argument_has_its_code(pictures, heat, settings, code):
    with pytest.raises(RenderError) as caught:
        slice_grid(pictures, heat, **settings)
    assert caught.value.code == code


@pytest.mark.parametrize("fps", [0.0, -1.0, np.nan, np.inf])
def test_a_rate_that_is_no_rate_is_refused(fps):
    with pytest.raises(RenderError) as caught:
        frame_labels(2, fps)
    assert caught.value.code == "SW-R33"
