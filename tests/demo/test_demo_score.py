"""The demonstration's grades, on maps small enough to grade by eye."""

from __future__ import annotations

import math

import numpy as np
import pytest

from seewhy.demo.score import accuracy, localisation

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


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_map_that_is_not_finite_points_nowhere(value: float) -> None:
    values = one_hot(0, 0)
    values[7, 7] = value
    assert localisation([values], [(0, 0, 64, 64)], SIZE) == (0.0, 1.0)


def test_localisation_is_the_mean_credit_beside_what_chance_would_score() -> None:
    boxes = [(0, 0, 16, 32), (0, 0, 64, 64)]
    hits, chance = localisation([one_hot(7, 7), one_hot(7, 7)], boxes, SIZE)
    assert hits == 0.5
    assert chance == (8 / 64 + 1) / 2


def test_localisation_of_nothing_is_no_number() -> None:
    assert all(math.isnan(share) for share in localisation([], [], SIZE))
