"""The demonstration's grades, on maps small enough to grade by eye."""

from __future__ import annotations

import math

import numpy as np
import pytest

from seewhy.demo.score import accuracy, localisation, peak_in_box

SIZE = (64, 64)


def one_hot(row: int, column: int, shape: tuple[int, int] = (8, 8)) -> np.ndarray:
    values = np.full(shape, -1.0, np.float32)
    values[row, column] = 0.5
    return values


def test_accuracy_is_the_share_of_equal_pairs() -> None:
    assert accuracy([3, 1, 4, 1], [3, 1, 4, 5]) == 0.75
    assert math.isnan(accuracy([], []))


def test_accuracy_refuses_lists_of_unequal_length() -> None:
    with pytest.raises(ValueError):
        accuracy([1, 2], [1])


def test_the_peak_is_at_its_cells_centre_rows_being_y() -> None:
    # Cell (row 2, column 5) of an 8 × 8 map on 64 pixels is centred at x = 44, y = 20.
    assert peak_in_box(one_hot(2, 5), (43, 19, 45, 21), SIZE) == 1
    assert peak_in_box(one_hot(5, 2), (43, 19, 45, 21), SIZE) == 0


@pytest.mark.parametrize(("box", "credit"), [((44, 20, 60, 60), 1), ((40, 16, 44, 60), 0), ((40, 16, 60, 20), 0)])
def test_a_box_holds_its_lower_edges_and_not_its_upper_ones(box: tuple[float, ...], credit: float) -> None:
    assert peak_in_box(one_hot(2, 5), box, SIZE) == credit


def test_height_and_width_scale_apart() -> None:
    # 2 × 4 cells on 20 × 80 pixels: cell (1, 3) is centred at x = 70, y = 15.
    assert peak_in_box(one_hot(1, 3, (2, 4)), (69, 14, 71, 16), (20, 80)) == 1


def test_the_peak_is_the_largest_value_and_not_the_largest_magnitude() -> None:
    values = np.array([[-9.0, 0.0], [0.0, 1.0]], np.float32)
    assert peak_in_box(values, (32, 32, 64, 64), SIZE) == 1


def test_cells_that_tie_share_the_credit() -> None:
    values = np.array([[1.0, 0.0], [1.0, 1.0]], np.float32)
    assert peak_in_box(values, (0, 0, 32, 64), SIZE) == pytest.approx(2 / 3)


def test_a_constant_map_scores_the_boxs_share_of_the_cells() -> None:
    assert peak_in_box(np.zeros((8, 8), np.float32), (0, 0, 16, 32), SIZE) == 8 / 64


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_map_that_is_not_finite_points_nowhere(value: float) -> None:
    values = one_hot(0, 0)
    values[7, 7] = value
    assert peak_in_box(values, (0, 0, 64, 64), SIZE) == 0


def test_localisation_is_the_mean_credit_beside_what_chance_would_score() -> None:
    boxes = [(0, 0, 16, 32), (0, 0, 64, 64)]
    hits, chance = localisation([one_hot(7, 7), one_hot(7, 7)], boxes, SIZE)
    assert hits == 0.5
    assert chance == (8 / 64 + 1) / 2


def test_localisation_of_nothing_is_no_number() -> None:
    assert all(math.isnan(share) for share in localisation([], [], SIZE))
