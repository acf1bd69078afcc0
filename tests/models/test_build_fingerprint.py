"""The fingerprint follows the weights and nothing else."""

from __future__ import annotations

import hashlib

import pytest
import torch
from checkpoint_files import CompiledLike, TinyNet
from torch import nn

from seewhy.models.fingerprint import weights_fingerprint
from seewhy.values import ModelError


def seeded() -> TinyNet:
    torch.manual_seed(3)
    return TinyNet()


def test_equal_weights_have_equal_fingerprints_whatever_the_threads() -> None:
    assert weights_fingerprint(seeded()) == weights_fingerprint(seeded())


def test_the_fingerprint_is_the_digest_of_digests() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 1.0)
    inner = hashlib.sha256(b"weight\0torch.float32\0(1, 1)\0" + b"\x00\x00\x80\x3f").digest()
    assert weights_fingerprint(layer) == hashlib.sha256(inner).hexdigest()


@pytest.mark.parametrize("name", ["conv.weight", "fc.bias", "norm.running_mean", "norm.num_batches_tracked"])
def test_one_changed_number_changes_it(name: str) -> None:
    model = seeded()
    with torch.no_grad():
        model.state_dict()[name].reshape(-1)[0] += 1
    assert weights_fingerprint(model) != weights_fingerprint(seeded())


def test_names_shapes_and_types_count_as_well_as_bytes() -> None:
    one, other = nn.Module(), nn.Module()
    one.register_buffer("a", torch.zeros(2, 3))
    other.register_buffer("b", torch.zeros(2, 3))
    reshaped, retyped = nn.Module(), nn.Module()
    reshaped.register_buffer("a", torch.zeros(3, 2))
    retyped.register_buffer("a", torch.zeros(2, 3, dtype=torch.int32))
    assert len({weights_fingerprint(module) for module in (one, other, reshaped, retyped)}) == 4


def test_buffers_that_are_not_saved_count() -> None:
    one, other = nn.Module(), nn.Module()
    one.register_buffer("scale", torch.ones(1), persistent=False)
    other.register_buffer("scale", torch.zeros(1), persistent=False)
    assert weights_fingerprint(one) != weights_fingerprint(other)


def test_memory_layout_and_compilation_do_not_count() -> None:
    assert weights_fingerprint(seeded().to(memory_format=torch.channels_last)) == weights_fingerprint(seeded())
    assert weights_fingerprint(CompiledLike(seeded())) == weights_fingerprint(seeded())


def test_half_precision_and_empty_and_shared_tensors_are_digested() -> None:
    model = nn.Sequential(nn.Linear(2, 2).bfloat16(), nn.Linear(2, 2))
    model.register_buffer("empty", torch.zeros(0))
    model[1].weight = model[0].weight
    before = weights_fingerprint(model)
    with torch.no_grad():
        model[0].weight[0, 0] += 1
    assert weights_fingerprint(model) != before


@pytest.mark.parametrize("make", [lambda: nn.LazyLinear(2), lambda: nn.Linear(2, 2, device="meta")])
def test_weights_without_values_are_an_error(make: object) -> None:
    with pytest.raises(ModelError, match="SW-M60"):
        weights_fingerprint(make())
