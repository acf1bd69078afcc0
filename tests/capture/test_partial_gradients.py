"""Gradients taken from a graph that starts at the wanted layer equal those of the whole graph."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.core import Wants
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit
from seewhy.values import LayerError, ModelError
from toys import ChannelsLastNet, ConvNet, Vit


def whole_graph(model: nn.Module, layer: str, x: Tensor, classes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Activation of a layer (as it was before anything changed it in place) and its gradients, the textbook way."""
    kept: list[Tensor] = []

    def hand_on_a_copy(module: nn.Module, args: object, output: Tensor) -> Tensor:
        kept.append(output)
        return output.clone()

    handle = model.get_submodule(layer).register_forward_hook(hand_on_a_copy)
    with torch.enable_grad():
        outputs = model(x)
        gradients = [torch.autograd.grad(outputs[:, k].sum(), kept[0], retain_graph=True)[0] for k in classes]
    handle.remove()
    return kept[0].detach(), torch.stack(gradients)


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[str, ...], tuple[int, ...]]] = {
    "toy": (ConvNet, ("stem.0", "stem.1", "stem", "body.0", "body.1", "body"), (2, 16, 16)),
    "toy, channels last": (ChannelsLastNet, ("patch", "norm", "mix.0", "last"), (2, 8, 8)),
    "toy, tokens": (Vit, ("blocks.0", "blocks.1.norm1", "blocks.2.norm1"), (2, 16, 16)),
    "torchvision resnet": (
        lambda: torchvision.models.resnet18(num_classes=3),
        ("bn1", "layer1.0.bn2", "layer3.0.conv2", "layer4.1.bn2", "layer4"),
        (3, 64, 64),
    ),
    "timm resnet": (
        lambda: timm.create_model("test_resnet", num_classes=3),
        ("bn1", "layer2.0.bn2", "layer4"),
        (3, 64, 64),
    ),
    "functional in-place": (
        lambda: torchvision.models.DenseNet(8, (2, 2), 8, num_classes=3),
        ("features.norm0", "features.denseblock1", "features"),
        (3, 32, 32),
    ),
}  # fmt: skip
CASES = [(name, layer) for name, (_, layers, _) in MODELS.items() for layer in layers]


@pytest.mark.parametrize(("name", "layer"), CASES)
def test_a_partial_graph_gives_the_whole_graphs_gradients(name: str, layer: str) -> None:
    build, _, shape = MODELS[name]
    torch.manual_seed(0)
    model, x = build().eval(), torch.randn(2, *shape)
    adapter = Adapter(model, {"image": x})
    probe = Probe(adapter, [Logit(0), Logit(2)])
    capture = probe.capture({"image": x}, Wants(activations=(layer,), gradients=(layer,)))
    activation, gradients = whole_graph(model, layer, x, (0, 2))
    grid = adapter.grid(layer)
    torch.testing.assert_close(capture.activations[layer], grid.apply(activation), rtol=0, atol=1e-6)
    expected = torch.stack([grid.apply(gradient) for gradient in gradients])
    torch.testing.assert_close(capture.gradients[layer], expected, rtol=0, atol=1e-6 * expected.abs().max().item())
    with torch.no_grad():
        torch.testing.assert_close(capture.outputs, model(x), rtol=0, atol=1e-6)


def test_several_layers_in_one_pass_equal_one_pass_each() -> None:
    model, inputs = ConvNet(), {"image": torch.randn(2, 2, 16, 16)}
    probe = Probe(Adapter(model, inputs), [Logit(1)])
    layers = ("body.1", "stem.0", "body")
    together = probe.capture(inputs, Wants(activations=layers, gradients=layers))
    for layer in layers:
        apart = probe.capture(inputs, Wants(activations=(layer,), gradients=(layer,)))
        assert torch.equal(together.activations[layer], apart.activations[layer])
        torch.testing.assert_close(together.gradients[layer], apart.gradients[layer], rtol=0, atol=1e-8)


def test_several_classes_equal_one_pass_each() -> None:
    model, inputs = ConvNet(classes=4), {"image": torch.randn(2, 2, 16, 16)}
    adapter = Adapter(model, inputs)
    wants = Wants(gradients=("body",))
    together = Probe(adapter, [Logit(k) for k in range(4)]).capture(inputs, wants)
    for k in range(4):
        alone = Probe(adapter, [Logit(k)]).capture(inputs, wants)
        assert torch.equal(together.gradients["body"][k], alone.gradients["body"][0])
        assert torch.equal(together.scores[k], alone.scores[0])


def test_without_a_target_there_are_activations_and_no_gradients() -> None:
    model, inputs = ConvNet(), {"image": torch.randn(2, 2, 16, 16)}
    wants = Wants(activations=("body",), gradients=("body",))
    capture = Probe(Adapter(model, inputs), []).capture(inputs, wants)
    asked = Probe(Adapter(model, inputs), [Logit()]).capture(inputs, wants)
    assert torch.equal(capture.activations["body"], asked.activations["body"])
    assert capture.gradients == {}
    assert tuple(capture.scores.shape) == (0, 2)


def test_nothing_before_the_first_wanted_layer_records_a_graph() -> None:
    model, inputs = ConvNet(), {"image": torch.randn(2, 2, 16, 16)}
    probe = Probe(Adapter(model, inputs), [Logit()])
    records: dict[str, bool] = {}
    handles = [
        model.get_submodule(name).register_forward_hook(
            lambda module, args, output, name=name: records.update({name: output.requires_grad})
        )
        for name in ("stem.0", "stem", "body.0", "body.2", "head")
    ]
    probe.capture(inputs, Wants(gradients=("body.0",)))
    for handle in handles:
        handle.remove()
    assert records == {"stem.0": False, "stem": False, "body.0": False, "body.2": True, "head": True}


def test_without_wanted_gradients_nothing_records_a_graph() -> None:
    model, inputs = ConvNet(), {"image": torch.randn(2, 2, 16, 16)}
    capture = Probe(Adapter(model, inputs), [Logit()]).capture(
        inputs, Wants(activations=("body",), embedding="head.input")
    )
    held = (capture.outputs, capture.scores, capture.activations["body"], capture.embedding)
    assert not any(tensor is None or tensor.requires_grad for tensor in held)


class Residual(nn.Module):
    """A tail that adds to, or activates, a layer's output in place or not."""

    def __init__(self, *, in_place: bool) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.skip, self.relu = nn.Conv2d(2, 4, 1), nn.ReLU(inplace=in_place)
        self.fc, self.in_place = nn.Linear(4, 3), in_place

    def forward(self, x: Tensor) -> Tensor:
        identity, out = self.skip(x), self.bn(self.conv(x))
        if self.in_place:
            out += identity
        else:
            out = out + identity
        return self.fc(self.relu(out).flatten(2).mean(dim=2))


@pytest.mark.parametrize("layer", ["conv", "bn", "skip", "relu"])
def test_in_place_neighbours_change_nothing(layer: str) -> None:
    torch.manual_seed(0)
    out_of_place = Residual(in_place=False)
    in_place = Residual(in_place=True)
    in_place.load_state_dict(out_of_place.state_dict())
    inputs = {"image": torch.randn(2, 2, 8, 8)}
    wants = Wants(activations=(layer,), gradients=(layer,))
    one, other = (
        Probe(Adapter(model, inputs), [Logit(0)]).capture(inputs, wants) for model in (out_of_place, in_place)
    )
    assert torch.equal(one.activations[layer], other.activations[layer])
    assert torch.equal(one.gradients[layer], other.gradients[layer])


class ViewChanged(nn.Module):
    """Makes a view before the wanted layer and changes it in place after: impossible with a graph begun halfway."""

    def __init__(self) -> None:
        super().__init__()
        self.early, self.late, self.fc = nn.Conv2d(2, 4, 1), nn.Conv2d(2, 4, 1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        view = self.early(x)[:, :]
        view += self.late(x)
        return self.fc(view.relu().flatten(2).mean(dim=2))


def test_a_view_changed_in_place_after_the_layer_is_asked_once_more_with_the_whole_graph() -> None:
    model, x = ViewChanged(), torch.randn(2, 2, 6, 6)
    capture = Probe(Adapter(model, {"image": x}), [Logit(1)]).capture({"image": x}, Wants(gradients=("late",)))
    torch.testing.assert_close(capture.gradients["late"], whole_graph(model, "late", x, (1,))[1], rtol=0, atol=1e-8)


class Overwrites(nn.Module):
    """Overwrites what its own backward would need, as code written for inference only may."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(2, 4, 1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.conv(x).sigmoid()
        return self.fc(gate.mul_(2.0).flatten(2).mean(dim=2))


def test_a_model_that_cannot_be_differentiated_is_named() -> None:
    model, inputs = Overwrites(), {"image": torch.randn(2, 2, 6, 6)}
    with pytest.raises(ModelError, match="SW-M07"):
        Adapter(model, inputs)


def test_a_model_that_overwrites_on_some_inputs_only_is_named() -> None:
    class Sometimes(Overwrites):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) if x.shape[0] == 3 else self.fc(self.conv(x).flatten(2).mean(dim=2))

    probe = Probe(Adapter(Sometimes(), {"image": torch.randn(2, 2, 6, 6)}), [Logit(0)])
    with pytest.raises(ModelError, match="SW-M07"):
        probe.capture({"image": torch.randn(3, 2, 6, 6)}, Wants(gradients=("conv",)))


class NoGradInside(nn.Module):
    """Features under the model's own ``no_grad``, as frozen backbones are written."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.tail, self.fc = nn.Conv2d(2, 4, 1), nn.Conv2d(4, 4, 1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            features = self.conv(x).relu()
        return self.fc(self.tail(features).flatten(2).mean(dim=2))


def test_a_layer_behind_the_models_own_no_grad_has_no_gradient_path() -> None:
    model, inputs = NoGradInside(), {"image": torch.randn(2, 2, 6, 6)}
    adapter = Adapter(model, inputs)
    assert adapter.target_layer.layer == "tail"
    with pytest.raises(LayerError, match="no gradient path") as caught:
        Probe(adapter, [Logit()]).capture(inputs, Wants(gradients=("conv",)))
    assert caught.value.code == "SW-L13"


def test_a_layer_beside_the_path_has_no_gradient_path() -> None:
    class Beside(NoGradInside):
        def forward(self, x: Tensor) -> Tensor:
            self.conv(x)
            return self.fc(self.tail(x.repeat(1, 2, 1, 1)).flatten(2).mean(dim=2))

    model, inputs = Beside(), {"image": torch.randn(2, 2, 6, 6)}
    probe = Probe(Adapter(model, inputs), [Logit()])
    for wanted in (("conv",), ("conv", "tail")):
        with pytest.raises(LayerError, match="no gradient path to conv"):
            probe.capture(inputs, Wants(gradients=wanted))


def test_a_frozen_model_gives_the_same_gradients() -> None:
    model, inputs = ConvNet(), {"image": torch.randn(2, 2, 16, 16)}
    wants = Wants(activations=("stem.1",), gradients=("stem.1", "body"))
    free = Probe(Adapter(model, inputs), [Logit(2)]).capture(inputs, wants)
    frozen = Probe(Adapter(model.requires_grad_(False), inputs), [Logit(2)]).capture(inputs, wants)
    for layer in wants.gradients:
        assert torch.equal(free.gradients[layer], frozen.gradients[layer])


class TwoBranches(nn.Module):
    """Two backbones whose features are concatenated, as with two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = ConvNet().stem, ConvNet().stem
        self.fc = nn.Linear(8, 3)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        both = torch.cat([self.left(left), self.right(right)], dim=1)
        return self.fc(both.flatten(2).mean(dim=2) ** 2)


@pytest.mark.parametrize("frozen", [True, False])
def test_parallel_branches_each_get_their_own_gradient(frozen: bool) -> None:
    model = TwoBranches().requires_grad_(not frozen).eval()
    inputs = {"right": torch.randn(2, 2, 8, 8), "left": torch.randn(2, 2, 8, 8)}
    capture = Probe(Adapter(model, inputs), [Logit(0)]).capture(inputs, Wants(gradients=("left.1", "right.1")))
    model.requires_grad_(True)
    kept: dict[str, Tensor] = {}
    handles = [
        model.get_submodule(name).register_forward_hook(
            lambda module, args, output, name=name: kept.update({name: output}) or output.clone()
        )
        for name in ("left.1", "right.1")
    ]
    score = model(**inputs)[:, 0].sum()
    for handle in handles:
        handle.remove()
    for name, gradient in zip(kept, torch.autograd.grad(score, list(kept.values())), strict=True):
        assert torch.equal(capture.gradients[name][0], gradient)
