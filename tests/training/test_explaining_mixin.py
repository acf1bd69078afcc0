"""A module that explains its own predictions: what it answers, and that it stays as it was."""

from __future__ import annotations

import copy
import gc
import pickle
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from multi_input.branch_models import SIZES, SumOfBranches, some_inputs
from seewhy.multi_input import ComparisonVisualizer
from seewhy.training.explaining import ExplainsInputs
from seewhy.values import ConfigError, DataError, TargetError


class Eyes(ExplainsInputs, SumOfBranches):
    class_names = ("Normal", "Early", "Late")


def test_the_answer_says_what_the_model_says() -> None:
    model, inputs = Eyes(), some_inputs(1)
    probabilities = model(**inputs).detach().double().softmax(1).numpy()
    found = model.analyze_prediction_with_gradcam(*inputs.values(), sample_id="patient_001")
    np.testing.assert_allclose(found["probabilities"], probabilities, atol=1e-6)
    assert found["predicted_class"] == found["target_class"] == int(probabilities.argmax())
    assert found["class_name"] == Eyes.class_names[int(probabilities.argmax())]
    assert found["confidence"] == pytest.approx(probabilities.max(), abs=1e-6)
    assert (found["sample_id"], found["method"]) == ("patient_001", "gradcam")
    assert {name: heat.shape for name, heat in found["heatmaps"].items()} == {n: s[1:] for n, s in SIZES.items()}
    assert sum(found["shares"].values()) == pytest.approx(1)


def test_inputs_may_come_by_name_or_partly_in_order_or_as_one_list() -> None:
    model, inputs = Eyes(), some_inputs(1)
    whole = model.analyze_prediction_with_gradcam(*inputs.values())["heatmaps"]
    first, *_ = inputs.values()
    rest = {name: tensor for name, tensor in inputs.items() if name != "mnv"}
    for found in (
        model.analyze_prediction_with_gradcam(**inputs),
        model.analyze_prediction_with_gradcam(first, **rest),
        model.analyze_prediction_with_gradcam(list(inputs.values())),
        model.analyze_prediction_with_gradcam(inputs),
    ):
        for name, heat in whole.items():
            np.testing.assert_array_equal(found["heatmaps"][name], heat)


def test_an_input_given_twice_is_refused() -> None:
    first, *_ = some_inputs(1).values()
    with pytest.raises(DataError) as caught:
        Eyes().analyze_prediction_with_gradcam(first, **some_inputs(1))
    assert caught.value.code == "SW-D95"


def test_what_follows_the_inputs_in_position_is_read_as_the_guide_says(tmp_path: Path) -> None:
    found = Eyes().analyze_prediction_with_gradcam(*some_inputs(1).values(), 2, str(tmp_path), "patient_7")
    assert (found["target_class"], found["sample_id"]) == (2, "patient_7")
    assert (tmp_path / "patient_7_gradcam_visualization.png").exists()
    assert sorted(file.name for file in (tmp_path / "patient_7_heatmaps").iterdir()) == sorted(
        f"patient_7_{name}.png" for name in SIZES
    )


@pytest.mark.parametrize("number", [np.int64(2), torch.tensor(2), np.array(2), [2], torch.tensor([2])])
def test_a_class_in_position_may_be_any_whole_number(number: Any) -> None:
    assert Eyes().analyze_prediction_with_gradcam(*some_inputs(1).values(), number)["target_class"] == 2


@pytest.mark.parametrize("rest", [(2, torch.rand(1, 1, 10, 10)), (2, "out", "patient_7", 4)])
def test_what_may_not_follow_the_inputs_in_position_is_refused(rest: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigError, match="target_class, save_dir, sample_id") as caught:
        Eyes().analyze_prediction_with_gradcam(*some_inputs(1).values(), *rest)
    assert caught.value.code == "SW-F129"


def test_notes_on_the_model_are_told() -> None:
    class Noted(Eyes):
        def forward(self, mnv: torch.Tensor, fluid: torch.Tensor, ga: torch.Tensor) -> torch.Tensor:
            return super().forward(mnv, fluid, ga).softmax(1)

    for asked in (Noted().analyze_prediction_with_vargrad, Noted().compare_gradcam_methods):
        notes = asked(*some_inputs(1).values())["notes"]
        assert len(notes) == len(set(notes))
        assert sum("softmax" in note for note in notes) == 1


def test_several_records_give_lists_and_arrays(tmp_path: Path) -> None:
    model, inputs = Eyes(), some_inputs(2)
    found = model.analyze_prediction_with_gradcam_plus_plus(*inputs.values(), save_dir=tmp_path, sample_id="eye")
    assert found["predicted_class"] == model(**inputs).argmax(1).tolist()
    assert found["probabilities"].shape == (2, 3)
    assert found["heatmaps"]["fluid"].shape == (2, 8, 16)
    assert len(found["shares"]["ga"]) == 2
    assert {file.name for file in tmp_path.glob("*.png")} == {
        "eye_0_gradcamplusplus_visualization.png", "eye_1_gradcamplusplus_visualization.png",
    }  # fmt: skip


def test_methods_with_noise_tell_their_settings() -> None:
    model, inputs = Eyes(), some_inputs(1)
    for ask, method in (
        (model.analyze_prediction_with_smoothgrad, "smoothgrad"),
        (model.analyze_prediction_with_vargrad, "vargrad"),
    ):
        found = ask(*inputs.values(), n_samples=2, noise_level=0.1)
        assert (found["method"], found["n_samples"], found["noise_level"]) == (method, 2, 0.1)


def test_comparisons_hold_the_maps_of_each_method() -> None:
    model, inputs = Eyes(), some_inputs(1)
    two = model.compare_gradcam_methods(*inputs.values())
    four = model.compare_all_gradient_methods(*inputs.values(), n_samples=2)
    alone = {
        "gradcam": model.analyze_prediction_with_gradcam(*inputs.values()),
        "gradcam++": model.analyze_prediction_with_gradcam_plus_plus(*inputs.values()),
    }
    for name in SIZES:
        for key, method in (("grad_cam_heatmaps", "gradcam"), ("grad_cam_pp_heatmaps", "gradcam++")):
            np.testing.assert_array_equal(two[key][name], alone[method]["heatmaps"][name])
            np.testing.assert_array_equal(four["all_methods"][method][name], alone[method]["heatmaps"][name])
    assert list(four["all_methods"]) == ["gradcam", "gradcam++", "smoothgrad", "vargrad"]
    assert four["n_samples"] == 2


def test_the_module_stays_as_it_was_also_in_a_validation_step() -> None:
    model, inputs = Eyes().train(), some_inputs(1)
    outside = model.analyze_prediction_with_gradcam(*inputs.values())["heatmaps"]
    gradient = torch.ones_like(next(model.parameters()))
    next(model.parameters()).grad = gradient
    with torch.inference_mode():
        inside = model.analyze_prediction_with_gradcam(**some_inputs(1))["heatmaps"]
        assert torch.is_inference_mode_enabled()
    for name, heat in outside.items():
        np.testing.assert_array_equal(inside[name], heat)
    assert model.training
    assert next(model.parameters()).grad is gradient
    assert not any(tensor.requires_grad for tensor in inputs.values())


def test_visualizers_are_made_for_each_method_and_for_none_else() -> None:
    model, inputs = Eyes(), some_inputs(1)
    maps = model.create_grad_cam_visualizer(use_cuda=False, method="vargrad", n_samples=2).analyze_sample(inputs)
    assert not maps["mnv"].any()  # the logits are linear in the inputs, so that the gradient does not vary
    assert isinstance(model.create_comparison_visualizer(), ComparisonVisualizer)
    with pytest.raises(ConfigError) as caught:
        model.create_grad_cam_visualizer(method="gradcan")
    assert caught.value.code == "SW-F121"


def test_a_class_may_be_asked_for_by_name_and_must_be_there() -> None:
    model, inputs = Eyes(), some_inputs(1)
    assert model.analyze_prediction_with_gradcam(**inputs, target_class="Late")["target_class"] == 2
    with pytest.raises(TargetError):
        model.analyze_prediction_with_gradcam(**inputs, target_class=3)


def test_a_second_question_costs_one_forward_and_new_weights_are_studied_again() -> None:
    model, inputs = Eyes(), some_inputs(1)
    model.analyze_prediction_with_gradcam(**inputs)
    before = model.calls
    model.compare_gradcam_methods(**inputs)
    assert model.calls == before + 1
    with torch.no_grad():
        model.heads["ga"].weight.mul_(2)
    shares = model.analyze_prediction_with_gradcam(**inputs, target_class=0)["shares"]
    parts = {name: part[0, 0].item() for name, part in model.parts(**inputs).items()}
    assert shares["ga"] == pytest.approx(parts["ga"] / sum(parts.values()), rel=1e-5)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_explains_itself(copied: Callable[[Eyes], Eyes]) -> None:
    model, inputs = Eyes(), some_inputs(1)
    first = model.analyze_prediction_with_gradcam(**inputs, target_class=0)
    other = copied(model)
    other.calls = 0
    again = other.analyze_prediction_with_gradcam(**inputs, target_class=0)
    assert other.calls > 0
    assert again["shares"] == first["shares"]


def test_a_file_of_the_module_is_the_one_it_would_be_had_nobody_asked() -> None:
    model, inputs = Eyes(), some_inputs(1)
    model.analyze_prediction_with_gradcam(**inputs)
    calls, before = model.calls, Eyes()
    before.calls = calls
    assert pickle.loads(pickle.dumps(model)).__dict__.keys() == copy.copy(model).__dict__.keys() == vars(before).keys()
    assert len(pickle.dumps(model)) == len(pickle.dumps(before))


def test_a_module_that_was_asked_is_not_kept_alive() -> None:
    model = Eyes()
    model.analyze_prediction_with_gradcam(**some_inputs(1))
    alive = weakref.ref(model)
    del model
    gc.collect()
    assert alive() is None


@pytest.mark.slow
def test_inside_a_trainers_validation(tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning")
    asked: list[Any] = []

    class Module(ExplainsInputs, lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.inner = SumOfBranches()

        def forward(self, mnv: torch.Tensor, fluid: torch.Tensor, ga: torch.Tensor) -> torch.Tensor:
            return self.inner(mnv, fluid, ga)

        def validation_step(self, batch: Any, _: int) -> None:
            asked.append(self.analyze_prediction_with_gradcam(**batch))

    records = [{name: tensor[0] for name, tensor in some_inputs(1).items()}]
    loader = torch.utils.data.DataLoader(records, num_workers=0)
    trainer = lightning.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, default_root_dir=tmp_path,
    )  # fmt: skip
    module = Module()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.validate(module, loader, verbose=False)
    expected = module.analyze_prediction_with_gradcam(**some_inputs(1))
    for name, heat in expected["heatmaps"].items():
        np.testing.assert_array_equal(asked[0]["heatmaps"][name], heat)
