"""The demonstration's two models, as ordinary timm settings, and the weights that the package ships for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from safetensors import safe_open
from torch import nn

from seewhy.models.from_timm import build_timm
from seewhy.models.load import load_checkpoint

Kind = Literal["cnn", "vit"]
KINDS: Final[tuple[Kind, ...]] = ("cnn", "vit")
CLASSES: Final = 10
SIZE: Final = 64


@dataclass(frozen=True)
class Architecture:
    """What ``model=timm model.name=… model.num_classes=10 model.kwargs=…`` needs to build a model."""

    name: str
    kwargs: Mapping[str, Any]


# A stem of stride 4 and three bottlenecks at that stride: a place of the 16 × 16 map sees 35 pixels, little more than a
# digit. A place at a digit's edge then sees less of it than one inside, so the maps peak inside; and places 4 pixels
# apart say where finely enough for digits some 14 pixels wide (8 pixels apart, one peak in eight lay just outside).
_CNN = Architecture(
    "resnetv2_50",
    MappingProxyType({"layers": [3], "channels": [128], "bottle_ratio": 0.5, "stem_chs": 32}),
)

# LeViT (Graham et al. 2021, arXiv:2104.01136) at one stage: three strided convolutions make 8 × 8 tokens of 96 numbers,
# then four blocks of attention over all of them, with relative positions, and their mean. Plain 8 × 8 patches, cut
# wherever a digit happens to lie, are learnt about ten times as slowly.
_VIT = Architecture(
    "levit_128",
    MappingProxyType(
        {
            "img_size": SIZE,
            "stem_type": "s8",
            "embed_dim": [96],
            "depth": [4],
            "num_heads": [4],
            "key_dim": 16,
        }
    ),
)

ARCHITECTURES: Final[Mapping[Kind, Architecture]] = MappingProxyType({"cnn": _CNN, "vit": _VIT})


def build(kind: Kind) -> nn.Module:
    """The model with random weights from torch's global generator; ``(B, 3, 64, 64)`` to ``(B, 10)``."""
    architecture = ARCHITECTURES[kind]
    return build_timm(architecture.name, CLASSES, architecture.kwargs).module


def asset(kind: Kind) -> Path:
    """The shipped half-precision weights of a model, a ``.safetensors`` file."""
    with as_file(files("seewhy.demo") / "assets" / f"{kind}.safetensors") as path:
        return path


def asset_facts(kind: Kind) -> dict[str, str]:
    """What the recipe wrote into the shipped file's header: the test accuracy it measured, and the settings."""
    with safe_open(asset(kind), framework="numpy") as file:
        return dict(file.metadata() or {})


def load(kind: Kind) -> nn.Module:
    """The shipped model in evaluation mode, computing in float32."""
    model = build(kind)
    load_checkpoint(model, asset(kind), min_coverage=1.0)
    return model.eval()
