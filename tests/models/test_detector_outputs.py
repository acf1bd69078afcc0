"""What is read of a detector's answer: the candidates' boxes, the logits behind their scores, the scores themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import detection

from seewhy.models.borrow import borrowed
from seewhy.models.candidates import ABSENT, Candidates, stacked_candidates, sum_of_best
from seewhy.models.detectors import BoxListReader
from seewhy.models.detr import QueryReader, corners, to_pixels
from seewhy.models.yolo_like import BoxTensorReader, both, log_odds
from seewhy.values import SeewhyError
from tiny_detr import tiny_detr

NEW = {"weights": None, "weights_backbone": None, "num_classes": 4}
SMALL = {"min_size": 64, "max_size": 128}
FIRE = {"score_thresh": 0.0, "detections_per_img": 8, "topk_candidates": 20}
REGIONS = {"box_score_thresh": 0.0, "box_detections_per_img": 6, "rpn_post_nms_top_n_test": 30}

SOFTMAX: dict[str, Callable[[], nn.Module]] = {
    "Faster R-CNN": lambda: detection.fasterrcnn_mobilenet_v3_large_320_fpn(**NEW, **SMALL, **REGIONS),
    "Mask R-CNN": lambda: detection.maskrcnn_resnet50_fpn(**NEW, **SMALL, **REGIONS),
    "SSD": lambda: detection.ssdlite320_mobilenet_v3_large(**NEW, **FIRE),
}


def retinanet() -> nn.Module:
    return detection.retinanet_resnet50_fpn(**NEW, **SMALL, **FIRE)


def asked(model: nn.Module, pictures: list[Tensor]) -> tuple[Any, Candidates]:
    """The answer, and what is read of it, without gradients."""
    reader = BoxListReader()
    with borrowed(model), reader.watching(model) as seen:
        answer = model(pictures)
        return answer, Candidates.unpacked(reader.read(answer, seen, batch=len(pictures)))


def own(table: Tensor, labels: Tensor) -> Tensor:
    return table.gather(1, labels.unsqueeze(1)).squeeze(1)


@pytest.mark.parametrize("build", SOFTMAX.values(), ids=SOFTMAX)
def test_the_softmax_of_the_logits_is_the_score(build: Callable[[], nn.Module]) -> None:
    (answer,), found = asked(build(), [torch.rand(3, 64, 96)])
    torch.testing.assert_close(own(found.logits[0].softmax(dim=1), answer["labels"]), answer["scores"])
    torch.testing.assert_close(own(found.scores[0], answer["labels"]), answer["scores"])
    torch.testing.assert_close(found.boxes[0], answer["boxes"])
    assert found.scores[0].count_nonzero() == len(answer["scores"]) > 0


def test_the_sigmoid_of_a_retinanets_logit_is_the_score() -> None:
    (answer,), found = asked(retinanet(), [torch.rand(3, 64, 96)])
    torch.testing.assert_close(own(found.logits[0], answer["labels"]).sigmoid(), answer["scores"])


def test_the_class_logit_of_fcos_makes_the_score_with_its_centre() -> None:
    model = detection.fcos_resnet50_fpn(**NEW, **SMALL, **FIRE)
    heads: list[dict[str, Tensor]] = []
    with model.head.register_forward_hook(lambda module, args, output: heads.append(output)):
        (answer,), found = asked(model, [torch.rand(3, 64, 96)])
    rows, centres = heads[0]["cls_logits"][0], heads[0]["bbox_ctrness"][0, :, 0]
    place = torch.tensor([int((rows == logits).all(dim=1).nonzero()[0, 0]) for logits in found.logits[0]])
    logit = own(found.logits[0], answer["labels"])
    torch.testing.assert_close((logit.sigmoid() * centres[place].sigmoid()).sqrt(), answer["scores"])


def test_the_gradient_of_the_logit_is_that_of_the_score_before_the_sigmoid() -> None:
    model, reader = retinanet().eval(), BoxListReader()
    picture = torch.rand(3, 64, 64, requires_grad=True)
    with reader.watching(model) as seen:
        (answer,) = model([picture])
        found = Candidates.unpacked(reader.read([answer], seen, batch=1))
    score = answer["scores"][0]
    logit = found.logits[0, 0, answer["labels"][0]]
    of_score, of_logit = (torch.autograd.grad(one, picture, retain_graph=True)[0] for one in (score, logit))
    assert of_logit.abs().max() > 0
    torch.testing.assert_close(of_score, (score * (1 - score)).detach() * of_logit, rtol=1e-4, atol=1e-9)


def test_without_gradients_only_the_sorting_of_scores_is_recorded() -> None:
    with borrowed(model := SOFTMAX["Mask R-CNN"]()), BoxListReader().watching(model) as seen:
        (answer,) = model([torch.rand(3, 64, 64)])
    assert answer["scores"].requires_grad
    assert not answer["boxes"].requires_grad
    assert not answer["masks"].requires_grad
    assert not any(table.logits.requires_grad for table in seen.tables)


def test_records_with_fewer_detections_are_filled_up_and_read_as_alone() -> None:
    model = Toy(threshold=0.5)
    pictures = [toy_picture([3.0, 1.0, 2.0]), toy_picture([4.0, -1.0, -2.0])]
    _, together = asked(model, pictures)
    assert together.boxes.shape == (2, 3, 4)
    assert together.logits[1, 1:].eq(ABSENT).all()
    assert together.scores[1, 1:].eq(0).all()
    for row, picture in enumerate(pictures):
        _, alone = asked(model, [picture])
        count = alone.boxes.shape[1]
        torch.testing.assert_close(together.logits[row, :count], alone.logits[0])


class Toy(nn.Module):
    """Each column of the picture is a candidate whose class logits are its first two channels' means."""

    def __init__(self, threshold: float = 0.0, *, gate: bool = False, detached: bool = False) -> None:
        super().__init__()
        self.threshold, self.gate, self.detached = threshold, gate, detached

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        return [self.one(image) for image in images]

    def one(self, image: Tensor) -> dict[str, Tensor]:
        logits = image[:2].mean(dim=1).T
        if self.gate:
            logits = logits * (1 + logits.mean(dim=0, keepdim=True).sigmoid())
        scores = logits.sigmoid()
        scores = scores.detach() if self.detached else scores
        best, labels = scores.max(dim=1)
        kept = (best > self.threshold).nonzero().squeeze(1).flip(0)
        left = kept.to(image).unsqueeze(1)
        boxes = torch.cat([left, torch.zeros_like(left), left + 1, torch.ones_like(left)], dim=1)
        return {"boxes": boxes, "labels": labels[kept], "scores": best[kept]}


def toy_picture(logits: list[float]) -> Tensor:
    """Class 0 has these logits, class 1 lower ones."""
    first = torch.tensor(logits).expand(2, -1)
    return torch.stack([first, first - 5, first * 0])


def test_equal_scores_are_told_apart() -> None:
    (answer,), found = asked(Toy(), [toy_picture([40.0, 50.0, 60.0])])
    assert answer["scores"].unique().tolist() == [1.0]
    assert found.logits[0, :, 0].tolist() == [60.0, 50.0, 40.0]


@pytest.mark.parametrize("logits", [[2.0], [2.0, 3.0, 1.0]])
def test_a_gate_before_the_scores_is_not_taken_for_them(logits: list[float]) -> None:
    (answer,), found = asked(Toy(gate=True), [toy_picture(logits)])
    torch.testing.assert_close(found.logits[0, :, 0].sigmoid(), answer["scores"])


def test_no_detections_are_one_empty_candidate() -> None:
    _, found = asked(Toy(threshold=0.9), [toy_picture([-3.0, -2.0])])
    assert found.boxes.tolist() == [[[0, 0, 0, 0]]]
    assert found.logits.tolist() == [[[ABSENT, ABSENT]]]
    assert sum_of_best(found.packed()).tolist() == [0]


def code_of(ask: Callable[[], object]) -> str:
    with pytest.raises(SeewhyError) as caught:
        ask()
    return caught.value.code


def test_scores_without_a_path_to_a_logit_are_an_error() -> None:
    assert code_of(lambda: asked(Toy(detached=True), [toy_picture([1.0, 2.0])])) == "SW-M71"


class Fixed(nn.Module):
    """Answers what it was given, after these tables of logits went through a sigmoid."""

    def __init__(self, answer: Callable[[list[Tensor]], Any], tables: list[Tensor]) -> None:
        super().__init__()
        self.answer, self.tables = answer, tables

    def forward(self, images: list[Tensor]) -> Any:
        del images
        return self.answer([table.sigmoid() for table in self.tables])


def detections(scores: Tensor) -> list[dict[str, Tensor]]:
    return [{"boxes": torch.zeros(len(scores), 4), "labels": torch.zeros(len(scores)).long(), "scores": scores}]


def test_a_detector_without_softmax_or_sigmoid_is_an_error() -> None:
    assert code_of(lambda: asked(Fixed(lambda _: detections(torch.rand(2)), []), [torch.rand(3, 4, 4)])) == "SW-M70"


def test_tables_of_different_classes_are_an_error() -> None:
    model = Fixed(
        lambda seen: detections(torch.cat([seen[0][:, 0], seen[1][:, 0]])), [torch.ones(1, 2), torch.ones(1, 3)]
    )
    assert code_of(lambda: asked(model, [torch.rand(3, 4, 4)])) == "SW-M72"


@pytest.mark.parametrize(
    "answer", [lambda _: torch.rand(2, 3), lambda _: [], lambda _: [{"boxes": torch.rand(1, 4)}], lambda _: {"a": 1}]
)
def test_another_answer_than_boxes_is_an_error(answer: Callable[[list[Tensor]], Any]) -> None:
    assert code_of(lambda: asked(Fixed(answer, []), [torch.rand(3, 4, 4)])) == "SW-M73"


# Queries -------------------------------------------------------------------------------------------------------------


class Queries(nn.Module):
    def __init__(self, logits: Tensor, boxes: Tensor) -> None:
        super().__init__()
        self.logits, self.boxes = logits, boxes

    def forward(self, pixel_values: Tensor) -> dict[str, Tensor]:
        del pixel_values
        return {"logits": self.logits, "pred_boxes": self.boxes}


def read_queries(logits: Tensor, boxes: Tensor, classes: int, given: Tensor | None = None) -> Candidates:
    model, reader = Queries(logits, boxes), QueryReader(classes)
    with reader.watching(model) as seen:
        answer = model(torch.zeros(len(logits), 3, 10, 20) if given is None else given)
    return Candidates.unpacked(reader.read(answer, seen, batch=len(logits)))


def test_the_last_of_one_logit_more_is_no_object() -> None:
    logits, boxes = torch.randn(2, 5, 4), torch.rand(2, 5, 4)
    found = read_queries(logits, boxes, 3)
    torch.testing.assert_close(found.logits, logits[..., :3])
    torch.testing.assert_close(found.scores, logits.softmax(dim=2)[..., :3])


def test_as_many_logits_as_classes_are_sigmoids() -> None:
    logits, boxes = torch.randn(2, 5, 3), torch.rand(2, 5, 4)
    found = read_queries(logits, boxes, 3)
    torch.testing.assert_close(found.scores, logits.sigmoid())


def test_relative_boxes_become_pixels_of_the_input() -> None:
    found = read_queries(torch.zeros(1, 1, 2), torch.tensor([[[0.5, 0.5, 0.2, 1.0]]]), 2)
    torch.testing.assert_close(found.boxes, torch.tensor([[[8.0, 0.0, 12.0, 10.0]]]))


def test_queries_of_another_number_of_classes_are_an_error() -> None:
    assert code_of(lambda: read_queries(torch.zeros(1, 2, 7), torch.rand(1, 2, 4), 3)) == "SW-M75"
    assert code_of(lambda: read_queries(torch.zeros(1, 2, 3), torch.rand(1, 2, 5), 3)) == "SW-M75"


def test_relative_boxes_without_a_picture_are_an_error() -> None:
    assert code_of(lambda: read_queries(torch.zeros(1, 2, 3), torch.rand(1, 2, 4), 3, torch.zeros(1, 5))) == "SW-M74"


def test_a_hugging_face_detector_is_read_as_its_own_processor_does() -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    model = tiny_detr()
    reader, pixels = QueryReader(3), torch.randn(1, 3, 64, 96)
    with borrowed(model), reader.watching(model) as seen:
        answer = model(pixels)
        found = Candidates.unpacked(reader.read(answer, seen, batch=1))
    processor = transformers.DetrImageProcessor()
    (theirs,) = processor.post_process_object_detection(answer, threshold=0.0, target_sizes=[(64, 96)])
    torch.testing.assert_close(found.scores[0].amax(dim=1), theirs["scores"])
    assert found.best[0].tolist() == theirs["labels"].tolist()
    torch.testing.assert_close(found.boxes[0], theirs["boxes"])


# One tensor of candidates --------------------------------------------------------------------------------------------


def read_tensor(answer: Any, **told: Any) -> Candidates:
    batch = len(answer)
    return Candidates.unpacked(BoxTensorReader(**told).read(answer, None, batch=batch))


ROWS = torch.cat([torch.tensor([[[5.0, 6, 4, 2]]]).expand(2, 9, 4), torch.linspace(-3, 3, 54).reshape(2, 9, 3)], dim=2)


@pytest.mark.parametrize("turned", [False, True])
def test_classes_and_corners_of_a_tensor_of_candidates(turned: bool) -> None:
    found = read_tensor(ROWS.transpose(1, 2) if turned else ROWS, boxes="xywh")
    torch.testing.assert_close(found.logits, ROWS[..., 4:])
    torch.testing.assert_close(found.scores, ROWS[..., 4:].sigmoid())
    torch.testing.assert_close(found.boxes, torch.tensor([3.0, 5, 7, 7]).expand(2, 9, 4))


def test_corners_are_taken_as_they_are() -> None:
    torch.testing.assert_close(read_tensor(ROWS, boxes="xyxy").boxes, ROWS[..., :4])


def test_probabilities_have_their_log_odds_for_logits() -> None:
    probabilities = torch.cat([ROWS[..., :4], ROWS[..., 4:].sigmoid()], dim=2)
    torch.testing.assert_close(read_tensor(probabilities, boxes="xywh").logits, ROWS[..., 4:])


@pytest.mark.parametrize("values", ["logits", "probabilities"])
def test_an_objectness_multiplies_the_class(values: str) -> None:
    rows = ROWS if values == "logits" else torch.cat([ROWS[..., :4], ROWS[..., 4:].sigmoid()], dim=2)
    found = read_tensor(rows, boxes="xywh", objectness=True, values=values)
    product = ROWS[..., 4:5].sigmoid() * ROWS[..., 5:].sigmoid()
    torch.testing.assert_close(found.scores, product)
    torch.testing.assert_close(found.logits, log_odds(product), rtol=1e-4, atol=1e-5)


def test_the_logit_of_a_product_is_exact_where_the_product_is_next_to_one() -> None:
    one = torch.tensor([20.0], dtype=torch.float64)
    expected = torch.log(1 / (2 * torch.exp(-one) + torch.exp(-2 * one)))
    torch.testing.assert_close(both(one, one), expected, rtol=1e-7, atol=0)


def test_rows_after_suppression_have_a_score_for_their_own_class_and_no_gradient_from_it() -> None:
    rows = torch.tensor([[[0.0, 0, 4, 4, 0.9, 2], [1, 1, 5, 5, 0.6, 0]]], requires_grad=True)
    outputs = BoxTensorReader("xyxy", suppressed=True).read(rows, None, batch=1)
    found = Candidates.unpacked(outputs)
    torch.testing.assert_close(found.scores[0], torch.tensor([[0.0, 0, 0.9], [0.6, 0, 0]]))
    (gradient,) = torch.autograd.grad(found.logits[0, 0, 2], rows)
    expected = torch.zeros(1, 2, 6)
    expected[0, 0, 4] = 1 / (0.9 * 0.1)
    torch.testing.assert_close(gradient, expected)


def test_pictures_may_have_different_numbers_of_rows() -> None:
    first, second = torch.rand(3, 6), torch.rand(1, 6)
    first[:, 5], second[:, 5] = 1, 0
    found = read_tensor([first, second], boxes="xyxy", suppressed=True)
    assert (found.scores.amax(dim=2) > 0).sum(dim=1).tolist() == [3, 1]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (torch.rand(2, 9), {"boxes": "xyxy"}),
        (torch.rand(2, 9, 4), {"boxes": "xyxy"}),
        (["no tensor", "at all"], {"boxes": "xyxy"}),
        (torch.rand(2, 9, 7), {"boxes": "xyxy", "suppressed": True}),
    ],
)
def test_an_answer_that_is_no_tensor_of_candidates_is_an_error(answer: Any, told: dict[str, Any]) -> None:
    assert code_of(lambda: read_tensor(answer, **told)) == "SW-M76"


def test_boxes_written_in_an_unknown_way_are_an_error() -> None:
    assert code_of(lambda: BoxTensorReader("yxyx")) == "SW-F110"  # type: ignore[arg-type]
    assert code_of(lambda: BoxTensorReader("xyxy", values="percent")) == "SW-F110"  # type: ignore[arg-type]


# Packing -------------------------------------------------------------------------------------------------------------


def test_what_is_packed_is_what_is_unpacked() -> None:
    found = Candidates(torch.rand(2, 3, 4), torch.randn(2, 3, 5), torch.rand(2, 3, 5))
    again = Candidates.unpacked(found.packed())
    for one, other in ((found.boxes, again.boxes), (found.logits, again.logits), (found.scores, again.scores)):
        assert torch.equal(one, other)


def test_only_logits_carry_a_gradient() -> None:
    parts = [torch.rand(1, 2, width, requires_grad=True) for width in (4, 3, 3)]
    gradients = torch.autograd.grad(Candidates(*parts).packed().sum(), parts, allow_unused=True)
    assert [gradient is not None for gradient in gradients] == [False, True, False]


def test_the_traced_score_is_the_sum_of_the_best_classes_logits() -> None:
    logits = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    scores = torch.tensor([[[0.9, 0.1], [0.2, 0.3]]])
    one = Candidates(torch.zeros(1, 2, 4), logits, scores)
    empty = Candidates(torch.zeros(1, 0, 4), logits[:, :0], scores[:, :0])
    assert sum_of_best(stacked_candidates([one, empty]).packed()).tolist() == [5.0, 0.0]


def test_centres_and_corners_say_the_same() -> None:
    boxes = torch.tensor([[10.0, 20, 4, 6]])
    torch.testing.assert_close(corners(boxes), torch.tensor([[8.0, 17, 12, 23]]))
    torch.testing.assert_close(to_pixels(boxes / 100, (100, 100)), corners(boxes))


def test_a_saturated_probability_has_a_finite_logit() -> None:
    assert log_odds(torch.tensor([0.0, 1.0])).isfinite().all()
    assert F.sigmoid(log_odds(torch.tensor([1.0]))).item() == pytest.approx(1.0, abs=1e-6)
