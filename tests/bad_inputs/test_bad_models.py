"""Bad inputs 1 to 43: models, heads and questions that are not as a textbook has them. One test or more for each.

Shown elsewhere, and not repeated here:

| entry | where |
|---|---|
| 4 the caller's grad modes | ``capture/test_wrappers_and_modes.py`` ``test_the_callers_grad_mode_changes_nothing`` |
| 5 in-place neighbours | ``capture/test_partial_gradients.py`` ``test_in_place_neighbours_change_nothing`` |
| 6 shared modules | ``capture/test_probe.py`` ``test_each_call_of_a_shared_module_is_addressed_by_number`` |
| 7 functional activations | the tests of DeepLIFT and guided backpropagation in ``methods/`` |
| 12, 13 containers of layers and outputs | ``models/test_models_outputs.py``, ``capture/test_containers.py`` |
| 16, 17, 18 heads | ``models/test_models_heads.py`` |
| 20 a record without finite logits | ``pipeline/test_pipeline_failures.py`` |
| 23 class names of another number | ``explain.class_choice.check_names`` and its tests |
| 27, 29 compiled, data parallel | ``coverage/test_coverage_wrappers.py``, ``capture/test_wrappers_and_modes.py`` |
| 32 hooks that raise | ``laws/test_law_1_borrowed.py`` ``test_a_hook_that_raises_leaves_no_mark`` |
| 35 global random state | ``laws/test_law_1_borrowed.py`` ``test_a_model_that_draws_random_numbers...`` |
| 40, 41, 42 layouts, prefixes, sizes | ``models/test_default_layers.py``, ``capture/test_attention_of_models.py`` |
| 43 fused attention | ``capture/test_attention_weights.py``, ``capture/test_attention_of_models.py`` |
"""

from __future__ import annotations

import copy

import pytest
import torch
from asked_of_models import AT_INPUTS, BODY, captured, pictures, refused
from torch import Tensor, nn

from borrowed import unchanged
from seewhy.capture.probe import Probe
from seewhy.core import Wants
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit
from seewhy.values import LayerError
from toys import ConvNet

# 1-5: modes and flags ------------------------------------------------------------------------------------------------


def test_01_training_mode_is_left_for_the_call_and_noted() -> None:
    model, inputs = ConvNet().train(), pictures()
    expected = captured(copy.deepcopy(model).eval(), inputs)
    with unchanged(model):
        adapter = Adapter(model, inputs)
        capture = Probe(adapter, [Logit(1)]).capture(inputs, BODY)
    assert torch.equal(capture.gradients["body"], expected.gradients["body"])
    assert adapter.notes == (
        "the model was in training mode (BatchNorm2d, Dropout); it is explained in evaluation mode",
    )
    assert Adapter(model.eval(), inputs).notes == ()


def test_02_mixed_flags_come_back_one_by_one() -> None:
    model = ConvNet().train()
    model.stem[1].eval()
    before = [module.training for module in model.modules()]
    captured(model, pictures())
    assert [module.training for module in model.modules()] == before
    assert len(set(before)) == 2


def test_03_frozen_parameters_give_the_same_gradients_and_stay_frozen() -> None:
    model, inputs = ConvNet().eval(), pictures()
    free = captured(model, inputs)
    model.requires_grad_(False)
    assert torch.equal(captured(model, inputs).gradients["body"], free.gradients["body"])
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_04_tensors_made_in_inference_mode_are_explained() -> None:
    model = ConvNet().eval()
    with torch.inference_mode():
        inputs = pictures()
    plain = {"image": torch.tensor(inputs["image"].tolist())}
    assert torch.equal(
        captured(model, inputs, AT_INPUTS).input_gradients["image"],
        captured(model, plain, AT_INPUTS).input_gradients["image"],
    )


# 8-12: layers --------------------------------------------------------------------------------------------------------


class Perceptron(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(2 * 16 * 16, 8), nn.Linear(8, 3)

    def forward(self, image: Tensor) -> Tensor:
        return self.fc2(self.fc1(image.flatten(1)).relu())


def test_08_a_model_without_spatial_layers_says_so_and_has_gradients_at_its_input() -> None:
    model, inputs = Perceptron(), pictures()
    with refused(LayerError, "SW-L05", "no layer with a spatial grid"):
        Asked("gradcam")(Probe(Adapter(model, inputs), [Logit()]), inputs)
    gradient = captured(model, inputs, AT_INPUTS).input_gradients["image"][0, 0].flatten()
    hidden = model.fc1(inputs["image"][:1].flatten(1))[0] > 0
    expected = (model.fc2.weight[1] * hidden) @ model.fc1.weight
    torch.testing.assert_close(gradient, expected.detach(), rtol=0, atol=1e-6)


def test_09_a_layer_after_pooling_names_its_shape_and_the_last_spatial_layers() -> None:
    class Pooled(ConvNet):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.AdaptiveAvgPool2d(1)

        def forward(self, image: Tensor) -> Tensor:
            return self.head(self.pool(self.body(self.stem(image))).flatten(1))

    adapter = Adapter(Pooled(), pictures())
    with refused(LayerError, "SW-L09", "(2, 6, 1, 1)", "nearest: body, body.2"):
        adapter.grid("pool")
    with refused(LayerError, "SW-L09", "(2, 3)"):
        adapter.grid("head")


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [("bodi", "SW-L01", "nearest: body"), ("1", "SW-L16", "stem.1, body.1"), ("body[7]", "SW-L03", "-3 to 2")],
)
def test_10_a_misspelt_or_ambiguous_name_is_answered_with_near_ones(name: str, code: str, told: str) -> None:
    with refused(LayerError, code, told):
        captured(ConvNet(), pictures(), Wants(gradients=(name,)))


def test_10_an_index_is_counted_and_never_evaluated() -> None:
    adapter = Adapter(ConvNet(), pictures())
    assert str(adapter.layer("body[-1]")) == "body.2"
    with refused(LayerError, "SW-L01"):
        adapter.layer("body[__import__('os')]")


class Branching(nn.Module):
    """A layer that never runs, one whose output is detached, and one under the model's own ``no_grad``."""

    def __init__(self) -> None:
        super().__init__()
        self.unused, self.cut, self.silent = nn.Conv2d(2, 4, 1), nn.Conv2d(2, 4, 1), nn.Conv2d(4, 4, 1)
        self.tail, self.fc = nn.Conv2d(4, 4, 1), nn.Linear(4, 3)

    def forward(self, image: Tensor) -> Tensor:
        features = self.cut(image).detach()
        with torch.no_grad():
            features = self.silent(features)
        return self.fc(self.tail(features).mean(dim=(2, 3)))


def test_11_a_layer_that_does_not_run_or_is_cut_off_is_told_apart() -> None:
    model, inputs = Branching(), pictures()
    with refused(LayerError, "SW-L07", "not reached"):
        captured(model, inputs, Wants(gradients=("unused",)))
    for name in ("cut", "silent"):
        with refused(LayerError, "SW-L13", "no gradient path"):
            captured(model, inputs, Wants(gradients=(name,)))
    assert Adapter(model, inputs).target_layer.layer == "tail"
