"""Fused kernels, multi-head modules and plain softmax show the same attention, and the logits stay what they were."""

from __future__ import annotations

import copy
import warnings

import pytest
import timm
import torch
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.capture.tokens import GlobalAttention, NoAttention, find_attention
from seewhy.core import Capture, Wants
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit
from toys import ChannelsLastNet, ConvNet, Vit


def captured(model: nn.Module, inputs: dict[str, Tensor], targets: tuple[Logit, ...] = ()) -> Capture:
    adapter = Adapter(model, inputs)
    found = find_attention(adapter, inputs)
    assert isinstance(found, GlobalAttention)
    wants = Wants(attention=True, heads_of=tuple(range(found.calls)))
    return Probe(adapter, targets, tokens=found.tokens).capture(inputs, wants)


def toy_vits() -> dict[str, nn.Module]:
    """The same weights under three kernels."""
    fused = Vit(kernel="fused")
    models: dict[str, nn.Module] = {"fused": fused}
    for kernel in ("softmax", "mha"):
        models[kernel] = copy.deepcopy(fused)
        for block in models[kernel].blocks:
            block.attn.kernel = kernel
    return models


def test_three_kernels_show_the_same_attention() -> None:
    inputs = {"image": torch.randn(3, 2, 16, 16)}
    captures = {kernel: captured(model, inputs) for kernel, model in toy_vits().items()}
    fused = captures.pop("fused")
    assert [tuple(layer.shape) for layer in fused.attention] == [(3, 2, 17, 17)] * 3
    for capture in captures.values():
        for one, other in zip(fused.attention, capture.attention, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    for layer in fused.attention:
        torch.testing.assert_close(layer.sum(dim=-1), torch.ones(3, 2, 17), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kernel", ["fused", "softmax", "mha"])
def test_logits_with_attention_captured_equal_logits_without(kernel: str) -> None:
    inputs, model = {"image": torch.randn(3, 2, 16, 16)}, toy_vits()[kernel].eval()
    with torch.no_grad():
        plain = model(inputs["image"])
    torch.testing.assert_close(captured(model, inputs).outputs, plain, rtol=0, atol=1e-5)


def test_a_timm_transformer_fused_and_eager() -> None:
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=3, num_classes=5).eval()
    inputs = {"image": torch.randn(2, 3, 64, 64)}
    fused = captured(model, inputs)
    for block in model.blocks:
        assert block.attn.fused_attn
        block.attn.fused_attn = False
    eager = captured(model, inputs)
    torch.testing.assert_close(fused.outputs, eager.outputs, rtol=0, atol=1e-5)
    for one, other in zip(fused.attention, eager.attention, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
        torch.testing.assert_close(one.sum(dim=-1), torch.ones(2, 3, 17), rtol=0, atol=1e-5)


class TorchEncoder(nn.Module):
    """A classifier on ``nn.TransformerEncoder``, whose inference fast path computes attention inside one kernel."""

    def __init__(self, *, batch_first: bool = True) -> None:
        super().__init__()
        self.patch = nn.Conv2d(2, 8, 4, stride=4)
        self.batch_first = batch_first
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns that batch_first=False has no fast path
            self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(8, 3)

    def forward(self, image: Tensor) -> Tensor:
        tokens = self.patch(image).flatten(2).transpose(1, 2)
        if self.batch_first:
            return self.head(self.encoder(tokens).mean(dim=1))
        return self.head(self.encoder(tokens.transpose(0, 1)).mean(dim=0))


@pytest.mark.parametrize("batch_first", [True, False])
def test_torchs_own_encoder_shows_its_attention(batch_first: bool) -> None:
    torch.manual_seed(0)
    model, inputs = TorchEncoder(batch_first=batch_first).eval(), {"image": torch.randn(3, 2, 16, 16)}
    seen: list[Tensor] = []

    def ask_for_weights(module: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, object]) -> None:
        settings = kwargs | {"need_weights": True, "average_attn_weights": False}
        seen.append(nn.MultiheadAttention.forward(module, *args, **settings)[1])  # type: ignore[arg-type]

    adapter = Adapter(model, inputs)
    capture = Probe(adapter, [], tokens=16).capture(inputs, Wants(attention=True, heads_of=(0, 1)))
    handles = [
        layer.self_attn.register_forward_pre_hook(ask_for_weights, with_kwargs=True) for layer in model.encoder.layers
    ]
    with torch.no_grad():
        plain = model(inputs["image"])
    for handle in handles:
        handle.remove()
    torch.testing.assert_close(capture.outputs, plain, rtol=0, atol=1e-5)
    for found, expected in zip(capture.attention, seen, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_torchs_own_encoder_is_found_to_attend_over_the_patch_grid() -> None:
    model, inputs = TorchEncoder(), {"image": torch.randn(3, 2, 16, 16)}
    found = find_attention(Adapter(model, inputs), inputs)
    assert isinstance(found, GlobalAttention)
    assert (found.grid.size, found.grid.prefix, found.calls, found.heads) == ((4, 4), 0, 2, 2)
    assert found.query == "mean of tokens"


def test_heads_not_asked_for_are_averaged() -> None:
    inputs, model = {"image": torch.randn(2, 2, 16, 16)}, Vit()
    adapter = Adapter(model, inputs)
    apart = Probe(adapter, [], tokens=17).capture(inputs, Wants(attention=True, heads_of=(0, 1, 2))).attention
    some = Probe(adapter, [], tokens=17).capture(inputs, Wants(attention=True, heads_of=(1,))).attention
    assert torch.equal(some[1], apart[1])
    for call in (0, 2):
        assert torch.equal(some[call], apart[call].mean(dim=1, keepdim=True))


def test_gradients_and_attention_come_from_one_pass() -> None:
    inputs, model = {"image": torch.randn(2, 2, 16, 16)}, Vit()
    adapter = Adapter(model, inputs)
    layer = "blocks.1.norm1"
    probe = Probe(adapter, [Logit(1)], tokens=17)
    together = probe.capture(inputs, Wants(gradients=(layer,), attention=True, embedding="head.input"))
    apart = probe.capture(inputs, Wants(gradients=(layer,)))
    assert len(together.attention) == 3
    torch.testing.assert_close(together.gradients[layer], apart.gradients[layer], rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("size", "prefix", "grid", "query"),
    [
        ((16, 16), 1, (4, 4), "class token"),
        ((8, 20), 5, (2, 5), "class token"),
        ((8, 12), 0, (2, 3), "mean of tokens"),
        ((24,), 1, (6,), "class token"),
        ((8, 4, 8), 1, (2, 1, 2), "class token"),
    ],
)
def test_the_token_grid_is_found(size: tuple[int, ...], prefix: int, grid: tuple[int, ...], query: str) -> None:
    inputs, model = {"image": torch.randn(2, 2, *size)}, Vit(size, prefix=prefix, depth=2)
    found = find_attention(Adapter(model, inputs), inputs)
    assert isinstance(found, GlobalAttention)
    assert (found.grid.size, found.grid.prefix, found.query) == (grid, prefix, query)
    assert (found.calls, found.heads) == (2, 2)


@pytest.mark.parametrize("model", [ConvNet(), ChannelsLastNet()])
def test_a_model_without_attention_is_told_what_suits_it(model: nn.Module) -> None:
    inputs = {"image": torch.randn(2, 2, 16, 16)}
    found = find_attention(Adapter(model, inputs), inputs)
    assert isinstance(found, NoAttention)
    assert "no attention layers" in found.reason
    assert "Grad-CAM" in found.reason


@pytest.mark.parametrize("fused", [True, False])
def test_windowed_attention_is_told_apart_from_global(fused: bool) -> None:
    model = timm.create_model(
        "swin_tiny_patch4_window7_224", img_size=64, window_size=4, depths=(2, 2), embed_dim=12, num_heads=(1, 2),
        num_classes=3,
    )  # fmt: skip
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = fused
    inputs = {"image": torch.randn(2, 3, 64, 64)}
    found = find_attention(Adapter(model, inputs), inputs)
    assert isinstance(found, NoAttention)
    assert "windows" in found.reason
    assert "Grad-CAM" in found.reason


def test_attention_in_bfloat16_still_sums_to_one() -> None:
    inputs, model = {"image": torch.randn(2, 2, 16, 16)}, Vit()
    exact = captured(model, inputs)
    adapter = Adapter(model, inputs, precision="bf16")
    low = Probe(adapter, [], tokens=17).capture(inputs, Wants(attention=True, heads_of=(0, 1, 2)))
    for one, other in zip(exact.attention, low.attention, strict=True):
        torch.testing.assert_close(other.sum(dim=-1), torch.ones(2, 2, 17), rtol=0, atol=1e-5)
        torch.testing.assert_close(one, other, rtol=0, atol=0.02)


@pytest.mark.parametrize(
    ("settings", "query"),
    [
        ({}, "class token"),
        ({"global_pool": "avg"}, "mean of tokens"),
        ({"class_token": False, "global_pool": "avg"}, "mean of tokens"),
        ({"class_token": False, "global_pool": "avg", "reg_tokens": 4}, "mean of tokens"),
        ({"reg_tokens": 4}, "class token"),
    ],
)
def test_the_query_is_what_the_model_reads_its_answer_from(settings: dict[str, object], query: str) -> None:
    model = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=2, num_classes=4, **settings)
    inputs = {"image": torch.randn(2, 3, 64, 64)}
    found = find_attention(Adapter(model, inputs), inputs)
    assert isinstance(found, GlobalAttention)
    assert found.query == query
