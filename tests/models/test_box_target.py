"""The question about one box: which candidate it is, its logit, and what is left where the box is gone."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.ops import box_iou

from seewhy.core import Target
from seewhy.models.box_target import BoundBox, Box, floor_of, iou
from seewhy.models.candidates import Candidates
from seewhy.values import SeewhyError

ONE, TWO = (0.0, 0.0, 10.0, 10.0), (30.0, 30.0, 40.0, 40.0)


def outputs(
    boxes: list[tuple[float, ...]], logits: list[list[float]], scores: list[list[float]] | None = None
) -> Tensor:
    """One record's candidates; the scores are the logits' sigmoids if none are given."""
    table = torch.tensor([logits])
    said = table.sigmoid() if scores is None else torch.tensor([scores])
    return Candidates(torch.tensor([boxes]), table, said).packed()


CLEAN = outputs([ONE, TWO], [[2.0, -1.0], [0.5, 3.0]])


def code_of(ask: Callable[[], object]) -> str:
    with pytest.raises(SeewhyError) as caught:
        ask()
    return caught.value.code


def test_it_is_a_target() -> None:
    assert isinstance(Box(), Target)
    assert isinstance(Box().bind(CLEAN), Target)


def test_the_best_box_and_its_class_are_settled_on_the_clean_input() -> None:
    bound = Box().bind(CLEAN)
    assert (bound.classes, bound.boxes) == ((1,), (TWO,))
    assert bound(CLEAN).tolist() == [3.0]


def test_a_rank_asks_for_the_next_best() -> None:
    bound = Box(rank=1).bind(CLEAN)
    assert (bound.classes, bound.boxes) == ((0,), (ONE,))
    assert bound(CLEAN).tolist() == [2.0]


def test_a_given_class_and_box_are_kept() -> None:
    assert Box(1, ONE).bind(CLEAN)(CLEAN).tolist() == [-1.0]
    assert Box(None, ONE).bind(CLEAN).classes == (0,)
    assert Box(0).bind(CLEAN).boxes == (ONE,)


def test_the_same_box_wins_however_low_its_score() -> None:
    """The other overlaps by 0.9 with a score of almost 1, the same box has a score of 0.01."""
    near = (0.0, 0.0, 10.0, 9.0)
    bound = Box(0, ONE).bind(CLEAN)
    assert bound(outputs([near, ONE], [[9.0], [-4.6]])).tolist() == [pytest.approx(-4.6)]


def test_a_moved_box_is_found_by_overlap_times_score() -> None:
    """Overlaps 0.6 and 0.8 with scores 0.9 and 0.5: 0.54 is more than 0.40."""
    bound = Box(0, ONE).bind(CLEAN)
    moved = outputs([(0.0, 0, 10, 6), (0.0, 0, 10, 8)], [[7.0], [8.0]], [[0.9], [0.5]])
    assert bound(moved).tolist() == [7.0]
    less = outputs([(0.0, 0, 10, 6), (0.0, 0, 10, 8)], [[7.0], [8.0]], [[0.9], [0.7]])
    assert bound(less).tolist() == [8.0]


def test_a_box_that_overlaps_too_little_is_gone() -> None:
    bound = Box(0, ONE).bind(CLEAN)
    at_threshold, below = (0.0, 0.0, 10.0, 5.0), (0.0, 0.0, 10.0, 4.9)
    assert bound(outputs([at_threshold], [[7.0]])).tolist() == [7.0]
    assert bound(outputs([below], [[7.0]])).tolist() == list(map(pytest.approx, bound.floors))


def test_a_candidate_that_is_not_proposed_for_the_class_is_not_the_box() -> None:
    bound = Box(0, ONE).bind(CLEAN)
    assert bound(outputs([ONE], [[7.0, 1.0]], [[0.0, 0.9]])).tolist() == list(map(pytest.approx, bound.floors))


def test_a_class_that_no_candidate_of_a_pass_has_is_gone() -> None:
    bound = Box(1, TWO).bind(CLEAN)
    assert bound(outputs([TWO], [[7.0]])).tolist() == list(map(pytest.approx, bound.floors))


def test_the_floor_of_a_sigmoid_is_the_log_odds_of_the_threshold() -> None:
    for logit in (-1.0, 0.0, 4.0):
        score = 1 / (1 + math.exp(-logit))
        assert floor_of(logit, score, 0.05) == pytest.approx(math.log(0.05 / 0.95), abs=1e-10)


def test_the_floor_of_a_softmax_gives_the_class_the_threshold_for_its_score() -> None:
    logits = torch.tensor([0.3, -1.0, 2.0, 0.7, -0.2], dtype=torch.float64)
    score = float(logits.softmax(dim=0)[2])
    logits[2] = floor_of(float(logits[2]), score, 0.05)
    assert float(logits.softmax(dim=0)[2]) == pytest.approx(0.05, abs=1e-10)


def test_the_floor_is_never_above_the_clean_score() -> None:
    assert floor_of(-5.0, 1 / (1 + math.exp(5.0)), 0.05) == pytest.approx(-5.0)


def test_only_the_logit_of_the_box_has_a_gradient() -> None:
    table = torch.tensor([[[2.0, -1.0], [0.5, 3.0]]], requires_grad=True)
    packed = Candidates(torch.tensor([[ONE, TWO]]), table, table.sigmoid()).packed()
    (gradient,) = torch.autograd.grad(Box(1, TWO).bind(packed)(packed).sum(), table)
    assert gradient.tolist() == [[[0, 0], [0, 1]]]


def test_a_box_that_is_gone_has_no_gradient() -> None:
    table = torch.zeros(1, 1, 1, requires_grad=True)
    packed = Candidates(torch.tensor([[TWO]]), table, table.sigmoid()).packed()
    (gradient,) = torch.autograd.grad(Box(0, ONE).bind(CLEAN)(packed).sum(), table)
    assert gradient.tolist() == [[[0]]]


def test_every_record_has_a_box_of_its_own_and_rows_may_be_taken() -> None:
    batch = torch.cat([CLEAN, outputs([TWO, ONE], [[2.5, 0.0], [0.0, -2.0]])])
    bound = Box().bind(batch)
    assert (bound.classes, bound.boxes) == ((1, 0), (TWO, TWO))
    assert bound(batch).tolist() == [3.0, 2.5]
    assert bound.take([1, 0, 1])(batch[[1, 0, 1]]).tolist() == [2.5, 3.0, 2.5]
    assert bound.bind(batch.flip(0)) == bound


def test_overlaps_are_torchvisions() -> None:
    corners = torch.rand(40, 2, dtype=torch.float64)
    boxes = torch.cat([corners, corners + torch.rand(40, 2, dtype=torch.float64)], dim=1)
    torch.testing.assert_close(iou(boxes[:, None], boxes[None]), box_iou(boxes, boxes), rtol=1e-10, atol=1e-12)


def test_boxes_without_an_area_overlap_with_nothing() -> None:
    empty = torch.tensor([1.0, 1, 1, 1])
    assert iou(empty, empty).item() == 0
    assert iou(empty, torch.tensor(ONE)).item() == 0
    assert iou(torch.tensor([5.0, 5, 1, 1]), torch.tensor(ONE)).item() == 0


@pytest.mark.parametrize(
    ("code", "ask"),
    [
        ("SW-T40", lambda: Box(iou_threshold=0.0)),
        ("SW-T40", lambda: Box(score_threshold=1.0)),
        ("SW-T40", lambda: Box(0, (5.0, 0.0, 1.0, 9.0))),
        ("SW-T41", lambda: Box(0, (60.0, 60.0, 70.0, 70.0)).bind(CLEAN)),
        ("SW-T41", lambda: Box(7, ONE).bind(CLEAN)),
        ("SW-T42", lambda: Box(rank=2).bind(CLEAN)),
        ("SW-T42", lambda: Box(rank=-1).bind(CLEAN)),
        ("SW-T43", lambda: BoundBox((0, 1), (ONE, TWO), (0.0, 0.0))(CLEAN)),
    ],
)
def test_a_question_that_does_not_fit_is_an_error(code: str, ask: Callable[[], object]) -> None:
    assert code_of(ask) == code
