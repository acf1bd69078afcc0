"""Every classification model of torchvision is explained without configuration, N of N."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from any_model import complaints
from torch import Tensor, nn

LEAST = {"inception": 128, "maxvit": 224}
"""Where a name starts so, the smallest size of its pictures; transformers are built for theirs."""
SIZE = 112
FAST = ("alexnet", "squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x0_5", "mnasnet0_5", "regnet_y_400mf")


def built(name: str) -> tuple[nn.Module, Tensor]:
    size = next((size for start, size in LEAST.items() if name.startswith(start)), SIZE)
    settings: dict[str, Any] = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    if name.startswith("vit_"):
        size = settings["image_size"] = 4 * int(name.rpartition("_")[2])  # four patches along each side
    model = torchvision.models.get_model(name, weights=None, num_classes=5, **settings).eval()
    return model, torch.randn(2, 3, size, size)


@pytest.mark.parametrize("name", FAST)
def test_small_models_are_explained_without_configuration(name: str) -> None:
    assert complaints(*built(name)) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_model_is_explained_without_configuration(record_property: Callable[[str, object], None]) -> None:
    names = torchvision.models.list_models(module=torchvision.models)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    wrong = {}
    for name in names:
        torch.manual_seed(0)
        if found := complaints(*built(name)):
            wrong[name] = found
        gc.collect()
    torch.set_num_threads(threads)
    record_property("covered", f"torchvision: {len(names) - len(wrong)}/{len(names)} models")
    assert wrong == {}
