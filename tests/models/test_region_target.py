"""The question to a segmentation model: a class's mean logit where it is predicted, settled once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from seewhy.models.region_target import Region, predicted_labels, shares_of
from seewhy.values import TargetError


def logits_of(labels: Tensor, classes: int, height: float = 3.0) -> Tensor:
    """Logits ``(1, C, *S)`` that are ``height`` at each place's label, else 0."""
    one_hot = torch.nn.functional.one_hot(labels, classes).movedim(-1, 0)
    return height * one_hot[None].double()


LABELS = torch.tensor([[0, 0, 0, 2], [0, 0, 1, 2], [0, 0, 1, 2]])


def test_the_score_is_the_mean_logit_over_the_places_of_the_class() -> None:
    logits = torch.randn(1, 3, 3, 4, dtype=torch.float64) * 0.1 + logits_of(LABELS, 3)
    for one in range(3):
        expected = logits[0, one][one == LABELS].mean()
        assert float(Region(one).bind(logits)(logits)) == pytest.approx(float(expected), abs=1e-14)


@pytest.mark.parametrize("shape", [(7,), (4, 5), (3, 4, 2)], ids=["signal", "picture", "volume"])
def test_its_gradient_is_one_over_the_number_of_places_and_zero_elsewhere(shape: tuple[int, ...]) -> None:
    logits = torch.randn(2, 3, *shape, dtype=torch.float64, requires_grad=True)
    bound = Region().bind(logits)
    (gradient,) = torch.autograd.grad(bound(logits).sum(), logits)
    labels = logits.detach().argmax(dim=1)
    for record, one in enumerate(bound.class_index):
        inside = (labels[record] == one).double()
        expected = torch.zeros_like(gradient[record])
        expected[one] = inside / inside.sum()
        assert torch.allclose(gradient[record], expected, atol=1e-15)


def test_the_most_frequent_class_is_asked_about_and_no_class_is_taken_for_the_background() -> None:
    logits = logits_of(LABELS, 3)
    assert Region().bind(logits).class_index == (0,)
    assert Region(background=0).bind(logits).class_index == (2,)
    assert Region(background=2).bind(logits).class_index == (0,)


def test_region_and_class_stay_when_the_input_changes() -> None:
    clean = logits_of(LABELS, 3)
    bound = Region(background=0).bind(clean)
    moved = logits_of(LABELS.flip(1), 3)
    assert bound.bind(moved) is bound
    assert float(bound(moved)) == pytest.approx(0.0)
    assert float(bound(clean)) == pytest.approx(3.0)


def test_records_keep_their_own_question_when_they_are_repeated_and_moved() -> None:
    logits = torch.randn(3, 4, 5, 5, dtype=torch.float64)
    bound = Region().bind(logits)
    rows = [2, 0, 0, 1]
    assert torch.equal(bound.take(rows)(logits[rows]), bound(logits)[rows])
    assert bound.take(rows).class_index == tuple(bound.class_index[row] for row in rows)


def test_a_single_channel_argues_for_both_classes() -> None:
    logits = torch.tensor([[[[2.0, -1.0, -3.0, 0.0]]]], dtype=torch.float64)
    assert torch.equal(predicted_labels(logits), torch.tensor([[[1, 0, 0, 1]]]))
    assert float(Region(1).bind(logits)(logits)) == pytest.approx((2.0 + 0.0) / 2)
    assert float(Region(0).bind(logits)(logits)) == pytest.approx((1.0 + 3.0) / 2)


def test_more_classes_than_a_byte_holds() -> None:
    labels = torch.tensor([[299, 299], [7, 299]])
    logits = logits_of(labels, 300)
    assert Region().bind(logits).class_index == (299,)
    assert shares_of(labels) == {299: 0.75, 7: 0.25}


def test_a_class_that_is_nowhere_is_refused_with_those_that_are_there() -> None:
    with pytest.raises(TargetError, match=r"0 \(58\.3%\), 2 \(25\.0%\), 1 \(16\.7%\)") as caught:
        Region(3).bind(logits_of(LABELS, 4))
    assert caught.value.code == "SW-T50"
    assert caught.value.near == ("0", "2", "1")


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "outputs without places": (lambda: Region().bind(torch.zeros(2, 3)), "SW-T51"),
    "nothing but background": (lambda: Region(background=0).bind(torch.zeros(1, 3, 2, 2)), "SW-T52"),
    "a background that is no class": (lambda: Region(background=7).bind(torch.zeros(1, 3, 2, 2)), "SW-T01"),
    "not one class per record": (lambda: Region((0, 1)).bind(torch.zeros(3, 3, 2, 2)), "SW-T53"),
    "a class out of range": (lambda: Region(5).bind(torch.zeros(1, 3, 2, 2)), "SW-T01"),
    "a class that is a float": (lambda: Region(0.5).bind(torch.zeros(1, 3, 2, 2)), "SW-T10"),  # type: ignore[arg-type]
    "another number of places": (
        lambda: Region().bind(torch.zeros(1, 3, 2, 2))(torch.zeros(1, 3, 4, 4)), "SW-T54",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_asked_is_refused(name: str) -> None:
    ask, code = REFUSED[name]
    with pytest.raises(TargetError) as caught:
        ask()
    assert caught.value.code == code
