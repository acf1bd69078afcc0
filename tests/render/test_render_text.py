"""Names of any length and script stay in their place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seewhy.render.text import ELLIPSIS, PAPER, fit_text, line_height, printable, text_line, text_width


def ink_columns(line):
    return np.flatnonzero((line != PAPER).any(axis=(0, 2)))


@settings(max_examples=40)
@given(st.text(max_size=60), st.integers(30, 300), st.sampled_from(["middle", "end"]))
def test_a_fitted_text_is_no_wider_than_its_place(text, width, cut):
    assert text_width(fit_text(printable(text), width, 14, cut), 14) <= width


@given(st.text(max_size=60))
def test_any_text_is_drawn_on_a_line_of_the_promised_size(text):
    assert text_line(text, 100, 14).shape == (line_height(14), 100, 3)


def test_a_short_text_is_left_alone():
    assert fit_text("patient_1", 200, 14) == "patient_1"


def test_a_middle_cut_keeps_both_ends_and_an_end_cut_the_start():
    name = "patient_123_" + "x" * 80 + "_frame_07"
    middle, end = fit_text(name, 150, 14, "middle"), fit_text(name, 150, 14, "end")
    assert middle.startswith("patient")
    assert middle.endswith("_07")
    assert middle.count(ELLIPSIS) == 1
    assert end == name[: len(end) - 1] + ELLIPSIS


def test_as_much_as_fits_is_kept():
    shortened = fit_text("abcdefghij" * 10, 150, 14, "end")
    longer = ("abcdefghij" * 10)[: len(shortened)] + ELLIPSIS
    assert text_width(longer, 14) > 150


def test_line_breaks_and_lone_surrogates_become_spaces():
    assert printable("a\nb\x00c\ud800d") == "a b c d"


@pytest.mark.parametrize("text", ["Größe", "José", "αβγ", "Привет"])
def test_letters_beyond_ascii_are_drawn_not_boxed(text):
    boxes = {text_line("\uffff" * len(text), 120, 14).tobytes(), text_line("\u0378" * len(text), 120, 14).tobytes()}
    assert text_line(text, 120, 14).tobytes() not in boxes
    pictures = [text_line(letter, 30, 14).tobytes() for letter in dict.fromkeys(text)]
    assert len(set(pictures)) == len(pictures)


def test_alignment_moves_the_ink():
    left, centre, right = (ink_columns(text_line("ab", 100, 14, align=align)) for align in ("left", "centre", "right"))
    assert left[0] <= 2
    assert abs((centre[0] + centre[-1]) / 2 - 49.5) <= 1.5
    assert right[-1] >= 97
