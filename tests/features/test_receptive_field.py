"""What a unit sees: fields that can be written down, of every sign, at every edge, whatever the batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from borrowed import unchanged
from seewhy.capture.partway import ending_at
from seewhy.features import receptive_field
from seewhy.features.receptive_field import covering, gradient_field, occlusion_field
from seewhy.features.unit import unit_at
from seewhy.models.layers import Layer
from seewhy.values import ConfigError, LayerError, ModelError


def whole_numbers(*shape: int, low: int = 1, high: int = 5) -> Tensor:
    return torch.randint(low, high, shape, generator=torch.Generator().manual_seed(0)).float()


def two_convolutions() -> nn.Sequential:
    """3 × 3 at stride 2 without padding, then 2 × 2: a unit sees 5 × 5 pixels from twice its place on."""
    model = nn.Sequential(nn.Conv2d(2, 3, 3, stride=2, bias=False), nn.Conv2d(3, 4, 2, bias=False), nn.Flatten())
    for layer in (model[0], model[1]):
        layer.weight.data = whole_numbers(*layer.weight.shape, low=1, high=4)
    return model


def total_of(weights: Tensor) -> nn.Sequential:
    """One unit, the sum of the pixels times ``weights`` ``(C, H, W)``."""
    model = nn.Sequential(nn.Conv2d(weights.shape[0], 1, weights.shape[1:], bias=False), nn.ReLU())
    model[0].weight.data = weights[None].clone()
    return model


@pytest.mark.parametrize("position", [(0, 0), (1, 2), (4, 4)])
def test_both_fields_lie_where_the_strides_and_kernels_say(position: tuple[int, int]) -> None:
    model, picture = two_convolutions(), whole_numbers(2, 13, 13)
    unit = unit_at(model, picture, "1", channel=2, position=position)
    assert unit.size == (5, 5)
    assert unit.value == model[:2](picture[None])[(0, 2, *position)]
    top, left = (2 * cell for cell in position)
    _, seen = gradient_field(unit)
    assert seen == ((top, top + 5), (left, left + 5))
    covered = occlusion_field(unit, patch=1, stride=1)
    assert (covered != 0).nonzero().amin(dim=0).tolist() == [top, left]
    assert ((covered != 0).nonzero().amax(dim=0) + 1).tolist() == [top + 5, left + 5]


def test_the_unit_in_the_middle_is_meant_where_none_is_named() -> None:
    assert unit_at(two_convolutions(), whole_numbers(2, 13, 15), "1", channel=0).position == (2, 3)


def test_the_gradient_is_that_of_the_plain_graph_with_every_layer_behind_left_out() -> None:
    model = torchvision.models.resnet18(num_classes=5).eval()
    picture = torch.randn(3, 64, 64, generator=torch.Generator().manual_seed(1))
    unit = unit_at(model, picture, "layer2", channel=7, position=(3, 5))
    leaf = picture[None].clone().requires_grad_(True)
    early = nn.Sequential(model.conv1, model.bn1, model.relu, model.maxpool, model.layer1, model.layer2)
    (expected,) = torch.autograd.grad(early(leaf)[0, 7, 3, 5], leaf)
    field, _ = gradient_field(unit)
    torch.testing.assert_close(field, expected[0].sum(dim=0).double(), rtol=1e-4, atol=1e-7)


def expected_of_a_total(weights: Tensor, picture: Tensor, patch: int, stride: int, filling: float) -> np.ndarray:
    """By definition: each window's drop is the sum of weight times what is taken away; a place has the mean of them."""
    taken = (weights * (picture - filling)).sum(dim=0).double().numpy()
    height, width = taken.shape
    found = np.zeros_like(taken)
    for row in range(height):
        for column in range(width):
            drops = [
                taken[top : top + patch, left : left + patch].sum()
                for top in range(0, max(height - patch, 0) + stride, stride)
                for left in range(0, max(width - patch, 0) + stride, stride)
                if top <= row < top + patch and left <= column < left + patch
            ]
            found[row, column] = sum(drops) / len(drops)
    return found


LINEAR: list[dict[str, Any]] = [
    {"patch": 2, "stride": 2, "filling": 0.0},
    {"patch": 3, "stride": 2, "filling": 0.0},
    {"patch": 4, "stride": 1, "filling": -1.0},
    {"patch": 5, "stride": 3, "filling": 2.0},
    {"patch": 50, "stride": 50, "filling": 0.0},
]


@pytest.mark.parametrize("settings", LINEAR, ids=str)
def test_covering_a_linear_unit_takes_away_weight_times_picture(settings: dict[str, Any]) -> None:
    weights, picture = whole_numbers(2, 7, 10, low=-3, high=4), whole_numbers(2, 7, 10)
    unit = unit_at(total_of(weights), picture, "0", channel=0)
    found = occlusion_field(unit, **settings)
    np.testing.assert_allclose(found.numpy(), expected_of_a_total(weights, picture, **settings), rtol=1e-12)


def test_a_place_that_speaks_against_the_unit_is_negative_and_one_it_does_not_see_is_exactly_zero() -> None:
    weights = torch.zeros(1, 6, 6)
    weights[0, 1, 1], weights[0, 4, 4] = 2.0, -3.0
    found = occlusion_field(unit_at(total_of(weights), torch.ones(1, 6, 6), "0", channel=0), patch=1, stride=1)
    expected = torch.zeros(6, 6, dtype=torch.float64)
    expected[1, 1], expected[4, 4] = 2.0, -3.0
    assert torch.equal(found, expected)


BROKEN: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sign dropped": np.abs,
    "scaled to the largest": lambda field: field / np.abs(field).max(),
    "other way round": lambda field: -field,
    "last rows never covered": lambda field: np.where(np.arange(len(field))[:, None] < len(field) - 2, field, 0),
    "axes exchanged": lambda field: np.resize(field.T, field.shape),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_field_would_be_noticed(broken: Callable[[np.ndarray], np.ndarray]) -> None:
    weights, picture = whole_numbers(2, 7, 10, low=-3, high=4), whole_numbers(2, 7, 10)
    expected = expected_of_a_total(weights, picture, **LINEAR[1])
    assert np.abs(broken(expected) - expected).max() > 1


def test_the_last_window_wins_nothing_over_those_before_it() -> None:
    weights, picture = torch.ones(1, 1, 4), torch.tensor([[[1.0, 0.0, 0.0, 8.0]]])
    unit = unit_at(total_of(weights), picture, "0", channel=0)
    assert occlusion_field(unit, patch=(1, 3), stride=(1, 1)).tolist() == [[1.0, 4.5, 4.5, 8.0]]


@pytest.mark.parametrize(("patch", "stride"), [(16, 8), (5, 3), (7, 7), (224, 1), (300, 300)])
def test_every_place_lies_in_a_window_and_no_window_beyond_the_edge(patch: int, stride: int) -> None:
    times = np.zeros((224, 61), int)
    for window in covering(times.shape, patch, stride):
        times[window] += 1
        assert all(0 <= side.start < side.stop <= length for side, length in zip(window, times.shape, strict=True))
    assert times.min() >= 1


@pytest.mark.parametrize("batch_size", [1, 2, 7, 36, 1000])
def test_the_batch_size_changes_nothing(batch_size: int) -> None:
    unit = unit_at(two_convolutions(), whole_numbers(2, 13, 13), "1", channel=1)
    settings = {"patch": 3, "stride": 2}
    assert torch.equal(occlusion_field(unit, batch_size=batch_size, **settings), occlusion_field(unit, **settings))


def test_what_a_unit_of_a_trained_size_of_network_does_not_see_is_exactly_zero() -> None:
    model = torchvision.models.resnet18(num_classes=3).eval()
    picture = torch.randn(3, 96, 96, generator=torch.Generator().manual_seed(0))
    unit = unit_at(model, picture, "layer1", channel=3, position=(12, 12))
    found, (field, seen) = occlusion_field(unit, patch=8, stride=8), gradient_field(unit)
    # 7 × 7 at stride 2, pooling 3 × 3 at stride 2, four 3 × 3 at stride 4: 43 pixels around pixel 48
    assert seen is not None
    assert all(48 - 24 <= first < 48 < last <= 48 + 24 for first, last in seen)
    assert bool((found[:24] == 0).all())
    assert bool((found[72:] == 0).all())
    assert bool((found[40:56, 40:56] != 0).all())
    assert field.shape == found.shape == (96, 96)


def test_out_of_memory_halves_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = unit_at(two_convolutions(), whole_numbers(2, 13, 13), "1", channel=1)
    expected = occlusion_field(unit, patch=3, stride=3)
    tried: list[int] = []

    def limited(model: nn.Module, args: tuple[Tensor, ...]) -> None:
        tried.append(len(args[0]))
        if len(args[0]) > 4:
            raise MemoryError

    handle = unit.model.register_forward_pre_hook(limited)
    try:
        found = occlusion_field(unit, patch=3, stride=3, batch_size=16)
    finally:
        handle.remove()
    assert tried[:3] == [16, 8, 4]
    assert torch.equal(found, expected)
    monkeypatch.setattr(receptive_field, "is_out_of_memory", lambda error: True)
    with pytest.raises(ModelError, match="memory") as raised, torch.no_grad():
        occlusion_field(unit_at(_Failing(3), whole_numbers(1, 4, 4), "first", 0), patch=2, stride=2)
    assert raised.value.code == "SW-M24"


class _Failing(nn.Module):
    """Its second call and those after it do not fit into memory."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.first, self.calls = nn.Conv2d(1, 1, size), 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.calls > 1:
            raise MemoryError
        return self.first(x)


def test_nothing_behind_the_layer_runs_and_the_model_is_given_back_also_when_it_raises() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(inplace=True), nn.Conv2d(2, 2, 3)).train()
    ran: list[str] = []
    picture = whole_numbers(1, 8, 8)
    unit = unit_at(model, picture, "2", channel=0)
    model[3].register_forward_hook(lambda *_: ran.append("behind"))
    with unchanged(model, picture):
        occlusion_field(unit, patch=4, stride=4)
        gradient_field(unit)
    assert ran == []
    with unchanged(model, picture), pytest.raises(ConfigError):
        occlusion_field(unit, filling=torch.ones(5))


def test_a_forward_ends_though_the_model_catches_every_exception_and_blocks_may_lie_in_each_other() -> None:
    class Careful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Identity(), nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            try:
                return self.two(self.one(x) + 1)
            except Exception:  # noqa: BLE001  (such models exist)
                return x

    model, x = Careful(), torch.zeros(1)
    with ending_at(model, Layer("two")) as outer:
        with ending_at(model, Layer("one")) as inner:
            model(x)
        assert inner.output.item() == 0
        model(x)
    assert outer.output.item() == 1
    with pytest.raises(LayerError, match="not reached"), ending_at(model, Layer("two", call=1)):
        model(x)
    assert not model.two._forward_hooks


def test_a_call_of_a_module_that_runs_twice_is_the_one_named() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act, self.conv = nn.ReLU(), nn.Conv2d(1, 1, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.act(self.conv(self.act(x)))

    model, picture = Twice().eval(), torch.ones(1, 6, 6)
    model.conv.weight.data.fill_(1.0)
    assert gradient_field(unit_at(model, picture, "act", 0, (2, 2)))[1] == ((2, 3), (2, 3))
    assert gradient_field(unit_at(model, picture, "act#1", 0, (2, 2)))[1] == ((2, 5), (2, 5))


def test_a_patch_token_is_a_unit_at_its_place_and_a_vector_one_without_place() -> None:
    model = timm.create_model("test_vit", img_size=64, num_classes=4).eval()
    picture = torch.randn(3, 64, 64, generator=torch.Generator().manual_seed(0))
    embedded = unit_at(model, picture, "patch_embed", 5, (1, 2))
    side = model.patch_embed.patch_size[0]
    assert gradient_field(embedded)[1] == ((side, 2 * side), (2 * side, 3 * side))
    inside = unit_at(model, picture, "blocks.0", 5, (1, 2))
    tokens = model.blocks[0](model.norm_pre(model._pos_embed(model.patch_embed(picture[None]))))
    assert inside.value == pytest.approx(tokens[0, 1 + 64 // side + 2, 5].item(), rel=1e-5)
    head = unit_at(model, picture, "head", 3)
    assert (head.size, head.position) == ((), ())
    assert head.value == pytest.approx(model(picture[None])[0, 3].item(), rel=1e-5)
    drops = occlusion_field(head, patch=64, stride=64)
    blank = model(torch.zeros(1, 3, 64, 64))[0, 3].item()
    assert drops[0, 0].item() == pytest.approx(head.value - blank, rel=1e-4)


def test_signals_and_volumes_have_units_too() -> None:
    volume = whole_numbers(1, 4, 5, 6)
    unit = unit_at(nn.Sequential(nn.Conv3d(1, 2, 3)), volume, "0", 1, (1, 2, 0))
    assert gradient_field(unit)[1] == ((1, 4), (2, 5), (0, 3))
    assert occlusion_field(unit, patch=2, stride=1).shape == (4, 5, 6)


def asked(**settings: Any) -> Any:
    return lambda: occlusion_field(unit_at(two_convolutions(), whole_numbers(2, 13, 13), "1", 0), **settings)


def placed(channel: Any, position: Sequence[Any] | None = None, layer: Any = "1") -> Any:
    return lambda: unit_at(two_convolutions(), whole_numbers(2, 13, 13), layer, channel, position)


BAD: dict[str, tuple[str, Any]] = {
    "stride beyond the patch": ("SW-F204", asked(patch=4, stride=5)),
    "patch of nothing": ("SW-F204", asked(patch=0)),
    "patch for three axes": ("SW-F204", asked(patch=(2, 2, 2))),
    "filling that is no number": ("SW-F205", asked(filling=float("nan"))),
    "filling of other channels": ("SW-F205", asked(filling=torch.zeros(3, 1, 1))),
    "no batch": ("SW-F206", asked(batch_size=0)),
    "channel too many": ("SW-F202", placed(4)),
    "channel below zero": ("SW-F202", placed(-1)),
    "channel by name": ("SW-F202", placed("red")),
    "position outside": ("SW-F203", placed(0, (5, 0))),
    "position of one axis": ("SW-F203", placed(0, (1,))),
    "position in parts": ("SW-F203", placed(0, (1.5, 1))),
    "no such layer": ("SW-L01", placed(0, layer="layer9")),
    "several layers": ("SW-L32", placed(0, layer="Conv2d")),
    "a layer's input": ("SW-L14", placed(0, layer="1.input")),
}


@pytest.mark.parametrize(("code", "call"), BAD.values(), ids=BAD)
def test_what_cannot_be_asked_is_said(code: str, call: Callable[[], Any]) -> None:
    with pytest.raises((ConfigError, LayerError)) as raised:
        call()
    assert raised.value.code == code


def test_a_layer_without_gradient_or_without_a_row_per_record_is_said() -> None:
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.table = nn.Conv2d(1, 1, 3), nn.Embedding(1, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x.detach()) + F.relu(self.table(torch.zeros(1, dtype=torch.long))).sum()

    model, picture = Cut(), torch.ones(1, 5, 5)
    with pytest.raises(LayerError) as raised:
        gradient_field(unit_at(model, picture, "conv", 0))
    assert raised.value.code == "SW-L31"
    with pytest.raises(LayerError) as raised:
        occlusion_field(unit_at(model, picture, "table", 0))
    assert raised.value.code == "SW-L34"


def test_units_of_frames_are_refused() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 3))
    with pytest.raises(LayerError) as raised:
        unit_at(model, torch.ones(4, 3, 8, 8), "0", 0)
    assert raised.value.code == "SW-L33"
