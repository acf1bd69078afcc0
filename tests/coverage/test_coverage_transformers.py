"""Vision classifiers of the transformers library, fused and eager attention, explained without configuration."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from any_model import complaints
from torch import nn

from seewhy.capture.tokens import GlobalAttention, attention_of
from seewhy.models.adapter import Adapter

transformers = pytest.importorskip("transformers")

SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
TOKENS = {"image_size": 64, "patch_size": 8, **SMALL}
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ViT": ("ViTConfig", "ViTForImageClassification", TOKENS),
    "DeiT": ("DeiTConfig", "DeiTForImageClassification", TOKENS),
    "DeiT distilled": ("DeiTConfig", "DeiTForImageClassificationWithTeacher", TOKENS),
    "DINOv2": ("Dinov2Config", "Dinov2ForImageClassification", TOKENS),
    "DINOv2 with registers": ("Dinov2WithRegistersConfig", "Dinov2WithRegistersForImageClassification", TOKENS),
    "Swin": (
        "SwinConfig",
        "SwinForImageClassification",
        {"image_size": 64, "patch_size": 4, "embed_dim": 16, "depths": [1, 2], "num_heads": [2, 4], "window_size": 4},
    ),
    "ConvNeXt": (
        "ConvNextConfig",
        "ConvNextForImageClassification",
        {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]},
    ),
}
PREFIX = {"ViT": 1, "DeiT": 2, "DeiT distilled": 2, "DINOv2": 1, "DINOv2 with registers": 5}
CASES = [
    (name, attention) for name in MODELS for attention in ("sdpa", "eager") if (name, attention) != ("ConvNeXt", "sdpa")
]


def built(name: str, attention: str) -> nn.Module:
    config, model, settings = MODELS[name]
    torch.manual_seed(0)
    configured = getattr(transformers, config)(num_labels=5, **settings)
    configured._attn_implementation = attention
    return getattr(transformers, model)(configured).eval()


@pytest.mark.parametrize(("name", "attention"), CASES)
def test_a_classifier_is_explained_without_configuration(name: str, attention: str) -> None:
    assert complaints(built(name, attention), torch.randn(2, 3, 64, 64)) == []


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", PREFIX)
def test_prefix_tokens_and_every_attention_layer_are_found(name: str, attention: str) -> None:
    found = attention_of(Adapter(built(name, attention), {"image": torch.randn(2, 3, 64, 64)}))
    assert isinstance(found, GlobalAttention)
    assert (found.grid.size, found.grid.prefix, found.calls, found.heads) == ((8, 8), PREFIX[name], 3, 4)
