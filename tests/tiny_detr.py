"""A Hugging Face detector of a few thousand weights, built without any download."""

from __future__ import annotations

from typing import Any


def tiny_detr() -> Any:
    """Three classes, six queries, a residual network of 8 to 16 channels."""
    import transformers

    backbone = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], layer_type="basic", out_features=["stage4"]
    )
    sizes = {"ffn_dim": 16, "attention_heads": 2, "layers": 1}
    sides = {f"{side}_{name}": size for side in ("encoder", "decoder") for name, size in sizes.items()}
    config = transformers.DetrConfig(
        use_timm_backbone=False, backbone=None, use_pretrained_backbone=False, backbone_config=backbone, d_model=16,
        num_queries=6, num_labels=3, **sides,
    )  # fmt: skip
    return transformers.DetrForObjectDetection(config)
