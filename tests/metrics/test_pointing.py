"""The pointing game, on maps small enough to play by eye."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from seewhy.metrics.masks import masks_of_boxes
from seewhy.metrics.pointing import pointing_game, within
from seewhy.values import ConfigError


def one_hot(row: int, column: int, shape: tuple[int, int] = (8, 8)) -> Tensor:
    values = torch.full((1, *shape), -1.0)
    values[0, row, column] = 0.5
    return values


def credit(maps: Tensor, box: Sequence[float], size: tuple[int, int] = (64, 64), tolerance: float = 0.0) -> float:
    return pointing_game(maps, masks_of_boxes([box], size), tolerance=tolerance).values.item()


def test_the_peak_is_at_its_cells_centre_rows_being_y() -> None:
    # Cell (row 2, column 5) of an 8 × 8 map on 64 pixels is centred at x = 44, y = 20.
    assert credit(one_hot(2, 5), (43, 19, 45, 21)) == 1
    assert credit(one_hot(5, 2), (43, 19, 45, 21)) == 0
    place = pointing_game(one_hot(2, 5), torch.ones(1, 64, 64, dtype=torch.bool)).details["max_location"]
    assert place.tolist() == [[20.0, 44.0]]


@pytest.mark.parametrize(("box", "hit"), [((44, 20, 60, 60), 1), ((40, 16, 44, 60), 0), ((40, 16, 60, 20), 0)])
def test_a_box_holds_its_lower_edges_and_not_its_upper_ones(box: tuple[float, ...], hit: float) -> None:
    assert credit(one_hot(2, 5), box) == hit


def test_the_last_of_seven_cells_hits_its_own_part_of_the_picture() -> None:
    # What takes the cell's first corner for its place looks at (192, 192), and calls this a miss.
    assert credit(one_hot(6, 6, (7, 7)), (200, 200, 224, 224), (224, 224)) == 1


def test_height_and_width_scale_apart() -> None:
    # 2 × 4 cells on 20 × 80 pixels: cell (1, 3) is centred at x = 70, y = 15.
    assert credit(one_hot(1, 3, (2, 4)), (69, 14, 71, 16), (20, 80)) == 1


def test_the_peak_is_the_largest_value_and_not_the_largest_magnitude() -> None:
    assert credit(torch.tensor([[[-9.0, 0.0], [0.0, 1.0]]]), (32, 32, 64, 64)) == 1


def test_cells_that_tie_share_the_credit() -> None:
    assert credit(torch.tensor([[[1.0, 0.0], [1.0, 1.0]]]), (0, 0, 32, 64)) == pytest.approx(2 / 3)


def test_a_constant_map_scores_the_boxs_share_of_the_cells() -> None:
    assert credit(torch.zeros(1, 8, 8), (0, 0, 16, 32)) == 8 / 64


@pytest.mark.parametrize(("tolerance", "hit"), [(0, 0), (4.9, 0), (5, 1), (1e6, 1)])
def test_the_tolerance_is_a_distance_and_not_a_square(tolerance: float, hit: float) -> None:
    # The peak lies in pixel (row 20, column 44), the object is pixel (24, 47): 4 down, 3 across.
    assert credit(one_hot(2, 5), (47, 24, 48, 25), tolerance=tolerance) == hit


@pytest.mark.parametrize("size", [(9,), (6, 7), (4, 5, 3)])
def test_places_within_reach_are_those_of_the_definition(size: tuple[int, ...]) -> None:
    mask = torch.rand(3, *size, generator=torch.Generator().manual_seed(0)) < 0.1
    mask[2] = False
    places = torch.cartesian_prod(*[torch.arange(length) for length in size]).reshape(-1, len(size)).double()
    for reach in (0, 1, 1.5, 2.3, 50):
        for one, found in zip(mask, within(mask, reach), strict=True):
            marked = places[one.flatten()]
            true = (torch.cdist(places, marked) <= reach).any(dim=1) if len(marked) else torch.zeros(len(places))
            assert found.flatten().tolist() == true.bool().tolist()


def test_a_map_that_is_not_finite_and_an_empty_mask_have_no_credit_and_their_neighbours_have_theirs() -> None:
    maps = one_hot(2, 5).repeat(4, 1, 1)
    maps[0, 7, 7], maps[1, 0, 0] = math.inf, math.nan
    mask = torch.ones(4, 64, 64, dtype=torch.bool)
    mask[2] = False
    found = pointing_game(maps, mask)
    assert found.reasons == (*["the map holds NaN or infinite values"] * 2, "the mask is empty", None)
    assert found.values[3] == 1


@pytest.mark.parametrize("size", [(12,), (6, 8), (4, 6, 5)])
def test_any_rank_has_a_highest_place(size: tuple[int, ...]) -> None:
    maps = torch.zeros(1, *[length // 2 for length in size])
    maps[(0, *[-1] * len(size))] = 1
    mask = torch.zeros(1, *size, dtype=torch.bool)
    mask[(0, *[slice(-2, None)] * len(size))] = True
    assert pointing_game(maps, mask).values.tolist() == [1.0]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="SW-F263"):
        pointing_game(torch.zeros(1, 4, 4), torch.ones(1, 4, dtype=torch.bool))
    with pytest.raises(ConfigError, match="SW-F253"):
        pointing_game(torch.zeros(1, 4, 4), torch.ones(1, 4, 4, dtype=torch.bool), tolerance=-1.0)


def test_boxes_become_the_pixels_whose_centre_they_hold() -> None:
    masks = masks_of_boxes(torch.tensor([[0.4, 0.6, 2.5, 9.0], [3.0, 0.0, 3.0, 2.0]]), (2, 4))
    assert masks.int().tolist() == [[[0, 0, 0, 0], [1, 1, 0, 0]], [[0] * 4] * 2]


@pytest.mark.parametrize("boxes", [[(0, 0, 1)], [(3, 0, 1, 1)], [(0, 0, math.nan, 1)], [("a", 0, 1, 1)], 5, [None]])
def test_what_is_no_box_is_refused(boxes: object) -> None:
    with pytest.raises(ConfigError, match="SW-F262"):
        masks_of_boxes(boxes, (4, 4))  # type: ignore[arg-type]
