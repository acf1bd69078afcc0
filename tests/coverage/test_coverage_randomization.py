"""Randomisation over families of models: no parameter tensor stays, none is in two blocks, outputs stay finite."""

from __future__ import annotations

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from borrowed import unchanged
from seewhy.models.adapter import Adapter
from seewhy.models.blocks_in_order import blocks_in_order
from seewhy.models.randomized import randomized
from seewhy.models.reinitialize import fresh_weights, untouched

MODELS = (
    "vit_tiny_patch16_224",
    "deit_tiny_distilled_patch16_224",
    "swin_tiny_patch4_window7_224",
    "convnext_atto",
    "resnet50",
    "densenet121",
    "mobilenetv3_small_050",
    "mixer_s32_224",
    "cait_xxs24_224",
    "levit_128s",
    "nf_regnet_b0",
    "crossvit_tiny_240",
    "maxvit_pico_rw_256",
)
VIDEO = "r3d_18"


def as_if_trained(model: nn.Module) -> nn.Module:
    """With no tensor as a scheme would leave it: norms, biases, layer scales and tokens included."""
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.mul_(1 + 0.3 * torch.randn_like(tensor)).add_(0.01 * torch.randn_like(tensor))
    return model.eval()


def built(name: str) -> tuple[nn.Module, Tensor]:
    if name == VIDEO:
        return torchvision.models.video.r3d_18(), torch.randn(2, 3, 8, 64, 64)
    model = timm.create_model(name)
    return model, torch.randn(2, *model.default_cfg["input_size"])


@pytest.mark.slow
@pytest.mark.parametrize("name", [*MODELS, VIDEO])
def test_every_tensor_is_drawn_once_and_the_model_stays(name: str) -> None:
    model, image = built(name)
    adapter = Adapter(as_if_trained(model), {"image": image})
    blocks = blocks_in_order(adapter)
    assert 1 < len(blocks) <= 14
    assert sorted(tensor for block in blocks for tensor in block.tensors) == sorted(dict(model.named_parameters()))
    own = dict(model.named_parameters())
    with unchanged(model, image):
        assert untouched(model, fresh_weights(model)) == ()
        *_, last = randomized(adapter, blocks)
        values = adapter.on(last).call({"image": image})
    for key, tensor in last.named_parameters():
        same = (tensor == own[key]).double().mean().item()
        assert same < 0.01 or (tensor.numel() < 100 and same < 1), f"{key}: {same:.0%} of the values are as they were"
    assert bool(values.isfinite().all())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ViTForImageClassification", "Dinov2ForImageClassification"])
def test_models_of_transformers_too(kind: str) -> None:
    import transformers

    made = getattr(transformers, kind)
    config = made.config_class(image_size=64, patch_size=8, num_labels=3, hidden_size=48, num_hidden_layers=3)
    model = as_if_trained(made(config))
    image = torch.randn(2, 3, 64, 64)
    adapter = Adapter(model, {"image": image})
    with unchanged(model, image):
        assert untouched(model, fresh_weights(model)) == ()
    blocks = blocks_in_order(adapter)
    assert blocks[0].tensors[-1].startswith("classifier")
    assert sum(len(block.tensors) for block in blocks) == len(list(model.parameters()))
