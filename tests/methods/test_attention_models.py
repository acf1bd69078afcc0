"""Every attention method on models of every make: fused as unfused, and where something was planted it is found."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.capture.tokens import GlobalAttention, attention_of
from seewhy.core import Wants
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.registry import METHODS
from seewhy.targets import Logit
from seewhy.values import ModelError
from toys import Block, Vit

ATTENTION = [name for name, entry in METHODS.items() if entry.needs_attention]


def explained(model: nn.Module, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The maps of every attention method, and the attention and its gradients themselves."""
    probe = Probe(Adapter(model, inputs), [Logit(1)])
    found = attention_of(probe.adapter)
    assert isinstance(found, GlobalAttention)
    wants = Wants(attention=True, attention_gradients=True)
    capture = probe.over(found.tokens).capture(inputs, wants)
    answers = {name: Asked(name)(probe, inputs).maps["image"] for name in ATTENTION}
    answers |= {f"attention of layer {layer}": weights for layer, weights in enumerate(capture.attention)}
    return answers | {
        f"gradients in layer {layer}": weights for layer, weights in enumerate(capture.attention_gradients)
    }


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor], tolerance: float = 1e-9) -> None:
    assert one.keys() == other.keys()
    for name, answer in one.items():
        largest = answer.abs().max().item()
        assert 0 < largest < float("inf"), name
        assert (answer - other[name]).abs().max().item() <= tolerance * largest, name
        if name.startswith("attention of"):
            assert (answer.sum(dim=-1) - 1).abs().max().item() <= 1e-5, name


def awake(model: nn.Module) -> nn.Module:
    """Weights for which a small input makes a difference; some families start their heads at zero."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.15)
    return model.double().eval()


TIMM: dict[str, tuple[str, dict[str, Any], int]] = {
    "class token": ("vit_tiny_patch16_224", {"img_size": (32, 64)}, 1),
    "distilled": ("deit_tiny_distilled_patch16_224", {"img_size": (32, 64)}, 2),
    "registers": ("vit_small_patch14_reg4_dinov2", {"img_size": (28, 56), "embed_dim": 24, "num_heads": 3}, 5),
    "mean of patches": ("vit_base_patch16_siglip_gap_224", {"img_size": (32, 64), "embed_dim": 24, "num_heads": 3}, 0),
    "relative position": ("beit_base_patch16_224", {"img_size": (32, 64), "embed_dim": 24, "num_heads": 3}, 1),
}


@pytest.mark.parametrize(("name", "settings", "prefix"), TIMM.values(), ids=TIMM)
def test_timm_models_answer_the_same_fused_and_unfused(name: str, settings: dict[str, Any], prefix: int) -> None:
    model = awake(timm.create_model(name, depth=2, num_classes=3, **settings))
    inputs = {"image": torch.randn(2, 3, *settings["img_size"], dtype=torch.float64)}
    found = attention_of(Adapter(model, inputs))
    assert isinstance(found, GlobalAttention)
    assert (found.grid.prefix, found.grid.size) == (prefix, (2, 4))
    fused = explained(model, inputs)
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            assert module.fused_attn
            module.fused_attn = False
    assert_same(fused, explained(model, inputs))


def hugging_face_vit(kernel: str) -> nn.Module:
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=32, image_size=(32, 64),
        patch_size=16, num_labels=3, attn_implementation=kernel,
    )  # fmt: skip
    return transformers.ViTForImageClassification(config)


def hugging_face_deit(kernel: str) -> nn.Module:
    transformers = pytest.importorskip("transformers")
    config = transformers.DeiTConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=32, image_size=(32, 64),
        patch_size=16, num_labels=3, attn_implementation=kernel,
    )  # fmt: skip
    return transformers.DeiTForImageClassificationWithTeacher(config)


def hugging_face_dinov2(kernel: str) -> nn.Module:
    transformers = pytest.importorskip("transformers")
    config = transformers.Dinov2WithRegistersConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=3, mlp_ratio=2, image_size=64, patch_size=16,
        num_labels=3, num_register_tokens=4, attn_implementation=kernel,
    )  # fmt: skip
    return transformers.Dinov2WithRegistersForImageClassification(config)


@pytest.mark.parametrize(
    ("build", "prefix"), [(hugging_face_vit, 1), (hugging_face_deit, 2), (hugging_face_dinov2, 5)],
    ids=["vit", "deit", "dinov2 with registers"],
)  # fmt: skip
def test_hugging_face_models_answer_the_same_fused_and_eager(build: Callable[[str], nn.Module], prefix: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library warns of what it will rename
        models = [awake(build(kernel)) for kernel in ("sdpa", "eager")]
    inputs = {"image": torch.randn(2, 3, 32, 64, dtype=torch.float64)}
    found = attention_of(Adapter(models[0], inputs))
    assert isinstance(found, GlobalAttention)
    assert (found.grid.prefix, found.grid.size, found.calls) == (prefix, (2, 4), 2)
    fused, eager = (explained(model, inputs) for model in models)
    assert_same(fused, eager, tolerance=1e-5)  # eager attention is computed in float32 whatever the model's precision


class TorchEncoder(nn.Module):
    """A classifier on torch's own encoder, whose inference path computes attention inside one kernel."""

    def __init__(self, *, batch_first: bool, norm_first: bool) -> None:
        super().__init__()
        self.patch = nn.Conv2d(2, 8, 4, stride=4)
        self.batch_first = batch_first
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first, norm_first=norm_first)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns that such a layer has no fast path
            self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(8, 3)

    def forward(self, image: Tensor) -> Tensor:
        tokens = self.patch(image).flatten(2).transpose(1, 2)
        if self.batch_first:
            return self.head(self.encoder(tokens).mean(dim=1))
        return self.head(self.encoder(tokens.transpose(0, 1)).mean(dim=0))


@pytest.mark.parametrize("norm_first", [True, False])
def test_torchs_encoder_answers_the_same_whichever_axis_has_the_records(norm_first: bool) -> None:
    first = awake(TorchEncoder(batch_first=True, norm_first=norm_first))
    second = TorchEncoder(batch_first=False, norm_first=norm_first).double().eval()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    inputs = {"image": torch.randn(3, 2, 8, 16, dtype=torch.float64)}
    assert_same(explained(first, inputs), explained(second, inputs))


@pytest.mark.parametrize("kernel", ["fused", "mha", "softmax"])
def test_half_precision_answers_nearly_the_same(kernel: str) -> None:
    torch.manual_seed(0)
    model, inputs = Vit(kernel=kernel).eval(), {"image": torch.randn(2, 2, 16, 16)}  # type: ignore[arg-type]
    for name in ATTENTION:
        exact = Asked(name)(Probe(Adapter(model, inputs), [Logit(1)]), inputs).maps["image"]
        low = Asked(name)(Probe(Adapter(model, inputs, precision="bf16"), [Logit(1)]), inputs).maps["image"]
        assert low.dtype == torch.float32
        torch.testing.assert_close(low, exact, rtol=0, atol=0.05 * exact.abs().max().item())


@pytest.mark.parametrize("name", ATTENTION)
def test_windowed_attention_is_refused_by_name(name: str) -> None:
    model = timm.create_model(
        "swin_tiny_patch4_window7_224", img_size=64, window_size=4, depths=(2, 2), embed_dim=12, num_heads=(1, 2),
        num_classes=3,
    )  # fmt: skip
    inputs = {"image": torch.randn(2, 3, 64, 64)}
    with pytest.raises(ModelError, match=rf"SW-M10.*'{name}'.*in windows"):
        Asked(name)(Probe(Adapter(model, inputs), [Logit()]), inputs)


class PlantedBlock(nn.Module):
    """Every token attends to itself and, much more, to one; what it reads there is added to it."""

    def __init__(self, tokens: int, planted: int) -> None:
        super().__init__()
        scores = torch.eye(tokens)
        scores[:, planted] = 5.0
        self.scores = nn.Parameter(scores)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scores.expand(len(x), 1, -1, -1).softmax(dim=-1)[:, 0] @ x


class Planted(nn.Module):
    """A class token (and registers) reading patches of a long strip, such as leads × time; one patch is planted."""

    def __init__(self, grid: tuple[int, int], place: tuple[int, int], prefix: int) -> None:
        super().__init__()
        self.patch = nn.Conv2d(1, 2, 2, stride=2)
        nn.init.constant_(self.patch.weight, 0.25)
        self.extra = nn.Parameter(torch.zeros(1, prefix, 2))
        tokens, planted = prefix + grid[0] * grid[1], prefix + place[0] * grid[1] + place[1]
        self.blocks = nn.ModuleList(PlantedBlock(tokens, planted) for _ in range(2))
        self.head = nn.Linear(2, 2)
        nn.init.ones_(self.head.weight)

    def forward(self, signal: Tensor) -> Tensor:
        patches = self.patch(signal).flatten(2).transpose(1, 2)
        x = torch.cat([self.extra.expand(len(signal), -1, -1), patches], dim=1)
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, 0])


@pytest.mark.parametrize(
    ("grid", "place", "prefix"), [((4, 9), (2, 7), 1), ((12, 25), (1, 23), 1), ((3, 5), (2, 0), 3)]
)
@pytest.mark.parametrize("name", ATTENTION)
def test_the_one_patch_all_attend_to_is_found_at_its_place(
    name: str, grid: tuple[int, int], place: tuple[int, int], prefix: int
) -> None:
    model = Planted(grid, place, prefix)
    signal = torch.zeros(1, 1, 2 * grid[0], 2 * grid[1])
    signal[:, :, 2 * place[0] : 2 * place[0] + 2, 2 * place[1] : 2 * place[1] + 2] = 1.0
    found = Asked(name)(Probe(Adapter(model, {"signal": signal}), [Logit(0)]), {"signal": signal}).maps["signal"]
    assert found.shape == (1, 1, *grid)
    peak = found[0, 0].argmax().item()
    assert (peak // grid[1], peak % grid[1]) == place


class AddsInPlace(Block):
    """Adds attention in place to a view, which autograd forbids for a view made while nothing was recorded."""

    def forward(self, x: Tensor) -> Tensor:
        stream = x.clone().view_as(x)
        stream += self.attn(self.norm1(x))
        return stream + self.mlp(self.norm2(stream))


def test_legrad_of_blocks_that_add_in_place_is_that_of_blocks_that_do_not() -> None:
    torch.manual_seed(0)
    plain = Vit().double().eval()
    in_place = copy.deepcopy(plain)
    for block in in_place.blocks:
        block.__class__ = AddsInPlace
    inputs = {"image": torch.randn(2, 2, 16, 16, dtype=torch.float64)}
    one, other = (Asked("legrad")(Probe(Adapter(model, inputs), [Logit(1)]), inputs) for model in (plain, in_place))
    torch.testing.assert_close(one.maps["image"], other.maps["image"], rtol=0, atol=1e-12)
