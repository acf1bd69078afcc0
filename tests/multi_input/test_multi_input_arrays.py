"""Heat maps of several inputs as arrays: closed forms of models whose logits are known sums over the inputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from multi_input.branch_models import LAYERS, SIZES, LinearInInputs, SumOfBranches, pages_of, some_inputs
from seewhy.multi_input import (
    GradCAMVisualizer,
    MultiInputGradCAM,
    MultiInputGradCAMPlusPlus,
    MultiInputSmoothGrad,
    MultiInputVarGrad,
)
from seewhy.values import ConfigError, DataError, LayerError


def raw_maps(model: SumOfBranches, inputs: dict[str, torch.Tensor], target: int) -> dict[str, np.ndarray]:
    """Grad-CAM in closed form: the head's weights over the number of cells, times the features."""
    found = {}
    for name, tensor in inputs.items():
        features = model.branches[name](tensor).double()
        weights = model.heads[name].weight[target].double() / features[0, 0].numel()
        found[name] = torch.einsum("k,bkhw->bhw", weights, features).detach().numpy()
    return found


def test_the_share_of_an_input_is_its_part_of_the_logit() -> None:
    model, inputs = SumOfBranches(), some_inputs(1)
    parts = {name: part[0, 2].item() for name, part in model.parts(**inputs).items()}
    found = GradCAMVisualizer(model, target_layers=LAYERS).analyze(inputs, 2)
    for name, share in found["shares"].items():
        assert share == pytest.approx(parts[name] / sum(parts.values()), rel=1e-6)


def test_maps_are_the_closed_form_over_the_largest_density_of_all_inputs() -> None:
    model, inputs = SumOfBranches(), some_inputs(1)
    raw = {name: maps * maps[0].size for name, maps in raw_maps(model, inputs, 1).items()}
    peak = max(values.max() for values in raw.values())
    found = MultiInputGradCAM(model, LAYERS).generate_cam(list(inputs.values()), target_class=1)
    for name, heat in found.items():
        assert heat.dtype == np.float32
        np.testing.assert_allclose(heat, raw[name][0] / peak, atol=1e-6)


def test_per_input_scaling_brings_every_input_to_its_own_peak() -> None:
    model, inputs = SumOfBranches(), some_inputs(1)
    raw = raw_maps(model, inputs, 0)
    found = MultiInputGradCAM(model, LAYERS, scaling="each").generate_cam(inputs, 0)
    for name, heat in found.items():
        np.testing.assert_allclose(heat, raw[name][0] / raw[name].max(), atol=1e-6)


def test_many_records_are_as_many_single_calls() -> None:
    model, inputs = SumOfBranches(), some_inputs(4)
    cam = MultiInputGradCAMPlusPlus(model, LAYERS)
    together = cam.generate_cam(inputs)
    for row in range(4):
        alone = cam.generate_cam({name: tensor[row : row + 1] for name, tensor in inputs.items()})
        for name, heat in alone.items():
            assert heat.shape == SIZES[name][1:]
            np.testing.assert_allclose(together[name][row], heat, atol=1e-6)


def test_lists_mappings_and_another_order_are_the_same_question() -> None:
    model, inputs = SumOfBranches(), some_inputs(1)
    cam = MultiInputGradCAM(model)
    in_order = cam.generate_cam(list(inputs.values()))
    by_name = cam.generate_cam(dict(reversed(inputs.items())))
    for name in SIZES:
        np.testing.assert_array_equal(in_order[name], by_name[name])


def test_smoothgrad_of_a_linear_model_is_its_weights_and_vargrad_is_zero() -> None:
    model = LinearInInputs()
    inputs = [torch.rand(1, 1, 6, 6), torch.rand(1, 1, 4, 4)]
    weights = {"left": 36 * model.left[1].detach().abs().numpy(), "right": 16 * model.right[1].detach().abs().numpy()}
    peak = max(weight.max() for weight in weights.values())
    smooth = MultiInputSmoothGrad(model, n_samples=4).generate_smooth_grad(inputs, 1)
    variance = MultiInputVarGrad(model, n_samples=4).generate_var_grad(inputs, 1)
    for name, weight in weights.items():
        np.testing.assert_allclose(smooth[name], weight / peak, atol=1e-5)
        assert not variance[name].any()


def test_names_may_be_given_and_are_numbered_where_nothing_tells() -> None:
    class Listed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = LinearInInputs()

        def forward(self, pictures: list[torch.Tensor]) -> torch.Tensor:
            return self.inner(*pictures)

    inputs = [torch.rand(1, 1, 6, 6), torch.rand(1, 1, 4, 4)]
    assert list(MultiInputSmoothGrad(Listed(), n_samples=2).generate(inputs)) == ["input1", "input2"]
    named = MultiInputSmoothGrad(Listed(), n_samples=2, input_names=["oct", "fundus"])
    assert list(named.generate(inputs)) == ["oct", "fundus"]


def test_a_layer_that_is_not_there_is_an_error_with_the_nearest_names() -> None:
    with pytest.raises(LayerError) as caught:
        MultiInputGradCAM(SumOfBranches(), ["branches.mnv", "branches.fluit", "branches.ga"])
    assert caught.value.near[0] == "branches.fluid"


def test_an_input_without_a_layer_is_not_left_out_silently() -> None:
    with pytest.raises(ConfigError, match="no map of ga") as caught:
        MultiInputGradCAM(SumOfBranches(), LAYERS[:2]).generate_cam(some_inputs(1))
    assert caught.value.code == "SW-F122"


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        (list(some_inputs(1).values())[:2], "SW-D95"),
        ({**some_inputs(1), "drusen": torch.rand(1, 1, 4, 4)}, "SW-D95"),
        ({**some_inputs(1), "ga": torch.rand(2, 1, 10, 10)}, "SW-D96"),
        ({**some_inputs(1), "ga": None}, "SW-D96"),
        ({**some_inputs(1), "ga": torch.full((1, 1, 10, 10), torch.nan)}, "SW-D97"),
    ],
)
def test_inputs_that_are_not_the_models_are_refused(inputs: object, code: str) -> None:
    with pytest.raises(DataError) as caught:
        MultiInputGradCAM(SumOfBranches()).generate_cam(inputs)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "inputs",
    [
        {name: tensor.numpy() for name, tensor in some_inputs(1).items()},
        [tensor.numpy() for tensor in some_inputs(1).values()],
        some_inputs(1)["mnv"].numpy(),
    ],
    ids=["by name", "in order", "alone"],
)
def test_arrays_are_told_how_to_become_tensors(inputs: object) -> None:
    with pytest.raises(DataError) as caught:
        MultiInputGradCAM(SumOfBranches()).generate_cam(inputs)
    assert "torch.from_numpy" in caught.value.fix


class LooksUp(SumOfBranches):
    def forward(self, given: dict[str, torch.Tensor]) -> torch.Tensor:  # type: ignore[override]
        return super().forward(given["mnv"], given["fluid"], given["ga"])


def test_a_model_that_looks_up_its_inputs_is_told_how_to_name_them() -> None:
    inputs = some_inputs(1)
    with pytest.raises(DataError, match="'mnv'") as caught:
        MultiInputGradCAM(LooksUp()).generate_cam(list(inputs.values()))
    assert caught.value.code == "SW-D95"
    assert "input_names=['mnv', ...]" in caught.value.fix
    named = MultiInputGradCAM(LooksUp(), input_names=list(inputs)).generate_cam(list(inputs.values()))
    assert list(named) == list(inputs)


@pytest.mark.parametrize(
    ("settings", "code"), [({"scaling": "own"}, "SW-F124"), ({"input_names": ["a", "a"]}, "SW-F123")]
)
def test_settings_that_there_are_not_are_refused(settings: dict[str, object], code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        MultiInputGradCAM(SumOfBranches(), **settings)
    assert caught.value.code == code


def test_a_second_question_costs_one_forward() -> None:
    model, inputs = SumOfBranches(), some_inputs(2)
    cam = MultiInputGradCAM(model, LAYERS)
    cam.generate_cam(inputs)
    before = model.calls
    cam.generate_cam(inputs)
    assert model.calls == before + 1


def test_hooks_are_gone_before_anyone_removes_them() -> None:
    model = SumOfBranches().train()
    cam = MultiInputGradCAM(model)
    cam.generate_cam(some_inputs(1))
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())
    assert model.training
    assert all(weight.grad is None for weight in model.parameters())
    assert cam.remove_hooks() is None


def test_files_hold_the_colours_of_the_maps(tmp_path) -> None:
    cam = MultiInputGradCAM(SumOfBranches(), LAYERS)
    inputs = some_inputs(1)
    heats = cam.generate_cam(inputs)
    files = cam.save_heatmaps(heats, str(tmp_path / "maps"), "eye")
    assert [file.name for file in files] == ["eye_mnv.png", "eye_fluid.png", "eye_ga.png"]
    strongest = max(heats, key=lambda name: heats[name].max())
    for file, (name, heat) in zip(files, heats.items(), strict=True):
        (pixels,) = pages_of(file)
        last_colour_of_jet = (pixels == (128, 0, 0)).all(axis=-1)
        np.testing.assert_array_equal(last_colour_of_jet, np.rint(255 * heat) == 255)
        assert last_colour_of_jet.any() == (name == strongest)
    page = cam.visualize_cam(inputs, heats, tmp_path / "page.png", target_class=1)
    np.testing.assert_array_equal(pages_of(tmp_path / "page.png")[0], page)


def test_several_records_are_one_figure_below_the_other_and_pages_of_one_file(tmp_path) -> None:
    cam = MultiInputGradCAM(SumOfBranches(), LAYERS)
    inputs = some_inputs(3)
    heats = cam.generate_cam(inputs)
    one = cam.visualize_cam({k: v[:1] for k, v in inputs.items()}, {k: v[0] for k, v in heats.items()})
    assert len(cam.visualize_cam(inputs, heats)) == 3 * len(one)
    (file, *_) = cam.save_heatmaps(heats, tmp_path)
    assert file.suffix == ".tiff"
    assert len(pages_of(file)) == 3
