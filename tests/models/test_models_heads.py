"""What a class means to a binary, multi-label or regression head, and what such a head predicts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from seewhy.models.heads import prediction, target_for
from seewhy.targets import BinaryLogit, LabelsAbove, Logit, class_index
from seewhy.values import TargetError

ONE = torch.tensor([[2.0], [-3.0], [0.0]])
THREE = torch.tensor([[2.0, -1.0, 0.5], [-3.0, -4.0, -2.0]])


@pytest.mark.parametrize(
    ("requested", "expected"),
    [(1, [2.0, -3.0, 0.0]), (0, [-2.0, 3.0, -0.0]), (None, [2.0, 3.0, 0.0]), ([0, 1, 0], [-2.0, -3.0, 0.0])],
)
def test_one_logit_argues_for_class_1_and_against_class_0(requested: Any, expected: list[float]) -> None:
    assert target_for("binary", 1, requested).bind(ONE)(ONE).tolist() == expected


def test_the_predicted_class_is_settled_on_the_clean_input() -> None:
    settled = target_for("binary", 1).bind(ONE)
    assert settled == BinaryLogit((1, 0, 1))
    assert settled.take([1, 1]) == BinaryLogit((0, 0))
    assert settled(-ONE).tolist() == [-2.0, -3.0, 0.0]


def test_a_probability_decides_at_one_half() -> None:
    probabilities = torch.tensor([[0.4], [0.6]])
    assert target_for("binary", 1, activation="sigmoid").bind(probabilities) == BinaryLogit((0, 1), 0.5)
    assert prediction("binary", probabilities, activation="sigmoid").predicted.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("task", "outputs", "requested", "target"),
    [
        (None, 1, None, Logit(0)),
        (None, 5, None, Logit()),
        (None, 5, 3, Logit(3)),
        ("multiclass", 5, [3, 1], Logit((3, 1))),
        ("multiclass", 5, torch.tensor([3, 1]), Logit((3, 1))),
        ("multiclass", 5, np.array([3, 1]), Logit((3, 1))),
        ("binary", 2, 0, Logit(0)),
        ("multilabel", 3, 2, Logit(2)),
        ("multilabel", 3, (2, 0), Logit((2, 0))),
        ("regression", 1, None, Logit(0)),
        ("regression", 3, 2, Logit(2)),
    ],
)
def test_a_task_and_a_class_make_a_question(task: Any, outputs: int, requested: Any, target: Logit) -> None:
    assert target_for(task, outputs, requested) == target


@pytest.mark.parametrize(
    ("task", "outputs", "requested", "settings", "code"),
    [
        ("binarry", 1, None, {}, "SW-T13"),
        ("binary", 3, None, {}, "SW-T14"),
        ("multiclass", 1, None, {}, "SW-T14"),
        (None, 1, 0, {}, "SW-T15"),
        (None, 1, 1, {}, "SW-T15"),
        ("multilabel", 3, None, {}, "SW-T16"),
        ("regression", 3, None, {}, "SW-T17"),
        ("multilabel", 3, None, {"threshold": 1.0}, "SW-T18"),
        ("multiclass", 3, None, {"threshold": 0.5}, "SW-T18"),
        ("regression", 3, "price", {}, "SW-T19"),
        ("binary", 1, 2, {}, "SW-T01"),
        ("multilabel", 3, 3, {}, "SW-T01"),
        ("regression", 3, -1, {}, "SW-T01"),
        ("multiclass", 3, "dog", {}, "SW-T10"),
        ("multiclass", 3, [0, True], {}, "SW-T10"),
    ],
)
def test_a_question_the_head_does_not_answer_is_refused(
    task: Any, outputs: int, requested: Any, settings: dict[str, float], code: str
) -> None:
    with pytest.raises(TargetError) as caught:
        target_for(task, outputs, requested, **settings)
    assert caught.value.code == code


def test_the_error_for_a_single_output_names_both_tasks() -> None:
    with pytest.raises(TargetError, match=r"task='binary'.*task='regression'"):
        target_for(None, 1, 0)


def test_labels_above_a_threshold_are_settled_and_summed() -> None:
    target = target_for("multilabel", 3, threshold=0.5).bind(THREE[:1])
    assert target == LabelsAbove(0.0, ((0, 2),))
    assert target(torch.tensor([[10.0, 20.0, 30.0]])).tolist() == [40.0]
    assert target.take([0, 0]).labels == ((0, 2), (0, 2))
    assert target_for("multilabel", 3, threshold=0.9) == LabelsAbove(pytest.approx(math.log(9)))
    assert target_for("multilabel", 3, threshold=0.9, activation="sigmoid") == LabelsAbove(0.9)


def test_a_record_without_any_label_above_the_threshold_is_named() -> None:
    with pytest.raises(TargetError, match=r"no label of record 1 .* its highest output is -2") as caught:
        target_for("multilabel", 3, threshold=0.5).bind(THREE)
    assert caught.value.code == "SW-T12"


def test_predictions_of_a_binary_head() -> None:
    found = prediction("binary", ONE)
    assert found.predicted.tolist() == [1, 0, 1]
    positive = [1 / (1 + math.exp(-value)) for value in (2.0, -3.0, 0.0)]
    torch.testing.assert_close(found.probabilities[:, 1], torch.tensor(positive))
    torch.testing.assert_close(found.probabilities.sum(dim=1), torch.ones(3))
    torch.testing.assert_close(found.confidence, torch.tensor([positive[0], 1 - positive[1], 0.5]))


def test_predictions_of_several_classes() -> None:
    found = prediction(None, THREE)
    assert found.predicted.tolist() == [0, 2]
    expected = math.exp(2) / (math.exp(2) + math.exp(-1) + math.exp(0.5))
    assert float(found.confidence[0]) == pytest.approx(expected, rel=1e-6)
    probabilities = THREE.softmax(dim=1)
    assert torch.equal(prediction(None, probabilities, activation="softmax").probabilities, probabilities)
    torch.testing.assert_close(
        prediction(None, THREE.log_softmax(1), activation="log_softmax").probabilities, probabilities
    )


def test_labels_have_probabilities_and_values_have_neither() -> None:
    labels = prediction("multilabel", THREE)
    assert (labels.predicted, labels.confidence) == (None, None)
    assert float(labels.probabilities[0, 2]) == pytest.approx(1 / (1 + math.exp(-0.5)), rel=1e-6)
    for task, outputs in (("regression", THREE), (None, ONE)):
        found = prediction(task, outputs)
        assert (found.predicted, found.confidence, found.probabilities) == (None, None, None)


@pytest.mark.parametrize(
    "wanted", [2, np.int64(2), np.uint8(2), np.array(2), torch.tensor(2), torch.tensor(2, dtype=torch.int8)]
)
def test_whole_numbers_of_every_kind_are_classes(wanted: Any) -> None:
    assert class_index(wanted, 3) == 2
    assert type(class_index(wanted, 3)) is int


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (3, "SW-T01"), (-1, "SW-T01"), (np.int64(3), "SW-T01"), (torch.tensor(-1), "SW-T01"),
        (1.0, "SW-T10"), (np.float32(1), "SW-T10"), (torch.tensor(1.0), "SW-T10"), (True, "SW-T10"),
        (np.bool_(True), "SW-T10"), (torch.tensor(True), "SW-T10"), ("1", "SW-T10"), (torch.tensor([1]), "SW-T10"),
    ],
)  # fmt: skip
def test_anything_else_is_no_class(wanted: Any, code: str) -> None:
    with pytest.raises(TargetError) as caught:
        class_index(wanted, 3)
    assert caught.value.code == code
