"""The shipped models are what they are said to be: small, ordinary, and as accurate as promised."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from seewhy.capture.probe import Probe
from seewhy.capture.tokens import GlobalAttention, find_attention
from seewhy.core import Wants
from seewhy.data.cluttered_digits import ClutteredDigits
from seewhy.demo.models import ARCHITECTURES, KINDS, Kind, asset, asset_facts, load
from seewhy.demo.score import accuracy, localisation
from seewhy.methods.cam import gradcam
from seewhy.models.adapter import Adapter
from seewhy.models.from_timm import build_timm
from seewhy.models.load import load_checkpoint
from seewhy.targets import Logit

TARGETS = {"cnn": 0.95, "vit": 0.90}
MEGABYTE = 1_000_000


@lru_cache(maxsize=2)
def first_records(count: int) -> tuple[torch.Tensor, list[int], list[tuple[float, ...]]]:
    digits = ClutteredDigits(counts={"test": count})
    records = [digits.read(position) for position in range(count)]
    boxes = [record.box or (0.0, 0.0, 0.0, 0.0) for record in records]
    return torch.stack([record.inputs["image"] for record in records]), [int(r.label or 0) for r in records], boxes


@torch.no_grad()
def predictions(model: nn.Module, images: torch.Tensor) -> list[int]:
    return [int(best) for part in images.split(200) for best in model(part).argmax(1)]


def pointing(model: nn.Module, count: int) -> tuple[float, float]:
    """Localisation of Grad-CAM at the default layer on correctly named records, and chance's."""
    images, labels, boxes = first_records(count)
    adapter = Adapter(model, {"image": images[:2]})
    layer = adapter.target_layer.layer
    capture = Probe(adapter, [Logit()]).capture({"image": images}, Wants(activations=(layer,), gradients=(layer,)))
    maps = gradcam(capture.activations[layer], capture.gradients[layer][0]).numpy()
    right = np.flatnonzero(capture.outputs.argmax(1).numpy() == np.array(labels))
    return localisation([maps[i] for i in right], [boxes[i] for i in right], (64, 64))


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_is_small_and_in_half_precision(kind: Kind) -> None:
    assert asset(kind).stat().st_size <= MEGABYTE
    dtypes = {tensor.dtype for tensor in load_file(asset(kind)).values() if tensor.is_floating_point()}
    assert dtypes == {torch.float16}


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_covers_the_model_that_plain_settings_build(kind: Kind) -> None:
    architecture = ARCHITECTURES[kind]
    model = build_timm(architecture.name, 10, dict(architecture.kwargs)).module
    coverage = load_checkpoint(model, asset(kind)).coverage
    assert coverage.fraction == 1
    assert not coverage.unexpected


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_200_test_digits_are_named_as_well_as_promised(kind: Kind) -> None:
    images, labels, _ = first_records(200)
    assert accuracy(predictions(load(kind), images), labels) >= TARGETS[kind]


def test_the_cnns_maps_peak_in_the_digits_box() -> None:
    hits, chance = pointing(load("cnn"), 200)
    assert hits >= 0.9
    assert chance < 0.1


def test_the_cnns_map_is_the_16_by_16_grid_before_pooling() -> None:
    adapter = Adapter(load("cnn"), {"image": torch.zeros(2, 3, 64, 64)})
    assert adapter.grid(adapter.target_layer.layer).size == (16, 16)


def test_the_vit_attends_over_all_8_by_8_tokens_in_every_block() -> None:
    example = {"image": torch.zeros(2, 3, 64, 64)}
    found = find_attention(Adapter(load("vit"), example), example)
    assert isinstance(found, GlobalAttention)
    assert (found.grid.size, found.tokens, found.calls, found.heads) == ((8, 8), 64, 4, 4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_test_split_is_named_as_the_files_header_says(kind: Kind) -> None:
    images, labels, _ = first_records(1000)
    measured = accuracy(predictions(load(kind), images), labels)
    assert measured >= TARGETS[kind]
    assert measured == pytest.approx(float(asset_facts(kind)["accuracy"]), abs=0.003)


@pytest.mark.slow
def test_the_cnns_maps_peak_in_the_box_on_the_whole_test_split() -> None:
    assert pointing(load("cnn"), 1000)[0] >= 0.9
