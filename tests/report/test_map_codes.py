"""Maps as codes: zero, sign and peaks survive; volumes are read where their pictures show them."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seewhy.report.map_codes import coded, histogram_of, map_json, statistics_of, tiles_of


def decoded(told: dict) -> np.ndarray:
    """What a page reads back of MAP."""
    codes = np.frombuffer(base64.b64decode(told["codes"]), np.int8).astype(float)
    codes = codes.reshape(told["tiles"], told["height"], told["width"])
    values = np.where(codes > 0, codes * told["peak"] / 127, codes * told["trough"] / 127)
    return np.where(codes == -128, np.nan, values)


def test_zero_stays_zero_and_each_side_has_its_own_peak() -> None:
    found = coded(np.array([[[0.0, -0.0, 0.02, -8.0, 0.01]]]))
    assert found.codes.tolist() == [[[0, 0, 127, -127, 64]]]  # 63.5 rounds to even
    assert (found.peak, found.trough) == (0.02, 8.0)


def test_a_zero_map_has_no_peak() -> None:
    found = coded(np.zeros((1, 2, 2)))
    assert not found.codes.any()
    assert (found.peak, found.trough) == (0.0, 0.0)
    assert np.copysign(1, found.trough) == 1


def test_a_positive_map_has_no_trough_and_keeps_its_floor() -> None:
    """No min-max: the least of positive values is not drawn as zero."""
    found = coded(np.array([[[3.0, 4.0]]]))
    assert found.codes.tolist() == [[[95, 127]]]
    assert found.trough == 0.0


def test_values_that_are_not_finite_are_told_apart() -> None:
    found = coded(np.array([[[np.nan, np.inf, -np.inf, 1.0]]]))
    assert found.codes.tolist() == [[[-128, -128, -128, 127]]]
    assert (found.peak, found.trough) == (1.0, 0.0)


def test_only_values_that_are_not_finite() -> None:
    found = coded(np.full((1, 1, 2), np.nan))
    assert found.codes.tolist() == [[[-128, -128]]]
    assert (found.peak, found.trough) == (0.0, 0.0)


@given(st.lists(st.floats(-1024, 1024), min_size=1, max_size=40))
def test_what_is_read_back_is_half_a_step_away_at_most(values: list[float]) -> None:
    raw = np.array(values)
    read = decoded(map_json(raw, question="q", method="m"))[0, 0]
    step = np.where(raw > 0, max(raw.max(), 0), max(-raw.min(), 0)) / 254
    assert (np.abs(read - raw) <= step * (1 + 1e-9)).all()
    assert ((np.sign(read) == np.sign(raw)) | (read == 0)).all()


def test_the_smallest_numbers_have_codes_too() -> None:
    tiny = float(np.float32(1e-45))
    assert coded(np.array([[[tiny, -tiny]]])).codes.tolist() == [[[127, -127]]]


def test_a_volume_is_read_at_the_middle_of_the_slices_shown() -> None:
    """Four planes over eight slices: slice i lies at (i + 0.5) / 8 * 4 - 0.5."""
    raw = np.arange(4.0)[:, None, None] * np.ones((4, 2, 3))
    read = tiles_of(raw, shown=(0, 1, 2, 5, 7), of=8)
    assert read.shape == (5, 2, 3)
    assert read[:, 0, 0].tolist() == [0.0, 0.25, 0.75, 2.25, 3.0]


def test_a_volume_as_deep_as_its_input_is_read_plane_by_plane() -> None:
    raw = np.arange(6.0)[:, None, None]
    raw[3] = np.nan
    read = tiles_of(raw, shown=(0, 2, 3, 4), of=6)[:, 0, 0]
    assert read[[0, 1, 3]].tolist() == [0.0, 2.0, 4.0]
    assert np.isnan(read[2])


def test_a_map_without_depth_says_the_same_of_every_slice() -> None:
    read = tiles_of(np.array([[1.0, 2.0]]), shown=(1, 5), of=9)
    assert read.tolist() == [[[1.0, 2.0]], [[1.0, 2.0]]]


def test_a_signal_is_one_row() -> None:
    assert tiles_of(np.array([1.0, 2.0, 3.0]), shown=(0,), of=1).tolist() == [[[1.0, 2.0, 3.0]]]


def test_statistics_by_hand() -> None:
    found = statistics_of(np.array([0.0, 0.0, 0.005, 1.0, np.nan]))
    assert found["mean"] == pytest.approx(1.005 / 4)
    assert found["std"] == pytest.approx(np.sqrt((0.005**2 + 1) / 4 - (1.005 / 4) ** 2))
    assert (found["min"], found["max"], found["sparsity"], found["near_zero"]) == (0.0, 1.0, 0.5, 0.75)
    assert (found["nonfinite"], found["count"]) == (1, 5)


def test_statistics_of_nothing_finite_are_none() -> None:
    found = statistics_of(np.full(3, np.inf))
    assert found["mean"] is None
    assert found["sparsity"] is None
    assert (found["nonfinite"], found["count"]) == (3, 3)
    assert histogram_of(np.full(3, np.inf)) is None


def test_a_histogram_counts_every_finite_value() -> None:
    found = histogram_of(np.array([-1.0, 0.0, 1.0, 1.0, np.nan]))
    assert found is not None
    assert len(found["edges"]) == 51
    assert (found["edges"][0], found["edges"][-1], sum(found["counts"])) == (-1.0, 1.0, 4)
    assert found["counts"][25] == 1  # zero is the lower edge of the 26th of 50 parts


def test_statistics_are_those_of_the_whole_volume_not_of_the_slices_shown() -> None:
    raw = np.arange(4.0)[:, None, None]
    told = map_json(raw, question="q", method="m", shown=(3,), of=4)
    assert told["tiles"] == 1
    assert told["statistics"]["mean"] == 1.5
    assert decoded(told).tolist() == [[[3.0]]]
