"""Models of clips, torchvision's and Hugging Face's: the layer, its grid, and that a frame lit up is found."""

from __future__ import annotations

import pytest
import torch
import torchvision
import transformers
from torch import nn

from seewhy.capture.probe import Probe
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit

TORCHVISION = {
    "r3d_18": (8, 64, "layer4", (1, 4, 4)),
    "mc3_18": (8, 64, "layer4", (8, 4, 4)),
    "r2plus1d_18": (8, 64, "layer4", (1, 4, 4)),
    "swin3d_t": (16, 64, "norm", (8, 2, 2)),
}
SLOW = {"s3d": (16, 224, "features", (2, 7, 7)), "mvit_v2_s": (16, 224, "blocks.15.norm1", (8, 7, 7))}
TINY = {"image_size": 32, "num_frames": 8, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 64, "num_labels": 3}  # fmt: skip
HUGGING_FACE = {
    "VideoMAE": ({"patch_size": 8, "tubelet_size": 2}, (4, 4, 4)),
    "Timesformer": ({"patch_size": 8}, (8, 4, 4)),
    "Vivit": ({"tubelet_size": [2, 8, 8]}, (4, 4, 4)),
}


def built(name: str) -> nn.Module:
    torch.manual_seed(0)
    return torchvision.models.get_model(name, weights=None, num_classes=5).eval()


@pytest.mark.parametrize("name", [*TORCHVISION, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_a_model_of_clips_is_explained_at_its_last_layer_with_a_grid(name: str) -> None:
    frames, side, layer, grid = (TORCHVISION | SLOW)[name]
    clip = {"video": torch.randn(2, 3, frames, side, side)}
    adapter = Adapter(built(name), clip)
    assert (adapter.target_layer.layer, adapter.grid(layer).size) == (layer, grid)
    maps = Asked("gradcam")(Probe(adapter, [Logit()]), clip).maps["video"]
    assert maps.shape == (1, 2, *grid)
    assert maps.flatten(2).any(dim=2).all()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", HUGGING_FACE)
def test_a_transformer_that_takes_frames_first_has_a_grid_of_tubes(name: str) -> None:
    settings, grid = HUGGING_FACE[name]
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**TINY, **settings)
    model = getattr(transformers, f"{name}ForVideoClassification")(config).eval()
    nn.init.normal_(model.classifier.weight)
    clip = {"pixel_values": torch.randn(1, 3, 8, 32, 32)}
    adapter = Adapter(model, clip, frames_first=("pixel_values",))
    assert adapter.grid(adapter.target_layer.layer).size == grid
    maps = Asked("hirescam")(Probe(adapter, [Logit(1)]), clip).maps["pixel_values"]
    assert maps[0, 0].any()


@pytest.mark.filterwarnings("ignore")
def test_the_rollout_of_tubes_lies_where_its_tokens_do() -> None:
    """The order of VideoMAE's tokens is time, row, column: the rollout at a tube is that of its token."""
    torch.manual_seed(0)
    config = transformers.VideoMAEConfig(**TINY, patch_size=8, tubelet_size=2, attn_implementation="eager")
    model = transformers.VideoMAEForVideoClassification(config).eval()
    clip = {"pixel_values": torch.randn(1, 3, 8, 32, 32)}
    found = Asked("rollout")(Probe(Adapter(model, clip, frames_first=("pixel_values",)), [Logit(0)]), clip)
    attended = model(clip["pixel_values"].transpose(1, 2), output_attentions=True).attentions
    joint = torch.eye(64)
    for weights in attended:
        joint = (0.5 * weights[0].mean(dim=0) + 0.5 * torch.eye(64)) @ joint
    torch.testing.assert_close(found.maps["pixel_values"][0, 0], joint.mean(dim=0).reshape(4, 4, 4).detach())
