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


# Two strides of 2 in the stem and one in the second stage leave an 8 × 8 map, and 3 × 3 convolutions few enough that a
# place of it sees 51 pixels at most, mostly a digit's width around its own centre: maps peak where the evidence is.
_CNN = Architecture("resnetv2_18", MappingProxyType({"layers": [1, 1], "channels": [64, 128], "stem_chs": 24}))

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
