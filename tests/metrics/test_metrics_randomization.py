"""Randomisation of weights, classes and labels, graded by name: settings, ranks, maps that say nothing."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from borrowed import unchanged
from metrics.cases import case_of, case_with
from seewhy.metrics.case import Case
from seewhy.metrics.grading import grade
from seewhy.metrics.likeness import BROKEN_OTHER, CONSTANT, likeness
from seewhy.metrics.parameter_randomization import stages_of
from seewhy.targets import BinaryLogit, Logit
from seewhy.values import ConfigError
from toys import ConvNet

NAMES = ("parameter_randomization", "class_sensitivity", "label_randomization")


def settings_of(name: str, **settings: Any) -> dict[str, Any]:
    return {"retrained": ConvNet().eval()} | settings if name == "label_randomization" else settings


def conv_case(method: str = "gradcam", **others: Any) -> Case:
    return case_of(ConvNet().eval(), {"image": torch.randn(3, 2, 16, 16)}, method, target=Logit((0, 1, 2)), **others)


def test_what_a_reader_sees_is_compared() -> None:
    # Of a method whose sign says nothing, two maps that differ in sign alone are the same.
    signed = torch.randn(1, 8, 8)
    model = ConvNet().eval()
    for scale, expected in (("magnitude", 1.0), ("positive", -1.0)):
        case = case_with(model, {"image": torch.randn(1, 2, 16, 16)}, -signed, scale=scale)
        case.__dict__["maps"] = signed
        assert grade("parameter_randomization", case).values.item() == pytest.approx(expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("similarity", ["spearman", "spearman_magnitude", "ssim", "hog"])
def test_a_map_that_ignores_model_and_class_is_all_left(name: str, similarity: str) -> None:
    image = torch.randn(1, 2, 16, 16)
    case = case_with(ConvNet().eval(), {"image": image}, image[:, 0].abs())
    assert grade(name, case, **settings_of(name, similarity=similarity)).values.item() == pytest.approx(1)


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_map_has_no_value(name: str) -> None:
    case = case_with(ConvNet().eval(), {"image": torch.randn(2, 2, 16, 16)}, torch.zeros(2, 4, 4))
    found = grade(name, case, **settings_of(name))
    assert found.reasons == (CONSTANT, CONSTANT)
    assert found.values.isnan().all()


def test_a_map_that_became_constant_has_changed_and_a_broken_one_is_told() -> None:
    map = torch.arange(16.0).reshape(1, 4, 4)
    for similarity in ("spearman", "spearman_magnitude", "ssim", "hog"):
        assert likeness(map, torch.zeros(1, 4, 4), similarity).item() == 0
        assert math.isnan(likeness(map, map * math.nan, similarity).item())
    case = case_with(ConvNet().eval(), {"image": torch.randn(1, 2, 16, 16)}, map * math.nan)
    case.__dict__["maps"] = map
    assert grade("class_sensitivity", case).reasons == (BROKEN_OTHER,)


@pytest.mark.parametrize("method", ["gradcam", "saliency"])
def test_a_record_is_graded_alone_as_in_a_batch(method: str) -> None:
    model, image, asked = ConvNet().eval(), torch.randn(3, 2, 16, 16), (0, 1, 2)
    both = case_of(model, {"image": image}, method, target=Logit(asked), keys=("a", "b", "c"))
    for name in NAMES:
        chosen = settings_of(name)
        together = grade(name, both, **chosen)
        for row in range(3):
            alone = case_of(
                model, {"image": image[row : row + 1]}, method, target=Logit((asked[row],)), keys=("abc"[row],)
            )
            assert grade(name, alone, **chosen).values.item() == pytest.approx(together.values[row].item(), abs=1e-5)


@pytest.mark.parametrize("rank", [1, 3])
def test_maps_of_any_rank(rank: int) -> None:
    case = case_of(ConvNet(rank).eval(), {"image": torch.randn(2, 2, *[12] * rank)})
    found = grade("parameter_randomization", case)
    assert set(found.details) == {"spearman", "spearman_magnitude", "ssim", "draws"}
    assert found.details["spearman"].shape == (2, len(stages_of(case.adapter)))
    with pytest.raises(ConfigError, match="SW-F261"):
        grade("parameter_randomization", case, similarity="hog")


def test_stages_have_names_and_can_be_fewer() -> None:
    case = conv_case()
    assert stages_of(case.adapter) == ("head", "body.0 + body.1", "stem.0 + stem.1")
    found = grade("parameter_randomization", case, blocks=1)
    assert found.details["spearman"].shape == (3, 1)
    # With everything drawn at once or one after the other, the same weights stand in the end.
    torch.testing.assert_close(found.values, grade("parameter_randomization", case).values)


def test_one_output_has_two_classes() -> None:
    case = case_of(
        ConvNet(classes=1).eval(), {"image": torch.randn(3, 2, 16, 16)}, "gradient", target=BinaryLogit((0, 1, 0))
    )
    found = grade("class_sensitivity", case)
    assert found.details["others"].flatten().tolist() == [1, 0, 1]
    # The gradient of one class is minus that of the other.
    assert found.values.tolist() == pytest.approx([-1, -1, -1])


def test_against_all_others_is_the_mean_over_them() -> None:
    found = grade("class_sensitivity", conv_case(), against="all")
    assert found.details["others"].tolist() == [[1, 2], [0, 2], [0, 1]]
    torch.testing.assert_close(found.values, found.details["similarities"].mean(dim=1))


def test_the_least_likely_class_is_the_models() -> None:
    case = conv_case()
    least = case.outputs.clean.scatter(1, torch.arange(3).unsqueeze(1), torch.inf).argmin(dim=1)
    assert grade("class_sensitivity", case, against="least_likely").details["others"][:, 0].tolist() == least.tolist()


REFUSED: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("parameter_randomization", {"order": "sideways"}, "SW-F271"),
    ("parameter_randomization", {"similarity": "cosine"}, "SW-F271"),
    ("parameter_randomization", {"repeats": 0}, "SW-F252"),
    ("parameter_randomization", {"blocks": 0}, "SW-F252"),
    ("class_sensitivity", {"against": "nobody"}, "SW-F271"),
    ("class_sensitivity", {"samples": 0}, "SW-F252"),
    ("label_randomization", {"retrained": None}, "SW-F274"),
    ("label_randomization", {"retrained": "model.ckpt"}, "SW-F274"),
    ("label_randomization", {"retrained": ConvNet(classes=4)}, "SW-F275"),
)


@pytest.mark.parametrize(("name", "settings", "code"), REFUSED)
def test_settings_out_of_range_are_refused_before_the_model_explains(
    name: str, settings: dict[str, Any], code: str
) -> None:
    case = conv_case()
    case.__dict__["explain_on"] = case.__dict__["explain_class"] = _must_not_be_asked
    with pytest.raises(ConfigError, match=code):
        grade(name, case, **settings)


def _must_not_be_asked(*given: object) -> Tensor:
    raise AssertionError(given)


def test_a_model_without_weights_or_classes_to_compare_is_refused() -> None:
    image = torch.rand(1, 3, 4, 4)
    plain = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(ConfigError, match="SW-F273"):
        grade("parameter_randomization", case_with(plain, {"image": image}, image[:, 0]))
    one = nn.Sequential(nn.Conv2d(3, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    case = case_with(one, {"image": image}, image[:, 0], target=Logit((0,)))
    with pytest.raises(ConfigError, match="SW-F277"):
        grade("class_sensitivity", case)


def test_the_very_same_weights_are_no_retrained_model() -> None:
    case = conv_case()
    with pytest.raises(ConfigError, match="SW-F276"):
        grade("label_randomization", case, retrained=case.adapter.model)


def test_labels_compare_with_the_other_models_own_map() -> None:
    class Pixelwise(nn.Module):
        def __init__(self, seed: int) -> None:
            super().__init__()
            generator = torch.Generator().manual_seed(seed)
            self.weight = nn.Parameter(torch.randn(2, 64, generator=generator))

        def forward(self, image: Tensor) -> Tensor:
            return nn.functional.linear(image.flatten(1), self.weight)

    model, other = Pixelwise(0), Pixelwise(1)
    with torch.no_grad():
        other.weight[0] = model.weight[0].flip(0)
    case = case_of(model, {"image": torch.randn(2, 1, 8, 8)}, "gradient", target=Logit((0, 0)))
    with unchanged(model), unchanged(other):
        found = grade("label_randomization", case, retrained=other)
    ranks = model.weight[0].detach().argsort().argsort().double()
    expected = torch.corrcoef(torch.stack([ranks, ranks.flip(0)]))[0, 1].item()
    assert found.values.tolist() == pytest.approx([expected, expected])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["gradcam", "saliency"])
def test_a_resnet_50_has_finite_values_at_every_stage(method: str) -> None:
    import timm

    case = case_of(timm.create_model("resnet50").eval(), {"image": torch.randn(2, 3, 128, 128)}, method)
    for order in ("cascading", "independent"):
        found = grade("parameter_randomization", case, order=order)
        assert found.reasons == (None, None)
        assert all(bool(detail.isfinite().all()) for detail in found.details.values())


def test_one_output_gives_two_classes_the_same_magnitude() -> None:
    """What speaks for the one speaks against the other: a map of magnitudes cannot differ, and is not blamed for it."""
    from cases import case_of

    from seewhy.targets import BinaryLogit

    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(72, 1))
    inputs = {"image": torch.randn(2, 1, 8, 8)}
    signed = case_of(model, inputs, target=BinaryLogit())
    assert grade("class_sensitivity", signed).values.tolist() == pytest.approx([-1.0, -1.0])
    found = grade("class_sensitivity", case_of(model, inputs, "saliency", target=BinaryLogit(), scale="magnitude"))
    assert all(reason is not None and "one output" in reason for reason in found.reasons)


def test_places_of_which_neither_map_says_anything_do_not_make_them_alike() -> None:
    """Nine of ten places are zero in both; on the others the order is reversed."""
    said = torch.arange(1.0, 11.0)
    first, second = torch.zeros(2, 1, 10, 10)
    first[0, 0], second[0, 0] = said, said.flip(0)
    assert likeness(first, second).item() == pytest.approx(-1.0)
    assert likeness(first, second, "spearman_magnitude").item() == pytest.approx(-1.0)
    assert likeness(first, 3 * first).item() == pytest.approx(1.0)
