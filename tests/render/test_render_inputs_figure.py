"""Figures of several inputs: every overlay is at its place, carries its share, and says where there is nothing."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from seewhy.render import RenderError, overlay, resize
from seewhy.render.columns import in_column, shown_size
from seewhy.render.evidence import painted, share_words, why_bare
from seewhy.render.inputs_figure import bands_of, heat_cell, inputs_figure, scale_note
from seewhy.render.layout import LONGEST
from seewhy.render.summary_figure import CORRECT, UNKNOWN, WRONG, Sample, summary_figure, tint
from seewhy.render.text import INK, QUIET, line_height, text_line

MARGIN, GAP = 24, 14
NAMES = ("mnv", "fluid", "ga", "drusen")


def picture(height=224, width=224, seed=0):
    return np.random.default_rng(seed).integers(60, 200, (height, width, 3), dtype=np.uint8)


def pictures(names=NAMES, **sizes):
    return {name: picture(*sizes.get(name, (224, 224)), seed=seed) for seed, name in enumerate(names)}


def peak_at(row, column, cells=7, value=1.0):
    heat = np.zeros((cells, cells))
    heat[row, column] = value
    return heat


def tops_of(page, part, left):
    """Every row at which ``part`` lies on the page, pixel for pixel, with its left edge at ``left``."""
    height, width = part.shape[:2]
    strip = page[:, left : left + width]
    starts = np.flatnonzero((strip[: len(page) - height + 1, :8] == part[0, :8]).all(axis=(1, 2)))
    return [int(top) for top in starts if np.array_equal(strip[top : top + height], part)]


def has_line(page, text, size, colour, left):
    """Whether a line of text stands on the page with its left edge at ``left``."""
    line = text_line(text, 380, size, colour)
    inked = int(np.flatnonzero((line != 255).any(axis=(0, 2)))[-1]) + 1
    return bool(tops_of(page, line[:, : max(inked, 8)], left))


def test_the_inputs_stand_in_the_top_row_and_below_each_its_overlay():
    images = pictures()
    heats = {name: peak_at(index, 2) for index, name in enumerate(NAMES)}
    page = inputs_figure(images, {"Grad-CAM": heats}, title="patient_001")
    tops = []
    for index, name in enumerate(NAMES):
        left = MARGIN + index * (224 + GAP)
        drawn = overlay(images[name], resize(heats[name], (224, 224)).clip(0, 1), "jet", 0.4)
        [above], [below] = tops_of(page, images[name], left), tops_of(page, drawn, left)
        tops.append((above, below))
    # title of 21 pixels, gap, input names of 14 pixels and 2 below them; then the row's title of 17 pixels
    above = MARGIN + line_height(21) + GAP + line_height(14) + 2
    assert set(tops) == {(above, above + 224 + GAP + line_height(17))}
    assert page.shape[1] == MARGIN + 4 * 224 + 3 * GAP + MARGIN


@pytest.mark.parametrize("methods", [1, 2, 4])
def test_there_is_one_row_of_overlays_per_method_in_the_given_order(methods):
    images = pictures(("mnv", "ga"))
    rows = {f"method {index}": {name: peak_at(index, index) for name in images} for index in range(methods)}
    page = inputs_figure(images, rows, title="record", colormap="viridis", alpha=0.6)
    left = MARGIN + 224 + GAP
    found = [
        tops_of(page, overlay(images["ga"], resize(heats["ga"], (224, 224)).clip(0, 1), "viridis", 0.6), left)
        for heats in rows.values()
    ]
    assert [len(tops) for tops in found] == [1] * methods
    assert all(first < second for [first], [second] in pairwise(found))


def test_the_share_stands_above_its_overlay():
    images = pictures(("mnv", "ga"))
    rows = {"Grad-CAM": {name: peak_at(3, 3) for name in images}}
    page = inputs_figure(images, rows, shares={"Grad-CAM": {"mnv": 0.62, "ga": 0.38}}, title="record")
    assert has_line(page, "62 % of the evidence", 14, INK, MARGIN)
    assert has_line(page, "38 % of the evidence", 14, INK, MARGIN + 224 + GAP)
    assert not has_line(page, "38 % of the evidence", 14, INK, MARGIN)


@pytest.mark.parametrize(
    ("value", "words"), [(0.0, "no evidence"), (np.nan, "not drawn: not finite"), (None, "no map")]
)
def test_an_input_without_a_map_to_show_stays_bare_and_says_why(value, words):
    images = pictures(("mnv", "ga"))
    heats = {"mnv": peak_at(3, 3)} | ({} if value is None else {"ga": np.full((7, 7), value)})
    page = inputs_figure(images, {"CAM": heats}, shares={"CAM": {"mnv": 1.0, "ga": 0.0}}, title="record")
    left = MARGIN + 224 + GAP
    assert len(tops_of(page, images["ga"], left)) == 2
    assert has_line(page, words, 14, QUIET, left)


@pytest.mark.parametrize(
    ("size", "shown"),
    [((100, 300), (107, 320)), ((640, 640), (320, 320)), ((900, 300), (480, 160)), ((32, 64), (160, 320))],
)
def test_pictures_of_any_proportion_share_one_column_width_undistorted(size, shown):
    images = {"wide": picture(320, 320), "other": picture(*size, seed=1)}
    page = inputs_figure(images, {"CAM": {}}, title="record")
    assert shown_size(*size, 320) == shown
    canvas = in_column(images["other"], 320)
    assert canvas.shape[:2] == shown
    assert len(tops_of(page, canvas, MARGIN + 320 + GAP)) == 2
    assert page.shape[1] == MARGIN + 320 + GAP + 320 + MARGIN


def test_a_heat_is_painted_as_given_and_not_stretched_to_its_own_peak():
    image = np.full((224, 224, 3), 128, np.uint8)
    for value in (0.4, 1.0):
        expected = overlay(image, np.full((224, 224), value), "jet", 0.4)
        assert np.array_equal(painted(image, np.full((2, 2), value), "jet", 0.4), expected)


def test_the_legend_names_the_colours_and_the_scale():
    images = pictures(("mnv", "ga"))
    rows = {"CAM": {name: peak_at(3, 3) for name in images}}
    common, own = (inputs_figure(images, rows, title="record", per_input_scale=each) for each in (False, True))
    width = common.shape[1] - 2 * MARGIN
    for page, note in ((common, "one scale for all inputs"), (own, "each overlay has its own scale")):
        assert tops_of(page, text_line(note, width, 14, QUIET, align="centre"), MARGIN)
    legend_left = MARGIN + (width - min(width, 34 * 14)) // 2
    assert has_line(common, "blue: low", 14, QUIET, legend_left)
    plain = inputs_figure(images, rows, title="record", colormap="viridis")
    assert has_line(plain, "low", 14, QUIET, legend_left)
    assert not has_line(plain, "blue: low", 14, QUIET, legend_left)


@pytest.mark.parametrize(
    ("arguments", "note"),
    [
        ((1, 1, False), ""),
        ((4, 1, False), "one scale for all inputs"),
        ((4, 2, False), "in each row one scale for all inputs"),
        ((1, 2, False), "each overlay has its own scale"),
        ((4, 2, True), "each overlay has its own scale"),
    ],
)
def test_the_note_says_which_overlays_may_be_compared(arguments, note):
    assert scale_note(*arguments) == note


@pytest.mark.parametrize(("count", "bands"), [(1, [1]), (8, [8]), (9, [5, 4]), (17, [6, 6, 5])])
def test_many_inputs_continue_in_even_bands(count, bands):
    assert [len(band) for band in bands_of([str(index) for index in range(count)])] == bands


def test_inputs_of_the_second_band_are_drawn_below_the_first():
    images = pictures([f"view {index}" for index in range(9)])
    page = inputs_figure(images, {"CAM": {name: peak_at(1, 1) for name in images}}, title="record")
    [first], [sixth] = tops_of(page, images["view 0"], MARGIN), tops_of(page, images["view 5"], MARGIN)
    assert sixth > first + 2 * 224
    assert page.shape[1] == 2 * MARGIN + 5 * 224 + 4 * GAP


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.0, "0 %"),
        (0.004, "under 1 %"),
        (0.005, "under 1 %"),
        (0.006, "1 %"),
        (0.62, "62 %"),
        (0.996, "over 99 %"),
        (1.0, "100 %"),
    ],
)
def test_shares_are_rounded_but_never_to_none_or_all(share, words):
    assert share_words(share) == words


def test_a_zero_map_is_no_evidence_whatever_its_share_says():
    cell = heat_cell(picture(), np.zeros((3, 3)), 0.4, "jet", 0.4)
    assert cell[:2] == ("no evidence", False)
    assert why_bare(np.full((3, 3), 1e-9)) == ""


@pytest.mark.parametrize(
    ("images", "rows", "shares", "code"),
    [
        ({}, {"CAM": {}}, None, "SW-R40"),
        ({"mnv": picture()}, {}, None, "SW-R40"),
        ({"mnv": picture()}, {"CAM": {"mvn": np.eye(2)}}, None, "SW-R41"),
        ({"mnv": picture()}, {"CAM": {}}, {"CAM": {"mvn": 0.5}}, "SW-R41"),
        ({"mnv": picture()}, {"CAM": {}}, {"CAN": {}}, "SW-R41"),
        ({"mnv": picture()}, {"CAM": {"mnv": np.eye(2)}}, {"CAM": {"mnv": 1.2}}, "SW-R42"),
        ({"mnv": picture()}, {"CAM": {"mnv": np.eye(2)}}, {"CAM": {"mnv": np.nan}}, "SW-R42"),
        ({"mnv": picture()}, {"CAM": {"mnv": 2 * np.eye(2)}}, None, "SW-R02"),
        ({"mnv": picture().astype(float)}, {"CAM": {}}, None, "SW-R03"),
    ],
)
def test_what_does_not_fit_is_refused(images, rows, shares, code):
    with pytest.raises(RenderError) as caught:
        inputs_figure(images, rows, shares=shares, title="record")
    assert caught.value.code == code
    if code == "SW-R41":
        assert caught.value.near in (("mnv",), ("CAM",))


def sample(number=0, true="Early", predicted="Early", names=NAMES):
    images = pictures(names)
    heats = {name: peak_at(2, 2) for name in names}
    return Sample(f"sample_{number:03d}", true, predicted, images, heats, dict.fromkeys(names, 1 / len(names)))


def test_a_summary_has_a_row_per_sample_and_a_column_per_input():
    samples = [sample(0), sample(1)]
    page = summary_figure(samples)
    for index, name in enumerate(NAMES):
        canvas = in_column(samples[0].pictures[name], 192)
        drawn = overlay(canvas, resize(peak_at(2, 2), (192, 192)).clip(0, 1), "jet", 0.4)
        first, second = tops_of(page, drawn, MARGIN + 176 + GAP + index * (192 + GAP))
        assert second - first == 192 + 2 + line_height(14) + GAP
    assert has_line(page, "Grad-CAM Summary - 2 Samples", 21, INK, MARGIN)


@pytest.mark.parametrize(
    ("true", "predicted", "word", "colour"),
    [
        ("Early", "Early", "correct", CORRECT),
        ("Early", "Late", "wrong", WRONG),
        (None, "Late", "not labelled", UNKNOWN),
    ],
)
def test_right_and_wrong_differ_in_colour_and_in_words(true, predicted, word, colour):
    one = sample(true=true, predicted=predicted)
    assert one.verdict == (word, colour)
    page = summary_figure([one])
    stripe = page[:, MARGIN : MARGIN + 6].reshape(len(page), -1)
    rows = np.flatnonzero((stripe == np.tile(np.array(colour), 6)).all(axis=1))
    assert len(rows) == 192 + 2 + line_height(14)
    assert tuple(page[rows[0], MARGIN + 10]) == tint(colour)


def test_the_box_names_sample_truth_and_prediction():
    page = summary_figure([sample(7, "Early", "Late")])
    box = page[:, MARGIN + 6 + 14 : MARGIN + 176].astype(int)
    ground = np.array(tint(WRONG))
    for words in ("sample_007", "True: Early", "Pred: Late"):
        line = np.minimum(text_line(words, 176 - 6 - 7 - 14, 14, INK), ground)
        assert any(
            np.array_equal(box[top : top + len(line), : line.shape[1]], line) for top in range(len(box) - len(line))
        )


def test_a_sample_without_an_input_leaves_its_place_empty():
    samples = [sample(0), sample(1, names=("mnv", "ga"))]
    page = summary_figure(samples)
    canvas = in_column(samples[0].pictures["fluid"], 192)
    drawn = overlay(canvas, resize(peak_at(2, 2), (192, 192)).clip(0, 1), "jet", 0.4)
    [top] = tops_of(page, drawn, MARGIN + 176 + GAP + 192 + GAP)
    place = page[top + 192 + GAP + line_height(14) + 2 :, MARGIN + 176 + GAP + 192 + GAP :][:192, :192]
    assert (place == 255).all()


def test_what_does_not_fit_on_the_page_is_counted():
    page = summary_figure([replace(sample(0, names=("mnv",)), sample_id=f"sample_{index}") for index in range(64)])
    row = 192 + 2 + line_height(14) + GAP
    shown = LONGEST // row
    assert shown < 64
    assert has_line(page, f"the first {shown} are shown, {64 - shown} more are left out", 14, QUIET, MARGIN)
    assert len(page) < LONGEST + 300


def test_few_samples_are_all_shown_without_a_word_of_leaving_out():
    two, one = summary_figure([sample(0), sample(1)]), summary_figure([sample(0)])
    assert len(two) - len(one) == 192 + 2 + line_height(14) + GAP


@pytest.mark.parametrize("samples", [[], [Sample("a", None, "b", {}, {})]])
def test_a_summary_of_nothing_is_refused(samples):
    with pytest.raises(RenderError) as caught:
        summary_figure(samples)
    assert caught.value.code == "SW-R40"


def test_a_heat_for_an_unknown_input_is_refused_in_a_summary():
    with pytest.raises(RenderError) as caught:
        summary_figure([replace(sample(), heats={"drusn": np.eye(2)})])
    assert (caught.value.code, caught.value.near[0]) == ("SW-R41", "drusen")
