"""Why a segmentation model sees a class where it does: closed forms, planted evidence, and what a person gets back."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from seewhy.explain.lent import changes, state_of
from seewhy.explain.segmentation import SegmentationExplainer, explain_segmentation
from seewhy.explain.uncertainty import entropy, margin
from seewhy.values import SeewhyError
from segmentation_models import Colours, PerPlace, Unet

PLAIN = {"size": 32, "mean": [0.0] * 3, "std": [1.0] * 3, "crop": "none"}
SIZES = {1: (11,), 2: (9, 7), 3: (5, 4, 6)}


def linear(rank: int, classes: int = 3) -> tuple[PerPlace, Tensor, Tensor, Tensor]:
    """A linear model, its input, its activations and its logits, in double precision."""
    torch.manual_seed(rank)
    model = PerPlace(rank, channels=4, classes=classes).double()
    image = torch.randn(2, 4, *SIZES[rank], dtype=torch.float64)
    with torch.no_grad():
        activations = model.conv(image)
        return model, image, activations, model.head(activations)


@pytest.mark.parametrize("rank", SIZES)
def test_grad_cam_of_a_linear_model_is_its_head_applied_at_every_place(rank: int) -> None:
    """The score's gradient at a place of the region is the head's row over the region's size; averaged, over all."""
    model, image, activations, logits = linear(rank)
    explainer = SegmentationExplainer(model, "gradcam")
    for record in range(2):
        target = int(logits[record].argmax(dim=0).flatten().mode().values)
        row = model.head.weight[target].flatten().detach()
        expected = torch.einsum("k,k...->...", row, activations[record]) / logits[0, 0].numel()
        found = explainer.attribute(image[record : record + 1])
        assert found.facts["layer"] == "conv"
        assert float((found.map[0] - expected).abs().max()) < 1e-12


@pytest.mark.parametrize("rank", SIZES)
def test_hirescam_of_a_linear_model_is_the_logit_inside_the_region_and_zero_outside(rank: int) -> None:
    model, image, _, logits = linear(rank)
    labels = logits.argmax(dim=1)
    targets = [int(labels[0].min()), int(labels[1].max())]
    found = SegmentationExplainer(model, "hirescam").attribute({"scan": image}, targets)
    for record, target in enumerate(targets):
        region = labels[record] == target
        evidence = logits[record, target] - model.head.bias[target].detach()
        expected = torch.where(region, evidence / region.sum(), 0.0)
        assert float((found.maps["scan"][record] - expected).abs().max()) < 1e-12


def test_input_gradients_add_up_to_the_score_of_the_frozen_region() -> None:
    model, image, _, logits = linear(2)
    found = SegmentationExplainer(model, "input_x_gradient").attribute(image, 1)
    region = logits.argmax(dim=1) == 1
    score = torch.stack([one[1][inside].mean() for one, inside in zip(logits, region, strict=True)])
    with torch.no_grad():
        blank = model(torch.zeros_like(image))[:, 1]
    baseline = torch.stack([one[inside].mean() for one, inside in zip(blank, region, strict=True)])
    assert torch.allclose(found.score, score, atol=1e-12)
    assert torch.allclose(found.map.flatten(1).sum(dim=1), score - baseline, atol=1e-12)


def test_perturbed_pictures_are_asked_about_the_region_of_the_clean_one() -> None:
    """A window that covers everything leaves one difference: that of the clean and the blank picture."""
    model, image, _, logits = linear(2)
    explainer = SegmentationExplainer(model, "occlusion", window=9, stride=9, value=0.0)
    found = explainer.attribute(image[:1], 1)
    region = logits[0].argmax(dim=0) == 1
    with torch.no_grad():
        blank = model(torch.zeros_like(image[:1]))[0, 1]
    expected = float((logits[0, 1] - blank)[region].mean())
    assert float((found.map - expected).abs().max()) < 1e-10


def test_a_batch_is_answered_as_its_records_are() -> None:
    torch.manual_seed(3)
    model, image = Unet().eval(), torch.randn(3, 3, 16, 24)
    explainer = SegmentationExplainer(model, "gradcam")
    together = explainer.attribute(image).map
    alone = torch.cat([explainer.attribute(image[row : row + 1]).map for row in range(3)])
    assert torch.allclose(together, alone, atol=1e-6)


def scene() -> Tensor:
    """Mostly dark; a red square at the left, a green one in the middle with a blue bar at its right."""
    picture = torch.zeros(3, 32, 48)
    picture[0, 8:20, 4:14] = 0.9
    picture[1, 8:20, 20:32] = 0.8
    picture[2, 10:18, 34:38] = 0.5
    return picture


def test_planted_evidence_is_found_where_it_is_and_only_there() -> None:
    picture = scene()
    result = explain_segmentation(Colours(), picture, 2, target_layer=None)
    blue = F.avg_pool2d(picture[None, 2:], 17, stride=1, padding=8)[0, 0]
    evidence = 2 * picture[1] + 0.5 * picture[2] + blue
    assert result["target_layer"] == "rectified"
    assert np.abs(result["heatmap"] - (evidence / evidence.max()).numpy()).max() < 1e-5
    red = explain_segmentation(Colours(), picture, 1)["heatmap"]
    assert np.abs(red - (picture[0] / 0.9).numpy()).max() < 1e-5


def test_the_default_layer_does_not_give_the_logit_map() -> None:
    torch.manual_seed(0)
    model, image = Unet().eval(), torch.randn(3, 16, 16)
    with torch.no_grad():
        logits = model(image[None])[0]
    result = explain_segmentation(model, image)
    logit_map = logits[result["target_class"]].clamp_min(0).numpy()
    assert result["target_layer"] in ("decoder", "decoder.2")
    assert np.abs(result["heatmap"] - logit_map / logit_map.max()).max() > 0.1


def test_class_zero_is_a_class_like_any_other_unless_the_background_is_named() -> None:
    told = {"class_names": ["dark", "red", "green"]}
    assert explain_segmentation(Colours(), scene(), **told)["target_label"] == "dark"
    named = explain_segmentation(Colours(), scene(), background=0, **told)
    assert named["target_label"] == "green"
    assert list(named["classes"]) == [0, 2, 1]
    assert sum(named["classes"].values()) == pytest.approx(1.0)


@pytest.mark.parametrize(("kind", "measure"), [("entropy", entropy), ("margin", margin)])
def test_prediction_and_uncertainty_are_those_of_the_logits(kind: str, measure: object) -> None:
    torch.manual_seed(0)
    model, image = Unet().eval(), torch.randn(3, 16, 16)
    with torch.no_grad():
        logits = model(image[None])
    result = explain_segmentation(model, image, uncertainty_method=kind)
    assert np.array_equal(result["prediction"], logits.argmax(dim=1)[0].numpy())
    assert np.abs(result["uncertainty"] - measure(logits)[0].numpy()).max() < 1e-5  # type: ignore[operator]
    assert result["uncertainty"].min() >= 0
    assert result["uncertainty"].max() <= math.log(4) + 1e-6


def test_three_hundred_classes_keep_their_numbers() -> None:
    torch.manual_seed(0)
    model = PerPlace(channels=3, classes=300)
    with torch.no_grad():
        model.head.bias[299] = 50.0
    result = explain_segmentation(model, torch.randn(3, 12, 12))
    assert (result["prediction"] == 299).all()
    assert result["classes"] == {299: 1.0}


def test_one_channel_has_two_classes_that_can_both_be_explained() -> None:
    torch.manual_seed(2)
    model, image = PerPlace(channels=3, classes=1), torch.randn(3, 16, 16)
    model.head.bias.data.zero_()
    with torch.no_grad():
        logit = model(image[None])[0, 0].numpy()
    there, absent = (explain_segmentation(model, image, one) for one in (1, 0))
    assert np.array_equal(there["prediction"], (logit >= 0).astype(np.int32))
    assert there["score"] == pytest.approx(float(logit[logit >= 0].mean()), abs=1e-5)
    assert absent["score"] == pytest.approx(float(-logit[logit < 0].mean()), abs=1e-5)
    assert torch.allclose(there.attribution.map, -absent.attribution.map, atol=1e-6)


def test_a_picture_is_answered_on_its_own_pixels_and_what_a_crop_cut_has_no_class(tmp_path: Path) -> None:
    pixels = np.zeros((64, 128, 3), np.uint8)
    pixels[16:48, 48:80, 0] = 230
    Image.fromarray(pixels).save(tmp_path / "street.png")
    cropped = {**PLAIN, "crop": "center", "crop_ratio": 1.0}
    result = explain_segmentation(Colours(4), tmp_path / "street.png", 1, preprocessing=cropped)
    assert result["prediction"].shape == result["heatmap"].shape == result["uncertainty"].shape == (64, 128)
    assert (result["prediction"][:, :32] == -1).all()
    assert (result["prediction"][:, 96:] == -1).all()
    assert np.isnan(result["uncertainty"][:, :32]).all()
    inside = result["prediction"][20:44, 52:76]
    assert (inside == 1).all()
    assert result["classes"][1] == pytest.approx(32 * 32 / (64 * 64), abs=0.03)
    assert result["heatmap"][32, 64] > 0.95
    assert result["heatmap"][4, 40] == 0
    assert result["visualization"].shape[2] == 3


@pytest.mark.parametrize("over_picture", [True, False])
def test_the_figure_is_written_with_or_without_uncertainty(tmp_path: Path, over_picture: bool) -> None:
    settings = {"show_mask_overlay": over_picture, "class_names": ["dark", "red", "green"]}
    four = explain_segmentation(Colours(), scene(), save_path=tmp_path / "new" / "four.png", **settings)
    three = explain_segmentation(Colours(), scene(), show_uncertainty=False, **settings)
    with Image.open(four["save_path"]) as written:
        assert np.array_equal(np.asarray(written), four["visualization"])
    assert three["uncertainty"] is None
    assert not np.array_equal(three["visualization"], four["visualization"])
    assert four.to_json()["classes"] == pytest.approx({str(k): v for k, v in four["classes"].items()})


def test_the_model_comes_back_untouched_also_when_it_cannot_be_explained() -> None:
    model, image = Unet().train(), torch.randn(3, 16, 16)
    before = state_of(model)
    explain_segmentation(model, image)
    with pytest.raises(SeewhyError):
        explain_segmentation(model, image, 7)
    assert changes(before, state_of(model)) == []


REFUSED = {
    "SW-T50": {"image": torch.zeros(3, 32, 48), "target_class": 1},
    "SW-T58": {"class_names": ["one", "two"]},
    "SW-T52": {"image": torch.zeros(3, 32, 48), "background": 0},
    "SW-F115": {"uncertainty_method": "variance"},
    "SW-F117": {"method": "tta"},
    "SW-F12": {"uncertainty_metod": "margin"},
    "SW-R01": {"colormap": "virids"},
}


@pytest.mark.parametrize("code", REFUSED)
def test_what_cannot_be_done_is_refused(code: str) -> None:
    with pytest.raises(SeewhyError) as caught:
        explain_segmentation(Colours(), **{"image": scene(), **REFUSED[code]})  # type: ignore[arg-type]
    assert caught.value.code == code


def test_brightened_views_keep_their_places_and_are_answered() -> None:
    settings = {"target_class": 2, "method": "tta", "flips": (), "brightness": (1.0,)}
    plain = explain_segmentation(Colours(), scene(), 2)
    assert np.allclose(explain_segmentation(Colours(), scene(), **settings)["heatmap"], plain["heatmap"], atol=1e-6)  # type: ignore[arg-type]


def photo() -> Image.Image:
    """60 × 40 pixels, of which a centre crop would lose the outer columns."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))


@pytest.mark.filterwarnings("ignore:the model does not tell")
def test_where_the_preprocessing_is_assumed_every_pixel_gets_a_class() -> None:
    result = explain_segmentation(Colours(), photo())
    assert result["valid_mask"].all()
    assert result["prediction"].min() >= 0
    assert "stretched to 224×224" in result["preprocessing"]
    assert not [note for note in result["notes"] if "crop" in note]


@pytest.mark.filterwarnings("ignore:the model does not tell")
@pytest.mark.parametrize("told", [{}, {"mean": [0.0] * 3, "std": [1.0] * 3}], ids=["assumed", "known"])
def test_a_crop_that_was_asked_for_is_done_and_noted(told: dict[str, list[float]]) -> None:
    given = {"size": 32, "crop": "center", "crop_ratio": 1.0, **told}
    result = explain_segmentation(Colours(), photo(), preprocessing=given)
    assert np.array_equal(result["valid_mask"].any(axis=0), [10 <= column < 50 for column in range(60)])
    assert result["notes"] == ["the centre crop keeps 67% of the picture"]


def test_the_mean_uncertainty_is_that_of_what_the_model_saw() -> None:
    given = {"size": 32, "mean": [0.0] * 3, "std": [1.0] * 3, "crop": "center", "crop_ratio": 1.0}
    result = explain_segmentation(Colours(), photo(), preprocessing=given)
    assert np.isnan(result["uncertainty"]).any()
    assert result["mean_uncertainty"] == pytest.approx(result["uncertainty"][:, 10:50].astype(float).mean(), rel=1e-9)
    assert explain_segmentation(Colours(), scene(), show_uncertainty=False)["mean_uncertainty"] is None
