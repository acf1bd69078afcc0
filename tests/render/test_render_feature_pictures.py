"""Comparisons share one scale, excited records keep their order, and receptive fields their signs and places."""

import numpy as np
import pytest
from pixel_search import place_of, places_of

from seewhy.render import RenderError, colormap, heatmap, overlay
from seewhy.render.excited_sheet import ExcitedChannel, ExcitedRecord, excited_sheet
from seewhy.render.feature_comparison import common_scale, correlation_counts, correlation_panel, feature_comparison
from seewhy.render.receptive_field_figure import field_box, receptive_field_figure, seen_window
from seewhy.render.text import INK, QUIET, text_line, text_width
from seewhy.render.value_scale import ValueScale
from seewhy.render.vector_strip import UP, bars

VIRIDIS, HOT, RED_BLUE = colormap("viridis"), colormap("hot"), colormap("rdbu_r")


def words(text, size=13, colour=QUIET):
    return text_line(text, text_width(text, size), size, colour)


def panel(table, indices, factor):
    return table[np.kron(np.array(indices), np.ones((factor, factor), int))]


def photograph(height=160, width=160, seed=0):
    return np.random.default_rng(seed).integers(40, 220, (height, width, 3), dtype=np.uint8)


def test_two_readings_have_one_scale_and_the_difference_its_own():
    first, second = np.array([[0.0, 4.0], [4.0, 4.0]]), np.array([[1.0, 1.0], [1.0, 2.0]])
    page = feature_comparison(first, second, np.abs(first - second), heading="layer1", names=("epoch 1", "epoch 9"))
    places = [
        place_of(page, panel(VIRIDIS, [[0, 255], [255, 255]], 120)),
        place_of(page, panel(VIRIDIS, [[64, 64], [64, 128]], 120)),
        place_of(page, panel(HOT, [[85, 255], [255, 170]], 120)),
    ]
    assert len({top for top, _ in places}) == 1
    assert [left for _, left in places] == sorted(left for _, left in places)
    for title in ("epoch 1", "epoch 9", "difference"):
        place_of(page, words(title, colour=INK))


def test_a_scale_for_each_reading_would_be_noticed():
    first, second = np.full((2, 2), 4.0), np.full((2, 2), 2.0)
    page = feature_comparison(first, second, first - second, heading="layer1")
    assert len(places_of(page, panel(VIRIDIS, [[255, 255], [255, 255]], 120))) == 1


def test_the_common_scale_ignores_what_is_no_number():
    assert common_scale([np.array([np.inf, 1.0]), np.array([-3.0])]) == ValueScale(-3.0, 1.0, 1)


def test_readings_of_two_sizes_are_drawn_without_a_difference():
    page = feature_comparison(np.ones((2, 2)), np.ones((3, 3)), heading="layer1")
    place_of(page, words("the sizes differ, so that no difference is drawn; both have one scale"))


def test_a_reading_with_a_gap_is_not_painted_but_the_other_is():
    first = np.array([[np.nan, 1.0], [1.0, 1.0]])
    page = feature_comparison(first, np.ones((2, 2)), heading="layer1")
    place_of(page, words("1 not finite", colour=(178, 58, 30)))
    place_of(page, panel(VIRIDIS, [[255, 255], [255, 255]], 120))


def test_volumes_are_compared_at_their_middle_slice():
    first = np.zeros((3, 2, 2))
    first[1, 0, 0] = 1.0
    page = feature_comparison(first, first, heading="layer1", caption="CKA 1")
    assert len(places_of(page, panel(VIRIDIS, [[255, 0], [0, 0]], 120))) == 2
    place_of(page, words("CKA 1 · slice 2 of 3", 14))


def test_vectors_are_bars_on_one_scale():
    first, second = np.arange(30.0), np.full(30, 29.0)
    page = feature_comparison(first, second, np.abs(first - second), vector=True, heading="fc")
    gutter = max(text_width(word, 13) for word in ("0", "29")) + 10
    for values in (first, second):
        place_of(page, bars(values, ValueScale(0.0, 29.0), 900 - gutter, 100))


def test_signals_are_compared_as_lines():
    page = feature_comparison(np.array([0.0, 1.0, 0.0]), np.array([0.0, 5.0, 0.0]), heading="layer1")
    assert len(places_of(page, words("0 to 5"))) == 2


def test_correlations_are_counted_in_equal_bins():
    values = np.array([-1.0, -0.95, 0.0, 0.999, 1.0])
    counts = correlation_counts(values)
    assert (counts[0], counts[10], counts[19], counts.sum()) == (2, 1, 2, 5)
    picture = correlation_panel(np.concatenate([values, [np.nan]]), 108, 200)
    plot = picture[19:127]
    assert [(plot[:, 10 * index + 5] == UP).all(axis=-1).sum() for index in (0, 10, 19, 5)] == [100, 50, 100, 0]
    place_of(picture, words("5 channels, median 0, most"))


def test_constant_channels_alone_have_no_histogram():
    picture = correlation_panel(np.array([np.nan, np.nan]), 100, 240)
    place_of(picture, words("0 channels, 2 constant"))
    assert not (picture == UP).all(axis=-1).any()


def test_records_stand_in_their_order_under_their_heat():
    heats = [np.eye(4), np.eye(4)[::-1]]
    records = [ExcitedRecord(photograph(seed=seed), heats[seed], f"cat_{seed}", 3.5 - seed) for seed in (0, 1)]
    page = excited_sheet([ExcitedChannel("channel 7", records)], heading="layer4", colormap="viridis", alpha=0.6)
    drawn = [overlay(r.picture, heatmap(r.heat, (160, 160)).values, "viridis", 0.6) for r in records]
    first, second = (place_of(page, picture) for picture in drawn)
    assert (first[0], first[1] + 160 + 12) == second
    for rank, (record, place) in enumerate(zip(records, (first, second), strict=True), 1):
        line = place_of(page, words(f"{rank} · {record.record_id}", colour=INK))
        assert line == (place[0] + 160, place[1])
    assert place_of(page, words("3.5")) == (first[0] + 160 + 17, first[1])


def test_channels_are_rows():
    pictures = [photograph(seed=seed) for seed in range(3)]
    channels = [
        ExcitedChannel(f"channel {index}", [ExcitedRecord(picture, None, "a", 1.0)], "of 9 records")
        for index, picture in enumerate(pictures)
    ]
    places = [place_of(excited_sheet(channels, heading="layer4"), picture) for picture in pictures]
    assert len({left for _, left in places}) == 1
    assert [top for top, _ in places] == sorted(top for top, _ in places)


def test_more_than_eight_records_continue_below():
    pictures = [photograph(seed=seed) for seed in range(10)]
    records = [ExcitedRecord(picture, None, str(index), 1.0) for index, picture in enumerate(pictures)]
    page = excited_sheet([ExcitedChannel("channel", records)], heading="layer4")
    places = [place_of(page, picture) for picture in pictures]
    assert len({top for top, _ in places[:8]}) == 1
    assert places[8][0] > places[7][0]
    assert places[8][1] == places[0][1]


@pytest.mark.parametrize(
    ("heat", "reason"),
    [(np.zeros((4, 4)), "2, nothing above zero"), (np.full((4, 4), np.nan), "2, its map is not finite")],
)
def test_a_heat_that_shows_nothing_leaves_the_picture_bare_and_says_why(heat, reason):
    page = excited_sheet([ExcitedChannel("channel 7", [ExcitedRecord(photograph(), heat, "a", 2.0)])], heading="layer4")
    place_of(page, photograph())
    place_of(page, words(reason, colour=(178, 58, 30)))


def test_a_field_keeps_its_sign_and_its_place():
    picture = np.full((256, 256, 3), 255, np.uint8)
    field = np.zeros((8, 8))
    field[1, 1], field[6, 5] = 2.0, -2.0
    page = receptive_field_figure(picture, {"gradient": field}, position=(128, 128), heading="layer1", alpha=1.0)
    corner = place_of(page, words("gradient", 14, INK))
    shown = page[corner[0] + 20 :, corner[1] :][:256, :256].astype(int)
    redness = shown[..., 0] - shown[..., 2]
    reddest, bluest = (np.argwhere(redness == extreme).mean(axis=0) for extreme in (redness.max(), redness.min()))
    np.testing.assert_allclose([reddest, bluest], [(47.5, 47.5), (207.5, 175.5)], atol=1)


def test_a_scale_that_is_not_symmetric_would_be_noticed():
    picture = np.full((256, 256, 3), 255, np.uint8)
    field = np.ones((2, 2))
    field[1, 1] = -0.25
    page = receptive_field_figure(picture, {"gradient": field}, position=(128, 128), heading="layer1", alpha=1.0)
    corner = place_of(page, words("gradient", 14, INK))
    shown = page[corner[0] + 20 :, corner[1] :][:256, :256]
    assert (shown == RED_BLUE[255]).all(axis=-1).any()
    assert not (shown == RED_BLUE[0]).all(axis=-1).any()


def test_small_fields_are_enlarged_around_them():
    field = np.zeros((240, 240))
    field[100:110, 50:60] = 1.0
    window = seen_window((240, 240), [field], (105.0, 55.0))
    assert window == (90, 40, 120, 70)
    whole = np.ones((4, 4))
    assert seen_window((240, 240), [field, whole], (105.0, 55.0)) == (0, 0, 240, 240)
    assert seen_window((240, 240), [np.full((4, 4), np.nan)], (0.0, 0.0)) == (0, 0, 240, 240)


def test_an_enlarged_field_shows_its_cells_as_blocks():
    picture, field = np.full((256, 256, 3), 255, np.uint8), np.zeros((256, 256))
    field[100, 50], field[103, 53] = 1.0, -1.0
    page = receptive_field_figure(picture, {"gradient": field}, position=(110, 60), heading="layer1", alpha=1.0)
    corner = place_of(page, words("gradient", 14, INK))
    shown = page[corner[0] + 20 :, corner[1] :][:256, :256]
    found = [np.argwhere((shown == colour).all(axis=-1)) for colour in (RED_BLUE[255], RED_BLUE[0])]
    assert [np.ptp(cells, axis=0).tolist() for cells in found] == [[7, 7], [7, 7]]
    assert (found[1].mean(axis=0) - found[0].mean(axis=0)).tolist() == [24.0, 24.0]


def test_a_window_at_the_edge_stays_inside():
    field = np.zeros((100, 100))
    field[0, 99] = 1.0
    assert seen_window((100, 100), [field], (0.0, 99.0)) == (0, 75, 25, 100)


def test_the_frame_leaves_out_what_is_faint():
    field = np.zeros((6, 6))
    field[2, 3], field[3, 3], field[5, 5] = -1.0, 0.02, 0.009
    assert field_box(field) == (2, 3, 4, 4)
    assert field_box(np.zeros((3, 3))) is None


@pytest.mark.parametrize(("value", "reason"), [(0.0, "all zero"), (np.nan, "4 not finite")])
def test_a_field_without_numbers_says_so(value, reason):
    page = receptive_field_figure(
        photograph(256, 256), {"occlusion": np.full((2, 2), value)}, position=(9, 9), heading="layer1"
    )
    place_of(page, words(reason, 14))


RECORD = ExcitedRecord(photograph(), np.eye(4), "a", 1.0)
PLANE = np.ones((4, 4))


@pytest.mark.parametrize(
    ("draw", "code"),
    [
        (lambda: feature_comparison(PLANE, np.ones(4), heading=""), "SW-R58"),
        (lambda: feature_comparison(PLANE, np.ones((5, 5)), PLANE, heading=""), "SW-R58"),
        (lambda: feature_comparison(PLANE, PLANE, correlations=PLANE, heading=""), "SW-R58"),
        (lambda: feature_comparison(PLANE, PLANE, vector=True, heading=""), "SW-R58"),
        (lambda: feature_comparison(np.zeros((0, 4)), np.zeros((0, 4)), heading=""), "SW-R58"),
        (lambda: feature_comparison(PLANE, PLANE, heading="", difference_colormap="warm"), "SW-R01"),
        (lambda: excited_sheet([], heading=""), "SW-R59"),
        (lambda: excited_sheet([ExcitedChannel("channel 7", [])], heading=""), "SW-R59"),
        (lambda: excited_sheet([ExcitedChannel("channel 7", [RECORD])], heading="", alpha=2.0), "SW-R05"),
        (lambda: receptive_field_figure(photograph(), {}, position=(1, 1), heading=""), "SW-R60"),
        (lambda: receptive_field_figure(photograph(), {"gradient": PLANE}, position=(1, 200), heading=""), "SW-R60"),
        (lambda: receptive_field_figure(photograph(), {"gradient": np.ones(4)}, position=(1, 1), heading=""), "SW-R04"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, code):
    with pytest.raises(RenderError) as caught:
        draw()
    assert caught.value.code == code
