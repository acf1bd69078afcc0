"""Parameters as constants: the same gradients at the inputs, and nothing kept that only a weight's gradient needs."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import timm
import torch
from torch import Tensor, nn

from borrowed import unchanged
from seewhy.capture.attention import AttentionRecorder
from seewhy.capture.constants import ConstantParameters
from seewhy.capture.probe import Probe
from seewhy.core import Wants
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit
from toys import ChannelsLastNet, ConvNet, Vit


def gradient(model: nn.Module, x: Tensor) -> Tensor:
    """The gradient of class 1 by plain autograd."""
    leaf = x.clone().requires_grad_(True)
    return torch.autograd.grad(model(leaf.clone())[:, 1].sum(), leaf)[0]


def kept(model: nn.Module, x: Tensor) -> int:
    """Bytes that autograd keeps of activations between a forward and its backward, each storage once."""
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    storages: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = storage.nbytes()
        held.append(tensor)
        return tensor

    held: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output = model(x.clone().requires_grad_(True).clone())
    del output
    return sum(storages.values())


class _First(nn.Module):
    """The first of several outputs."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)[0]


MODELS = {
    "convolutions": (lambda: ConvNet(2), (2, 16, 16)),
    "signal": (lambda: ConvNet(1), (2, 21)),
    "channels last": (ChannelsLastNet, (2, 12, 8)),
    "tokens": (Vit, (2, 16, 16)),
    "multi-head module": (lambda: Vit(kernel="mha"), (2, 16, 16)),
    "resnet": (lambda: timm.create_model("test_resnet", num_classes=5), (3, 64, 64)),
    "vit": (lambda: timm.create_model("test_vit", num_classes=5), (3, 160, 160)),
}


@pytest.mark.parametrize(("build", "shape"), MODELS.values(), ids=MODELS)
def test_gradients_at_the_inputs_are_those_of_autograd(build: object, shape: tuple[int, ...]) -> None:
    model, x = build().eval(), torch.randn(2, *shape)  # type: ignore[operator]
    true = gradient(model, x)
    capture = Probe(Adapter(model, {"image": x}), [Logit(1)]).capture({"image": x}, Wants(input_gradients=True))
    assert true.abs().max() > 0
    assert (capture.input_gradients["image"][0] - true).abs().max() <= 1e-6 * true.abs().max()


OPERATIONS = {
    "strided": nn.Conv2d(4, 6, 3, stride=2),
    "dilated, padded": nn.Conv2d(4, 6, (3, 2), padding=(2, 1), dilation=2),
    "depthwise": nn.Conv2d(4, 8, 3, groups=4, bias=False),
    "same padding": nn.Conv2d(4, 6, 3, padding="same"),
    "circular padding": nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"),
    "overlapping pool": nn.MaxPool2d(3, 2, padding=1),
    "pool to the edge": nn.MaxPool2d(2, ceil_mode=True),
    "dilated pool": nn.MaxPool2d(2, 1, dilation=2),
    "pool with indices": nn.Sequential(_First(nn.MaxPool2d(2, return_indices=True))),
    "relu": nn.ReLU(),
    "in-place relu": nn.ReLU(inplace=True),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_every_operation_passes_back_what_it_would_alone(name: str, layout: torch.memory_format) -> None:
    operation = OPERATIONS[name]
    x = torch.randn(3, 4, 9, 7).contiguous(memory_format=layout)
    outputs, gradients = [], []
    for mode in (nullcontext(), ConstantParameters()):
        leaf = x.clone().requires_grad_(True)
        with mode:
            output = operation(leaf * 1.0)
        weights = torch.arange(float(output.numel())).reshape(output.shape).cos()
        outputs.append(output.detach())
        gradients.append(torch.autograd.grad((output * weights).sum(), leaf)[0])
    torch.testing.assert_close(outputs[1], outputs[0], rtol=0, atol=0)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "share"), [("convolutions", 0.35), ("tokens", 0.8)])
def test_less_is_kept(name: str, share: float) -> None:
    build, shape = MODELS[name]
    model, x = build().eval(), torch.randn(4, *shape)
    plain = kept(model, x)
    with ConstantParameters():
        constant = kept(model, x)
    assert constant < share * plain


def test_a_pool_keeps_the_places_of_its_largest_values_only() -> None:
    """One 64-bit number for each of the 4 · 2 · 4 · 4 values it puts out, none of the values it takes in."""
    with ConstantParameters():
        assert kept(nn.MaxPool2d(4), torch.randn(4, 2, 16, 16)) == 4 * 2 * 4 * 4 * 8


@pytest.mark.parametrize("affine", [True, False])
def test_fixed_batch_norm_passes_back_its_scale(affine: bool) -> None:
    """``y = (x - mean) / sqrt(var + eps) * weight + bias``, whose derivative is ``weight / sqrt(var + eps)``."""
    norm = nn.BatchNorm2d(3, affine=affine, dtype=torch.float64).eval()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2.0)
    weight = torch.tensor([-1.0, 0.5, 2.0], dtype=torch.float64)
    if affine:
        norm.load_state_dict({**norm.state_dict(), "weight": weight})
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64, requires_grad=True)
    with ConstantParameters():
        found = norm(x)
    (gradient,) = torch.autograd.grad(found.sum(), x)
    true = (norm.running_var + norm.eps).rsqrt() * (weight if affine else 1.0)
    torch.testing.assert_close(gradient, true.reshape(3, 1, 1).expand_as(x), rtol=1e-12, atol=0)
    torch.testing.assert_close(found, norm(x), rtol=0, atol=0)


def test_batch_norm_that_measures_its_batch_is_left_alone() -> None:
    norm, x = nn.BatchNorm2d(3, track_running_stats=False).eval(), torch.randn(2, 3, 5, 4, requires_grad=True)
    with ConstantParameters():
        found = norm(x)
    torch.testing.assert_close(found.mean(dim=(0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-6)


def test_parameters_stay_what_they_are_inside() -> None:
    """Their flags and identity are the parameter's; only operations see constants."""
    model = ConvNet()
    weight = model.head.weight
    with unchanged(model), ConstantParameters(), torch.enable_grad():
        assert weight.requires_grad
        assert {weight: 1}[weight] == 1
        assert not (weight * 2).requires_grad
        assert not torch.cat([weight, weight]).requires_grad


def test_attention_is_recorded_in_the_same_pass() -> None:
    model, x = Vit(kernel="mha"), torch.randn(2, 2, 16, 16)
    probe = Probe(Adapter(model, {"image": x}), [Logit(1)])
    both = probe.capture({"image": x}, Wants(attention=True, attention_gradients=True, input_gradients=True))
    with AttentionRecorder(batch=2) as recorder, torch.no_grad():
        model.eval()(x)
    for found, alone in zip(both.attention, recorder.weights, strict=True):
        torch.testing.assert_close(found, alone, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(both.input_gradients["image"][0], gradient(model, x), rtol=1e-4, atol=1e-6)


def test_gradients_at_a_layer_and_at_the_inputs_come_from_one_pass() -> None:
    model, x = ConvNet().eval(), torch.randn(2, 2, 16, 16)
    probe = Probe(Adapter(model, {"image": x}), [Logit(1)])
    both = probe.capture({"image": x}, Wants(gradients=("body",), input_gradients=True))
    alone = probe.capture({"image": x}, Wants(gradients=("body",)))
    torch.testing.assert_close(both.gradients["body"], alone.gradients["body"], rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(both.input_gradients["image"][0], gradient(model, x), rtol=1e-5, atol=1e-7)
