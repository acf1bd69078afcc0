"""Detectors explained: which boxes, in whose pixels, and that each map is about its own box."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from planted_detectors import (
    FIRST,
    SECOND,
    PlantedDetector,
    PlantedPyramid,
    PlantedRawHead,
    PlantedResizing,
    PlantedYolo,
    two_squares,
)
from torch import nn
from torchvision.models import detection
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from seewhy.explain.detection import explain_detection
from seewhy.explain.detector_input import OwnResize, detector_input, own_resize, resized, shrunk
from seewhy.models.detectors import BoxListReader
from seewhy.values import SeewhyError
from tiny_detr import tiny_detr

AS_LIST: dict[str, Any] = {"reader": BoxListReader(), "passing": "records"}
AS_TENSOR: dict[str, Any] = {"boxes": "xyxy", "max_detections": 40}
METHODS: dict[str, dict[str, Any]] = {
    "gradcam": {},
    "gradcam++": {},
    "hirescam": {},
    "integrated_gradients": {"steps": 16},
    "occlusion": {"window": 4, "stride": 4},
}


def share(heat: np.ndarray, place: tuple[int, int], margin: int = 8) -> float:
    """How much of a map's evidence is at a square and up to ``margin`` pixels around it."""
    near = slice(place[0] - margin, place[1] + margin)
    return float(heat[near, near].sum() / heat.sum())


@pytest.mark.parametrize("method", METHODS)
def test_two_boxes_of_one_class_have_maps_of_their_own(method: str) -> None:
    result = explain_detection(PlantedDetector(), two_squares(), method, **AS_LIST, **METHODS[method])
    first, second = result["heatmaps"]
    assert [one["bbox"] for one in result["detections"]] == [[14, 14, 22, 22], [46, 46, 54, 54]]
    assert [one["class_id"] for one in result["detections"]] == [0, 0]
    assert min(share(first, FIRST), share(second, SECOND)) > 0.9
    assert max(share(first, SECOND), share(second, FIRST)) < 0.1


@pytest.mark.parametrize("method", METHODS)
def test_so_have_boxes_of_a_detector_without_suppression(method: str) -> None:
    result = explain_detection(PlantedYolo(), two_squares(), method, **AS_TENSOR, **METHODS[method])
    each = list(zip(result["detections"], result["heatmaps"], strict=True))
    assert len(each) >= 2
    for found, heat in each:
        at_first = found["bbox"][0] < 30
        assert share(heat, FIRST if at_first else SECOND) > 0.9


def test_gradients_averaged_over_the_picture_cannot_tell_boxes_of_one_class_apart() -> None:
    """The weights of plain Grad-CAM for two boxes of one class point the same way, so the maps are equal."""
    plain = explain_detection(PlantedDetector(), two_squares(), "gradcam", local=False, **AS_LIST)
    first, second = plain["heatmaps"]
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert plain["settings"] == {"local": False}
    assert explain_detection(PlantedDetector(), two_squares(), "gradcam", **AS_LIST)["settings"] == {"local": True}


def test_the_logit_explained_is_that_behind_the_score() -> None:
    result = explain_detection(PlantedDetector(), two_squares(), **AS_LIST)
    for found, logit in zip(result["detections"], result["logits"], strict=True):
        assert 1 / (1 + np.exp(-logit)) == pytest.approx(found["score"], abs=1e-6)
        assert found["confidence"] == found["score"]


def test_a_class_of_its_own_is_told_and_named() -> None:
    result = explain_detection(PlantedDetector(), two_squares(1), class_names=["cat", "dog"], **AS_LIST)
    assert {(one["class_id"], one["class_name"]) for one in result["detections"]} == {(1, "dog")}


def test_each_box_takes_the_pyramid_level_its_logit_reads() -> None:
    picture = torch.zeros(3, 64, 64)
    picture[0, 12:24, 12:24] = 1.0
    picture[1, 32:56, 32:56] = 1.0
    result = explain_detection(PlantedPyramid(), picture, "gradcam", **AS_TENSOR)
    levels = {one["class_id"]: layer for one, layer in zip(result["detections"], result["layers"], strict=True)}
    assert levels == {0: "body", 1: "levels.coarse"}
    assert {one.shape for one in result["attributions"]} == {(16, 16), (8, 8)}


def test_maps_of_one_cell_are_passed_by_for_a_layer_that_the_box_reads_widely() -> None:
    result = explain_detection(PlantedRawHead(), two_squares(), **AS_TENSOR)
    assert set(result["layers"]) == {"relu"}
    assert all(np.count_nonzero(raw) > 1 for raw in result["attributions"])


def test_a_layer_that_is_named_serves_all_boxes() -> None:
    result = explain_detection(PlantedDetector(), two_squares(), target_layer="pool", **AS_LIST)
    assert result["layers"] == ["pool", "pool"]


def test_a_method_that_asks_again_at_a_layer_answers_each_box() -> None:
    result = explain_detection(PlantedPyramid(), two_squares(), "scorecam", **AS_TENSOR)
    assert set(result["layers"]) == {"body"}
    assert all(heat.max() > 0 for heat in result["heatmaps"])


def calls_of(model: nn.Module, most: int) -> int:
    counted: list[int] = []
    with model.register_forward_hook(lambda module, args, output: counted.append(1)):
        explain_detection(model, two_squares(), "gradcam", boxes="xyxy", max_detections=most)
    return len(counted)


def test_more_boxes_take_no_more_forward_passes() -> None:
    assert calls_of(PlantedYolo(), 1) == calls_of(PlantedYolo(), 12)


def test_a_map_of_zeros_is_said_to_be_one_and_what_to_ask_instead() -> None:
    """A centre against its surroundings: the average gradient is negative, the cell's own is positive."""
    model = PlantedDetector()
    with torch.no_grad():
        model.classes.weight.zero_()
        for channel in range(2):
            model.classes.weight[channel, channel] = -2.0
            model.classes.weight[channel, channel, 1, 1] = 14.0
    picture = torch.zeros(3, 64, 64)
    picture[0, 16:20, 16:20] = 1.0
    averaged, own = (explain_detection(model, picture, method, **AS_LIST) for method in ("gradcam", "hirescam"))
    assert not averaged["heatmaps"][0].any()
    assert "hirescam weighs each cell by its own" in averaged["notes"][-1]
    assert own["heatmaps"][0].max() > 0.5
    assert not any("no positive evidence" in note for note in own["notes"])


# Which detections ----------------------------------------------------------------------------------------------------


def test_only_the_best_are_explained() -> None:
    result = explain_detection(PlantedDetector(), two_squares(), max_detections=1, **AS_LIST)
    assert [one["bbox"] for one in result["detections"]] == [[14, 14, 22, 22]]


def test_a_box_picks_the_detection_that_overlaps_it_most() -> None:
    result = explain_detection(PlantedDetector(), two_squares(), bbox=[44, 44, 54, 54], **AS_LIST)
    assert [one["bbox"] for one in result["detections"]] == [[46, 46, 54, 54]]
    assert share(result["heatmaps"][0], SECOND) > 0.9


def test_a_box_where_nothing_is_names_the_detections() -> None:
    with pytest.raises(SeewhyError, match=r"SW-T44") as caught:
        explain_detection(PlantedDetector(), two_squares(), bbox=(30, 50, 38, 60), **AS_LIST)
    assert caught.value.near[0].startswith("class 0 (0.99) at (46.0, 46.0, 54.0, 54.0)")


def test_no_detection_is_a_result_that_says_the_best_score() -> None:
    faint = two_squares() * 0.6
    result = explain_detection(PlantedDetector(), faint, detection_threshold=0.99, **AS_LIST)
    assert (result["detections"], result["heatmaps"]) == ([], [])
    assert "the best score is" in result["notes"][0]
    assert result["visualization"].shape[2] == 3


def test_a_detector_that_finds_nothing_at_all_says_so() -> None:
    result = explain_detection(PlantedDetector(), torch.zeros(3, 64, 64), bbox=(1, 1, 9, 9), **AS_LIST)
    assert result["notes"][0] == "no detections: the detector put out no box at all"


# Whose pixels --------------------------------------------------------------------------------------------------------


def photograph() -> np.ndarray:
    """70 × 90 pixels: the detector makes 64 × 82 of them, on a canvas of 64 × 96."""
    pixels = np.zeros((70, 90, 3), np.uint8)
    pixels[12:26, 62:76, 0] = 255
    return pixels


@pytest.mark.parametrize("method", ["gradcam", "integrated_gradients"])
def test_boxes_and_maps_lie_on_the_original_whatever_the_detector_does_to_it(method: str) -> None:
    result = explain_detection(PlantedResizing(), photograph(), method)
    (found, *others), (heat, *_) = result["detections"], result["heatmaps"]
    assert others == []
    left, top, right, bottom = found["bbox"]
    assert abs((left + right) / 2 - 69) < 3
    assert abs((top + bottom) / 2 - 19) < 3
    assert heat.shape == (70, 90)
    rows, columns = np.indices(heat.shape) + 0.5
    assert abs((rows * heat).sum() / heat.sum() - 19) < 2.5
    assert abs((columns * heat).sum() / heat.sum() - 69) < 2.5
    assert result["attributions"][0].shape == ((16, 24) if method == "gradcam" else (64, 82))


def test_every_form_of_an_image_gives_the_same(tmp_path: Path) -> None:
    Image.fromarray(photograph()).save(tmp_path / "street.png")
    tensor = torch.from_numpy(photograph()).permute(2, 0, 1) / 255
    forms: list[Any] = [tmp_path / "street.png", Image.fromarray(photograph()), photograph(), tensor]
    results = [explain_detection(PlantedResizing(), form) for form in forms]
    assert results[0]["image"] == "street"
    for result in results[1:]:
        np.testing.assert_allclose(result["detections"][0]["bbox"], results[0]["detections"][0]["bbox"], atol=1e-4)
        np.testing.assert_allclose(result["heatmaps"][0], results[0]["heatmaps"][0], atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(480, 640), (300, 1200), (77, 501), (1333, 800), (50, 50)])
def test_the_size_a_detector_makes_of_a_picture_is_known(height: int, width: int) -> None:
    transform = GeneralizedRCNNTransform(200, 333, [0.0] * 3, [1.0] * 3).eval()
    moved, _ = transform([torch.rand(3, height, width)])
    own = own_resize(transform)
    assert own is not None
    assert own.size(height, width) == moved.image_sizes[0]
    assert own.padded(own.size(height, width)) == moved.tensors.shape[2:]


def test_what_the_detector_would_resize_is_resized_as_it_would() -> None:
    transform = GeneralizedRCNNTransform(100, 400, [0.0] * 3, [1.0] * 3, size_divisible=1).eval()
    picture = torch.rand(3, 64, 81)
    moved, _ = transform([picture])
    torch.testing.assert_close(resized(picture, shrunk(64, 81, 100, 400)), moved.tensors[0])


def test_a_fixed_size_is_width_and_height() -> None:
    assert OwnResize(1, 1, (320, 300), 1).size(5, 5) == (300, 320)


def test_a_picture_is_scaled_when_told_how() -> None:
    how = {"size": 64, "mean": [0.0] * 3, "std": [1.0] * 3, "crop": "none"}
    picture = np.zeros((128, 192, 3), np.uint8)
    picture[24:48, 36:72, 0] = 255
    result = explain_detection(PlantedDetector(), picture, preprocessing=how, **AS_LIST)
    assert [one["bbox"] for one in result["detections"]] == [[42, 28, 66, 44]]
    assert result["heatmaps"][0].shape == (128, 192)


# Real detectors ------------------------------------------------------------------------------------------------------

NEW = {"weights": None, "weights_backbone": None, "num_classes": 4}
SMALL = {"min_size": 64, "max_size": 128}
FIRE = {"score_thresh": 0.0, "detections_per_img": 4, "topk_candidates": 20}
REGIONS = {"box_score_thresh": 0.0, "box_detections_per_img": 4, "rpn_post_nms_top_n_test": 30}
FAMILIES: dict[str, Callable[[], nn.Module]] = {
    "Faster R-CNN": lambda: detection.fasterrcnn_mobilenet_v3_large_320_fpn(**NEW, **SMALL, **REGIONS),
    "Mask R-CNN": lambda: detection.maskrcnn_resnet50_fpn(**NEW, **SMALL, **REGIONS),
    "RetinaNet": lambda: detection.retinanet_resnet50_fpn(**NEW, **SMALL, **FIRE),
    "FCOS": lambda: detection.fcos_resnet50_fpn(**NEW, **SMALL, **FIRE),
    "SSDlite": lambda: detection.ssdlite320_mobilenet_v3_large(**NEW, **FIRE),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_torchvisions_detectors_are_explained_as_they_answer(family: str) -> None:
    model, picture = FAMILIES[family]().eval(), torch.rand(3, 50, 70)
    with torch.no_grad():
        (answer,) = model([picture])
    result = explain_detection(model, picture, "hirescam", detection_threshold=0.0, max_detections=3)
    scores, labels = answer["scores"], answer["labels"]
    for row, found in enumerate(result["detections"]):
        assert found["score"] == pytest.approx(float(scores[row]), abs=1e-5)
        assert found["class_id"] == int(labels[row])
        np.testing.assert_allclose(found["bbox"], answer["boxes"][row].tolist(), atol=0.05)
    assert len(result["detections"]) == min(3, len(scores)) > 0
    assert all(layer.startswith("backbone") for layer in result["layers"])
    assert any(raw.any() for raw in result["attributions"])


def test_a_hugging_face_detector_is_explained_where_its_tokens_lie() -> None:
    pytest.importorskip("transformers", reason="transformers is not installed")
    model = tiny_detr()
    model.config.id2label = {0: "cat", 1: "dog", 2: "cow"}
    picture = torch.randn(3, 64, 96)
    result = explain_detection(model, picture, detection_threshold=0.0, max_detections=2)
    with torch.no_grad():
        answer = model.eval()(picture[None])
    best = answer.logits[0].softmax(dim=1)[:, :3].amax(dim=1).sort(descending=True).values
    assert [one["score"] for one in result["detections"]] == pytest.approx(best[:2].tolist(), abs=1e-5)
    assert {one["class_name"] for one in result["detections"]} <= {"cat", "dog", "cow"}
    assert not any("decoder" in layer for layer in result["layers"])


@pytest.mark.parametrize(("height", "width"), [(60, 80), (30, 120), (90, 40)])
def test_a_picture_for_a_hugging_face_detector_is_what_its_processor_makes_of_it(height: int, width: int) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    pixels = np.indices((height, width, 3)).sum(axis=0).astype(np.uint8)
    theirs = transformers.DetrImageProcessor()(Image.fromarray(pixels), return_tensors="pt")["pixel_values"][0]
    given = detector_input(tiny_detr(), pixels, None, torch.float32)
    assert given.prepared.pixels.shape == theirs.shape
    torch.testing.assert_close(given.prepared.pixels, theirs, rtol=0, atol=0.02)
    assert "assumed" in given.told


# What is written -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["found.png", "found.jpg"])
def test_the_picture_is_written(tmp_path: Path, name: str) -> None:
    result = explain_detection(PlantedDetector(), two_squares(), save_path=tmp_path / "new" / name, **AS_LIST)
    with Image.open(result["save_path"]) as written:
        assert (written.height, written.width, 3) == result["visualization"].shape
        pixels = np.asarray(written.convert("RGB"), dtype=int)
    assert np.abs(pixels - result["visualization"]).mean() < (0.001 if name.endswith("png") else 4)


def test_all_detections_are_drawn() -> None:
    one, two = (
        explain_detection(PlantedDetector(), two_squares(), max_detections=most, **AS_LIST)["visualization"]
        for most in (1, 2)
    )
    assert two.shape[1] > one.shape[1]


def test_a_result_is_plain_where_it_is_written_as_json() -> None:
    result = explain_detection(PlantedDetector(), two_squares(), **AS_LIST)
    told = result.to_json()
    assert told["detections"][0]["bbox"] == [14.0, 14.0, 22.0, 22.0]
    assert not {"heatmaps", "attributions", "visualization"} & set(told)
    assert "heatmaps" not in repr(result)


@pytest.mark.parametrize(
    ("code", "given"),
    [
        ("SW-F110", {"boxes": "yxyx"}),
        ("SW-F111", {"boxes": None}),
        ("SW-F112", {"detection_threshold": 1.5}),
        ("SW-F112", {"max_detections": 0}),
        ("SW-F112", {"max_detections": 2.0}),
        ("SW-F113", {"bbox": [5, 5, 2, 9]}),
        ("SW-F113", {"bbox": "here"}),
        ("SW-F114", {"iou_threshold": 0}),
        ("SW-F12", {"stps": 3}),
        ("SW-F10", {"method": "gradcamera"}),
        ("SW-M76", {"boxes": "xyxy", "suppressed": True}),
    ],
)
def test_what_cannot_be_asked_is_an_error(code: str, given: dict[str, Any]) -> None:
    with pytest.raises(SeewhyError, match=code):
        explain_detection(PlantedYolo(), two_squares(), **{"boxes": "xyxy", **given})


def test_a_model_in_training_mode_comes_back_so() -> None:
    model = PlantedDetector().train()
    result = explain_detection(model, two_squares(), **AS_LIST)
    assert model.training
    assert len(result["detections"]) == 2
