"""What segmentation models of every library put out, read as logits of places; and which layers hold them already."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torchvision.models.segmentation as tv
from torch import Tensor, nn

from seewhy.models.embedding_reader import EmbeddingReader
from seewhy.models.logit_layers import calls_holding_logits
from seewhy.models.readers import OutputReader
from seewhy.models.segmentation_adapter import segmentation_adapter
from seewhy.models.segmenters import SegmentationReader, as_logits_again, semantic_logits
from seewhy.values import ModelError
from segmentation_models import PerPlace, Unet

PICTURES = {"image": torch.linspace(-1, 1, 2 * 3 * 32 * 48).sin().reshape(2, 3, 32, 48)}


def read(answer: object, **settings: object) -> Tensor:
    return SegmentationReader(**settings).read(answer, {4}, batch=2)  # type: ignore[arg-type]


def test_the_logits_are_found_in_every_container_and_auxiliary_outputs_left_alone() -> None:
    logits, other = torch.randn(2, 5, 4, 6), torch.randn(2, 5, 8, 12)
    answers = (
        logits,
        {"aux": other, "out": logits},
        (logits, other),
        [logits, other],
        {"loss": None, "logits": logits},
    )
    assert all(read(answer) is logits for answer in answers)
    assert read({"mask": logits, "out": other}, selector="mask") is logits


@pytest.mark.parametrize("reader", [SegmentationReader(), EmbeddingReader("fc.input")])
def test_the_readers_keep_the_engine_s_protocol(reader: object) -> None:
    assert isinstance(reader, OutputReader)


def test_half_precision_is_read_in_full() -> None:
    assert read(torch.ones(2, 3, 2, 2, dtype=torch.float16)).dtype == torch.float32


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (torch.zeros(2, 32, 48), "SW-M80"),
        (torch.zeros(2, 21), "SW-M80"),
        (torch.zeros(2, 32, 48, dtype=torch.long), "SW-M81"),
        (torch.zeros(1, 21, 32, 48), "SW-M82"),
        ({"masks": None}, "SW-M01"),
    ],
)
def test_what_holds_no_logits_of_places_is_refused(answer: object, code: str) -> None:
    with pytest.raises(ModelError) as caught:
        read(answer)
    assert caught.value.code == code


def test_logits_of_signals_have_three_axes() -> None:
    logits = torch.zeros(2, 5, 100)
    assert SegmentationReader().read(logits, {3}, batch=2) is logits


def test_mask_classification_is_the_sum_over_queries_as_in_the_paper() -> None:
    classes, masks = torch.randn(2, 7, 5, dtype=torch.float64), 5 * torch.randn(2, 7, 3, 4, dtype=torch.float64)
    weights = np.exp(classes.numpy()) / np.exp(classes.numpy()).sum(axis=-1, keepdims=True)
    inside = 1 / (1 + np.exp(-masks.numpy()))
    expected = np.zeros((2, 4, 3, 4))
    for b, q, c, y, x in np.ndindex(2, 7, 4, 3, 4):
        expected[b, c, y, x] += weights[b, q, c] * inside[b, q, y, x]
    assert np.abs(semantic_logits(classes, masks).exp().numpy() - expected).max() < 1e-12


def test_places_that_every_mask_leaves_out_still_tell_classes_apart() -> None:
    classes, masks = torch.tensor([[[2.0, 0.0, 0.0]]]), torch.full((1, 1, 1), -500.0)
    found = semantic_logits(classes, masks)
    assert found.isfinite().all()
    assert float(found[0, 0] - found[0, 1]) == pytest.approx(2.0, abs=1e-3)


def test_hugging_face_s_mask_models_predict_what_their_own_post_processing_says() -> None:
    transformers = pytest.importorskip("transformers")
    from transformers.models.maskformer.modeling_maskformer import MaskFormerForInstanceSegmentationOutput as Answer

    classes, masks = torch.randn(2, 9, 6), 3 * torch.randn(2, 9, 8, 12)
    answer = Answer(class_queries_logits=classes, masks_queries_logits=masks)
    processor = transformers.MaskFormerImageProcessor()
    theirs = processor.post_process_semantic_segmentation(answer, target_sizes=None)
    ours = read(answer).argmax(dim=1)
    assert all(torch.equal(mine, one) for mine, one in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(("activation", "apply"), [("sigmoid", torch.sigmoid), ("softmax", lambda z: z.softmax(1))])
def test_an_activation_is_undone(activation: str, apply: object) -> None:
    logits = torch.randn(2, 4, 3, 3, dtype=torch.float64)
    again = as_logits_again(apply(logits), activation)  # type: ignore[operator, arg-type]
    constant = (again - logits).mean(dim=1, keepdim=True)
    assert torch.allclose(again, logits + constant, atol=1e-12)
    assert activation == "softmax" or float(constant.abs().max()) < 1e-12


def test_the_traced_score_looks_at_every_place() -> None:
    outputs = torch.tensor([[[[1.0, 5.0]], [[3.0, 2.0]]]])
    assert float(SegmentationReader().traced_score(outputs)) == pytest.approx(4.0)
    assert float(SegmentationReader().traced_score(torch.tensor([[[-2.0, 1.0]]]))) == pytest.approx(1.5)


TORCHVISION = {
    "fcn_resnet50": ("classifier.2", {"classifier.4", "classifier"}),
    "deeplabv3_mobilenet_v3_large": ("classifier.3", {"classifier.4", "classifier"}),
    "lraspp_mobilenet_v3_large": (
        "classifier.cbr", {"classifier.low_classifier", "classifier.high_classifier", "classifier"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TORCHVISION)
def test_the_default_layer_of_torchvision_s_models_is_the_last_before_the_logits(name: str) -> None:
    auxiliary = {} if "lraspp" in name else {"aux_loss": True}
    model = getattr(tv, name)(weights=None, weights_backbone=None, num_classes=5, **auxiliary)
    adapter = segmentation_adapter(model, PICTURES)
    layer, held = TORCHVISION[name]
    assert adapter.trace.logits.shape == (2, 5, 32, 48)
    assert adapter.target_layer.layer == layer
    assert {call for call, _ in calls_holding_logits(adapter)} == held
    assert all(module.training for module in model.modules())


def test_the_default_layer_of_segformer_is_the_last_before_the_logits() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.SegformerConfig(
        num_labels=5, depths=[1] * 4, hidden_sizes=[8, 8, 16, 16], decoder_hidden_size=16,
        num_attention_heads=[1, 1, 2, 2],
    )  # fmt: skip
    adapter = segmentation_adapter(transformers.SegformerForSemanticSegmentation(config), PICTURES)
    assert adapter.trace.logits.shape == (2, 5, 8, 12)
    assert adapter.target_layer.layer == "decode_head.activation"


class Applied(nn.Module):
    """A function as the end of a model, as a forward may call it without a module of its own."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, logits: Tensor) -> Tensor:
        return self.function(logits)


ENDINGS = [
    (4, None, ""),
    (4, nn.Softmax(dim=1), "ends in Softmax"),
    (4, Applied(lambda z: z.softmax(1)), "behind a softmax"),
    (1, None, ""),
    (1, nn.Sigmoid(), "ends in Sigmoid"),
    (1, Applied(torch.sigmoid), "behind a sigmoid"),
]


@pytest.mark.parametrize(("classes", "ending", "note"), ENDINGS)
def test_a_unet_with_or_without_an_activation_at_its_end(classes: int, ending: nn.Module | None, note: str) -> None:
    torch.manual_seed(1)
    plain = Unet(classes=classes).eval()
    model = Unet(classes=classes, ending=ending).eval()
    model.load_state_dict(plain.state_dict())
    adapter = segmentation_adapter(model, PICTURES)
    assert adapter.target_layer.layer in ("decoder", "decoder.2")
    assert note in " ".join(adapter.notes)
    logits, read_again = plain(PICTURES["image"]).detach(), adapter.trace.logits
    expected = logits.log_softmax(1) if note == "behind a softmax" else logits
    assert torch.allclose(read_again, expected, atol=1e-4)


def test_a_layer_that_merely_has_as_many_channels_as_classes_is_no_logit_layer() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))
    adapter = segmentation_adapter(model, PICTURES)
    assert calls_holding_logits(adapter) == [("2", 0)]
    assert adapter.target_layer.layer == "1"


def test_logits_that_are_enlarged_by_layers_are_all_passed_over() -> None:
    body = (nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU())
    model = nn.Sequential(*body, nn.Conv2d(6, 4, 1), nn.Upsample(scale_factor=2, mode="bilinear"))
    assert segmentation_adapter(model, PICTURES).target_layer.layer == "1"


def test_a_model_that_is_nothing_but_its_logits_says_so() -> None:
    adapter = segmentation_adapter(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1)), PICTURES)
    with pytest.raises(ModelError, match="SW-M85"):
        _ = adapter.target_layer


def test_the_queries_of_a_mask_model_are_not_taken_for_places() -> None:
    """Seven queries are as many as a grid of 2 × 2 cells and three prefix tokens, but look everywhere."""
    transformers = pytest.importorskip("transformers")
    backbone = transformers.SwinConfig(
        embed_dim=8, depths=[1] * 4, num_heads=[1] * 4, window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    decoder = transformers.DetrConfig(
        d_model=32, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=16, decoder_ffn_dim=16,
        encoder_attention_heads=2, decoder_attention_heads=2, num_queries=7,
    )  # fmt: skip
    config = transformers.MaskFormerConfig(
        num_labels=4, backbone_config=backbone, fpn_feature_size=32, mask_feature_size=32, decoder_config=decoder
    )
    adapter = segmentation_adapter(
        transformers.MaskFormerForInstanceSegmentation(config), {"image": torch.randn(1, 3, 64, 64)}
    )
    assert adapter.trace.logits.shape == (1, 4, 16, 16)
    grid = adapter.grid(adapter.target_layer.layer)
    assert grid.layout != "tokens"


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_places_of_any_rank_and_channels_of_any_number(rank: int) -> None:
    model = PerPlace(rank, channels=5, features=6, classes=3)
    inputs = {"scan": torch.randn(2, 5, *(12, 10, 8)[:rank])}
    adapter = segmentation_adapter(model, inputs)
    assert adapter.target_layer.layer == "conv"
    assert adapter.trace.logits.shape == (2, 3, *(12, 10, 8)[:rank])


class Encoder(nn.Module):
    """A backbone and a head; what the head takes is the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.fc = nn.Linear(6, 2)

    def forward(self, image: Tensor) -> Tensor:
        return self.fc(self.conv(image).relu_().mean(dim=(2, 3)))


def test_the_embedding_is_read_at_a_layer_with_its_graph() -> None:
    model, image = Encoder(), torch.randn(2, 3, 4, 4)
    for layer in ("fc.input", "conv"):
        reader = EmbeddingReader(layer)
        with reader.watching(model) as seen:
            answer = model(image)
        found = reader.read(answer, seen, batch=2)
        features = model.conv(image)
        expected = (features if layer == "conv" else features.relu()).mean(dim=(2, 3))
        assert torch.allclose(found, expected, atol=1e-6)
        (gradient,) = torch.autograd.grad(found.sum(), model.conv.bias)
        assert float(gradient.abs().sum()) > 0
    assert not model.conv._forward_hooks
    assert not model.fc._forward_pre_hooks


def test_an_embedding_layer_that_does_not_run_is_named() -> None:
    model = Encoder()
    model.unused = nn.Linear(2, 2)
    reader = EmbeddingReader("unused")
    with reader.watching(model) as seen:
        answer = model(torch.zeros(1, 3, 4, 4))
    with pytest.raises(ModelError, match="SW-M83"):
        reader.read(answer, seen, batch=1)


def test_an_embedding_without_a_row_for_each_record_is_refused() -> None:
    with pytest.raises(ModelError, match="SW-M84"):
        EmbeddingReader().read(torch.zeros(3, 5), [], batch=2)


class Gated(nn.Module):
    """A gate of one channel, as in an attention U-Net, in front of the last layers of a model with one output."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.gate = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(3, 1, 3, padding=1)
        self.mix, self.head = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.ReLU()), nn.Conv2d(6, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.mix(self.features(image) * self.gate(image).sigmoid()))


def test_a_gate_of_one_channel_is_no_logit_layer() -> None:
    adapter = segmentation_adapter(Gated(), PICTURES)
    assert calls_holding_logits(adapter) == [("head", 0)]
