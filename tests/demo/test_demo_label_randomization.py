"""Learning permuted labels by heart, and methods graded beside the shipped model."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seewhy.demo.label_randomization import BY_HEART, Budget, grade_methods, memorize, permuted
from seewhy.demo.models import load
from seewhy.demo.scenes import Scenes, draw_scenes
from seewhy.demo.train import share_right


def scenes_of(count: int) -> Scenes:
    return Scenes(torch.zeros(count, 3, 2, 2, dtype=torch.uint8), torch.arange(count) % 10)


def test_permuted_labels_are_the_same_labels_of_other_scenes() -> None:
    scenes = scenes_of(500)
    found = permuted(scenes)
    assert found.labels.sort().values.tolist() == scenes.labels.sort().values.tolist()
    assert torch.equal(found.images, scenes.images)
    # One in ten keeps its label by chance: 50 of 500, with a deviation of 6.7.
    assert int((found.labels == scenes.labels).sum()) < 50 + 5 * 6.7
    assert torch.equal(permuted(scenes).labels, found.labels)
    assert not torch.equal(permuted(scenes, seed=1).labels, found.labels)


def test_few_scenes_are_learnt_by_heart_and_the_generator_stays() -> None:
    before = torch.get_rng_state()
    found = memorize(budget=Budget(scenes=4, epochs=24, batch=4))
    assert torch.equal(torch.get_rng_state(), before)
    assert found.share >= BY_HEART
    assert not found.model.training
    assert share_right(found.model, permuted(draw_scenes("train", 4))) == found.share


def test_methods_are_graded_between_the_two_models() -> None:
    torch.manual_seed(0)
    other = load("cnn")
    for module in other.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.reset_parameters()
    found = grade_methods(["gradcam", "integrated_gradients"], other, records=3)
    assert list(found) == ["gradcam", "integrated_gradients"]
    for grade in found.values():
        assert grade.values.shape == (3,)
        assert grade.reasons == (None, None, None)


@pytest.mark.slow
def test_maps_of_gradcam_tell_a_model_that_learnt_something_from_one_that_did_not() -> None:
    retrained = memorize()
    assert retrained.share >= BY_HEART
    found = grade_methods(["gradcam", "saliency"], retrained.model, records=16)
    assert found["gradcam"].values.mean().abs() < 0.3
    assert found["saliency"].values.mean() < 0.5
