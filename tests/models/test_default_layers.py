"""Which layer a map is made from when none is named, family by family, and the reason where there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.core import Wants
from seewhy.models.adapter import Adapter
from seewhy.models.grid import Grid
from seewhy.values import LayerError, ModelError
from toys import Block, ChannelsLastNet, ConvNet, Vit


def from_timm(name: str, **settings: Any) -> Callable[[], nn.Module]:
    return lambda: timm.create_model(name, num_classes=4, **settings)


def from_torchvision(name: str, **settings: Any) -> Callable[[], nn.Module]:
    return lambda: torchvision.models.get_model(name, num_classes=4, **settings)


def torchvision_vit() -> nn.Module:
    model = torchvision.models.VisionTransformer(64, 16, 3, 3, 48, 96, num_classes=4)
    nn.init.normal_(model.heads.head.weight)  # torchvision starts the head at zero, on which nothing depends
    return model


SWIN = {"img_size": 64, "window_size": 4, "depths": (2, 2), "embed_dim": 12, "num_heads": (1, 2)}
VIT = {"img_size": 64, "depth": 3}
FIRST, LAST, TOKENS = "channels_first", "channels_last", "tokens"

FAMILIES: dict[str, tuple[Callable[[], nn.Module], int, str, Grid, str]] = {
    "resnet18": (from_timm("resnet18"), 64, "layer4", Grid(FIRST, (2, 2)), "fc.input"),
    "vgg11": (from_torchvision("vgg11"), 64, "features", Grid(FIRST, (2, 2)), "classifier.6.input"),
    "alexnet": (from_torchvision("alexnet"), 96, "features", Grid(FIRST, (2, 2)), "classifier.6.input"),
    "squeezenet": (from_torchvision("squeezenet1_1"), 64, "classifier.2", Grid(FIRST, (3, 3)), "classifier.1.input"),
    "densenet": (from_timm("densenet121"), 64, "features", Grid(FIRST, (2, 2)), "classifier.input"),
    "mobilenet": (from_timm("mobilenetv3_small_050"), 64, "blocks", Grid(FIRST, (2, 2)), "classifier.input"),
    "efficientnet": (from_timm("test_efficientnet"), 64, "bn2", Grid(FIRST, (2, 2)), "classifier.input"),
    "convnext": (from_timm("convnext_atto"), 64, "stages", Grid(FIRST, (2, 2)), "head.fc.input"),
    "vit": (from_timm("vit_tiny_patch16_224", **VIT), 64, "blocks.2.norm1", Grid(TOKENS, (4, 4), 1), "head.input"),
    "vit, mean of tokens": (
        from_timm("vit_tiny_patch16_224", global_pool="avg", class_token=False, **VIT),
        64, "blocks", Grid(TOKENS, (4, 4), 0), "head.input",
    ),
    "distilled": (
        from_timm("deit_tiny_distilled_patch16_224", **VIT), 64, "blocks.2.norm1", Grid(TOKENS, (4, 4), 2), "norm",
    ),
    "norms of queries and keys": (  # (B, heads, N, d) is no grid
        from_timm("vit_relpos_small_patch16_224", qk_norm=True, class_token=True, global_pool="token", num_heads=6,
                  embed_dim=96, img_size=64, patch_size=8, depth=2),
        64, "blocks.1.norm1", Grid(TOKENS, (8, 8), 1), "head.input",
    ),
    "registers": (
        from_timm("vit_small_patch14_reg4_dinov2", img_size=56, depth=2),
        56, "blocks.1.norm1", Grid(TOKENS, (4, 4), 5), "head.input",
    ),
    "swin": (from_timm("swin_tiny_patch4_window7_224", **SWIN), 64, "norm", Grid(LAST, (8, 8)), "head.fc.input"),
    "torchvision vit": (
        torchvision_vit, 64, "encoder.layers.encoder_layer_2.ln_1", Grid(TOKENS, (4, 4), 1), "heads.head.input",
    ),
    "torchvision swin": (
        lambda: torchvision.models.SwinTransformer([4, 4], 12, [2, 2], [1, 2], [4, 4], num_classes=4),
        64, "permute", Grid(FIRST, (8, 8)), "head.input",
    ),
    "video": (
        lambda: torchvision.models.video.r3d_18(num_classes=4), 32, "layer4", Grid(FIRST, (1, 2, 2)), "fc.input",
    ),
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_the_default_layer_grid_and_embedding_of_a_family(family: str) -> None:
    build, size, layer, grid, embedding = FAMILIES[family]
    torch.manual_seed(0)
    image = torch.randn(2, 3, *((8,) if family == "video" else ()), size, size)
    adapter = Adapter(build(), {"image": image})
    assert adapter.target_layer.layer == layer
    assert adapter.grid(layer) == grid
    assert adapter.embedding_layer.layer == embedding
    assert adapter.classes == 4


def test_the_embedding_of_a_classifier_is_what_its_head_reads() -> None:
    model = timm.create_model("resnet18", num_classes=4).eval()
    inputs = {"image": torch.randn(2, 3, 64, 64)}
    adapter = Adapter(model, inputs)
    capture = Probe(adapter, []).capture(inputs, Wants(embedding=adapter.embedding_layer.layer))
    with torch.no_grad():
        expected = model.forward_head(model.forward_features(inputs["image"]), pre_logits=True)
    assert capture.embedding is not None
    torch.testing.assert_close(capture.embedding, expected, rtol=0, atol=1e-6)


def test_the_embedding_of_a_headless_model_is_its_outputs() -> None:
    model = timm.create_model("test_resnet", num_classes=0).eval()
    inputs = {"image": torch.randn(2, 3, 64, 64)}
    adapter = Adapter(model, inputs)
    assert (adapter.headless, adapter.classes) == (True, 0)
    capture = Probe(adapter, []).capture(inputs, Wants(embedding=adapter.embedding_layer.layer))
    with torch.no_grad():
        assert torch.equal(capture.embedding, model(inputs["image"]))


class LogSoftmaxEnding(ConvNet):
    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image).log_softmax(dim=1)


def test_a_head_behind_a_softmax_is_still_the_head() -> None:
    assert Adapter(LogSoftmaxEnding(), {"image": torch.randn(2, 2, 16, 16)}).embedding_layer.layer == "head.input"


@pytest.mark.parametrize(
    ("model", "layer", "expected"),
    [
        (Vit(prefix=2), "norm", lambda tokens: tokens[:, 0]),
        (Vit(prefix=0), "norm", lambda tokens: tokens.mean(dim=1)),
        (Vit(prefix=2), "blocks.1.norm1", lambda tokens: tokens[:, 0]),
        (ChannelsLastNet(), "last", lambda maps: maps.mean(dim=(1, 2))),
    ],
)
def test_an_embedding_layer_with_places_is_read_at_its_class_token_or_mean(
    model: nn.Module, layer: str, expected: Callable[[Tensor], Tensor]
) -> None:
    inputs, seen = {"image": torch.randn(2, 2, 16, 16)}, []
    handle = model.get_submodule(layer).register_forward_hook(lambda module, args, output: seen.append(output))
    with torch.no_grad():
        model(inputs["image"])
    handle.remove()
    capture = Probe(Adapter(model, inputs), []).capture(inputs, Wants(embedding=layer))
    assert capture.embedding is not None
    torch.testing.assert_close(capture.embedding, expected(seen[0]), rtol=0, atol=1e-6)


def test_the_input_of_a_layer_lies_as_outputs_of_its_shape() -> None:
    model, inputs = Vit(prefix=2), {"image": torch.randn(2, 2, 16, 16)}
    probe = Probe(Adapter(model, inputs), [])
    behind = probe.capture(inputs, Wants(embedding="blocks.1.input")).embedding
    before = probe.capture(inputs, Wants(embedding="blocks.0")).embedding
    assert behind is not None
    assert torch.equal(behind, before)


class ReshapedPatches(nn.Module):
    """A transformer that cuts patches by reshaping, so that no layer ever puts out a grid."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(2 * 16, 8)
        self.extra = nn.Parameter(torch.randn(1, 1, 8))
        self.blocks = nn.Sequential(Block(8, 2, "fused"), Block(8, 2, "fused"))
        self.head = nn.Linear(8, 3)

    def forward(self, image: Tensor) -> Tensor:
        patches = image.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
        x = torch.cat([self.extra.expand(len(image), -1, -1), self.embed(patches)], dim=1)
        return self.head(self.blocks(x)[:, 0])


def test_patches_cut_by_reshaping_have_a_grid() -> None:
    adapter = Adapter(ReshapedPatches(), {"image": torch.randn(2, 2, 12, 20)})
    assert adapter.target_layer.layer == "blocks.1.norm1"
    assert adapter.grid("blocks.1.norm1") == Grid("tokens", (3, 5), 1)


class Ambiguous(nn.Module):
    """A width equal to the grid's side: only the kinds of layers tell where the channels are."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.norm, self.mix = nn.Conv2d(2, 4, 2, stride=2), nn.LayerNorm(4), nn.Linear(4, 4)
        self.act, self.head = nn.Tanh(), nn.Linear(4, 3)

    def forward(self, image: Tensor) -> Tensor:
        x = self.mix(self.norm(self.patch(image).permute(0, 2, 3, 1)))
        return self.head(self.act(x).mean(dim=(1, 2)))


def test_an_activation_lies_as_the_layer_before_it() -> None:
    adapter = Adapter(Ambiguous(), {"image": torch.randn(2, 2, 8, 8)})
    assert adapter.grid("patch") == Grid("channels_first", (4, 4))
    assert adapter.target_layer.layer == "act"
    assert adapter.grid("act") == Grid("channels_last", (4, 4))


# Where there is none -------------------------------------------------------------------------------------------------


def test_a_head_at_zero_is_told() -> None:
    model = ConvNet()
    nn.init.zeros_(model.head.weight)
    with pytest.raises(LayerError, match="do not depend on any layer") as caught:
        Adapter(model, {"image": torch.randn(2, 2, 8, 8)}).target_layer  # noqa: B018
    assert caught.value.code == "SW-L04"
    assert "body" in caught.value.near


class Perceptron(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(2 * 8 * 8, 16), nn.Linear(16, 3)

    def forward(self, image: Tensor) -> Tensor:
        return self.fc2(self.fc1(image.flatten(1)).relu())


def test_a_model_without_space_is_told_and_still_embeds() -> None:
    adapter = Adapter(Perceptron(), {"image": torch.randn(2, 2, 8, 8)})
    with pytest.raises(LayerError, match="SW-L05"):
        adapter.target_layer  # noqa: B018
    with pytest.raises(LayerError, match="SW-L09"):
        adapter.grid("fc1")
    assert adapter.embedding_layer.layer == "fc2.input"


def test_inputs_without_space_are_told() -> None:
    model = nn.Sequential(nn.Linear(4, 3))
    with pytest.raises(ModelError, match="SW-M05"):
        Adapter(model, {"table": torch.randn(2, 4)})


def test_outputs_that_are_not_finite_are_told() -> None:
    model = ConvNet()
    nn.init.constant_(model.head.bias, float("nan"))
    with pytest.raises(ModelError, match="SW-M04") as caught:
        Adapter(model, {"image": torch.randn(2, 2, 8, 8)})
    assert "model.float() (on the command line precision=32)" in caught.value.fix


def test_inputs_a_model_was_not_made_for_are_told_in_words_of_python_and_of_the_command_line() -> None:
    with pytest.raises(ModelError, match="SW-M09") as caught:
        Adapter(ConvNet(), {"image": torch.randn(2, 5, 8, 8)})
    assert "size, axes and number of channels the model was made for" in caught.value.fix
    assert "on the command line data.size" in caught.value.fix


def test_a_model_without_weights_is_told() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Flatten())
    with pytest.raises(ModelError, match="SW-M06"):
        Adapter(model, {"image": torch.randn(2, 2, 8, 8)})
