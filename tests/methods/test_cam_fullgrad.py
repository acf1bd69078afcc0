"""FullGrad on real layers: what adds up, what does not and says so, and the post-processing of the authors' program."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from borrowed import unchanged
from seewhy.capture.probe import Probe
from seewhy.core import Explanation
from seewhy.methods.ask import Asked
from seewhy.methods.fullgrad import fullgrad
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit
from seewhy.values import ConfigError, ModelError
from toys import ChannelsLastNet, Vit


def asked(model: nn.Module, image: Tensor, **settings: str) -> Explanation:
    inputs = {"image": image}
    return fullgrad(Probe(Adapter(model, inputs), [Logit(0), Logit(1)]), inputs, **settings)


def residual(model: nn.Module, image: Tensor) -> float:
    return float(asked(model, image).measured["completeness_residual"].abs().max())


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext"])
def test_contributions_of_modules_add_up_to_the_score(name: str) -> None:
    """Residual connections, shared ReLUs, max pooling, layer norm and GELU are all modules."""
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=3)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.3)
            nn.init.normal_(module.bias)
    assert residual(model.double().eval(), torch.randn(2, 3, 64, 64).double()) < 1e-10


def test_norms_over_channels_and_smooth_activations_leave_nothing_over() -> None:
    torch.manual_seed(0)
    assert residual(ChannelsLastNet().double(), torch.randn(2, 2, 12, 8).double()) < 1e-10


def test_a_bias_no_module_has_is_what_the_residual_says() -> None:
    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 3, 3)

        def forward(self, image: Tensor) -> Tensor:
            return (self.conv(image) + 0.25).mean(dim=(2, 3))

    found = asked(Shifted().double(), torch.randn(2, 2, 5, 5).double())
    np.testing.assert_allclose(found.measured["completeness_residual"], np.full((2, 2), -0.25), atol=1e-12)


def test_attention_is_no_sum_of_contributions_and_the_residual_says_so() -> None:
    torch.manual_seed(0)
    assert residual(Vit().double(), torch.randn(2, 2, 16, 16).double()) > 1e-3


def test_the_bias_of_a_class_token_has_no_place() -> None:
    torch.manual_seed(0)
    found = asked(Vit().double(), torch.randn(1, 2, 16, 16).double())
    total = found.maps["image"].flatten(2).sum(dim=2) + found.measured["without_place"]
    torch.testing.assert_close(total, found.scores + found.measured["completeness_residual"], rtol=0, atol=1e-10)


class OneLayer(nn.Module):
    """A convolution at half the size, without anything that follows but sums."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 2, stride=2)

    def forward(self, image: Tensor) -> Tensor:
        return (self.conv(image) * torch.linspace(-1, 1, image.shape[-1] // 2).to(image)).sum(dim=(2, 3))


@pytest.mark.parametrize("psi", ["absolute", "rescaled"])
def test_the_authors_post_processing(psi: str) -> None:
    """Magnitudes of input × gradient and of bias × gradient; stretched per record and layer, enlarged, added up."""
    torch.manual_seed(0)
    model, image = OneLayer().double(), torch.randn(2, 2, 4, 4).double()
    leaf = image.clone().requires_grad_()
    (at_input,) = torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)
    at_conv = torch.linspace(-1, 1, 2).double().reshape(1, 1, 1, 2).expand(2, 1, 2, 2)
    bias = torch.zeros(2, 3, 2, 2).double()
    bias[:, 1:2] = model.conv.bias[1].detach() * at_conv
    true = torch.zeros(2, 1, 4, 4).double()
    for term in (image * at_input, bias):
        size = term.abs()
        if psi == "rescaled":
            for record in size:
                record -= record.min()
                record /= record.max()
        true += F.interpolate(size, size=(4, 4), mode="bilinear").sum(dim=1, keepdim=True)
    found = asked(model, image, psi=psi).maps["image"][1]
    torch.testing.assert_close(found, true[:, 0], rtol=0, atol=1e-10)


def test_two_questions_cost_one_forward_and_are_told_apart() -> None:
    torch.manual_seed(0)
    model, image = ChannelsLastNet().double(), torch.randn(2, 2, 12, 8).double()
    inputs, calls = {"image": image}, []
    adapter = Adapter(model, inputs)
    handle = model.head.register_forward_hook(lambda *_: calls.append(1))
    both = fullgrad(Probe(adapter, [Logit(0), Logit(1)]), inputs)
    handle.remove()
    assert len(calls) == 1
    for index in range(2):
        alone = fullgrad(Probe(adapter, [Logit(index)]), inputs)
        torch.testing.assert_close(both.maps["image"][index], alone.maps["image"][0], rtol=0, atol=1e-12)


def test_another_threads_forward_adds_nothing() -> None:
    """While ours runs, somebody else uses the model: their pass must not be counted."""
    torch.manual_seed(0)
    model, image = ChannelsLastNet().double(), torch.randn(1, 2, 12, 8).double()
    inputs = {"image": image}
    probe = Probe(Adapter(model, inputs), [Logit(0)])
    true = fullgrad(probe, inputs)
    others: list[Tensor] = []

    def meanwhile(module: nn.Module, args: object, output: Tensor) -> None:
        if threading.current_thread() is threading.main_thread():
            thread = threading.Thread(target=lambda: others.append(module(output.detach()[:, :6, :4])))
            thread.start()
            thread.join()

    handle = model.norm.register_forward_hook(meanwhile)
    found = fullgrad(probe, inputs)
    handle.remove()
    assert len(others) == 1
    assert torch.equal(found.maps["image"], true.maps["image"])


def test_an_unknown_psi_is_refused_before_the_model_runs() -> None:
    with pytest.raises(ConfigError, match="SW-F65") as caught:
        Asked("fullgrad", settings={"psi": "absolut"})(None, {})  # type: ignore[arg-type]
    assert caught.value.near[0] == "absolute"


class SequenceFirst(nn.Module):
    """64 tokens in a transformer that wants them on the first axis, ``(64, B, 16)``."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 8, stride=8)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=False)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(16, 3)

    def forward(self, image: Tensor) -> Tensor:
        tokens: Tensor = self.encoder(self.stem(image).flatten(2).permute(2, 0, 1))
        return self.head(tokens.mean(dim=0))


def swin_of_timm() -> nn.Module:
    name = "swin_tiny_patch4_window7_224"
    return timm.create_model(name, img_size=64, window_size=2, num_classes=3, embed_dim=12, depths=(1, 1, 1, 1))


def swin_of_transformers() -> nn.Module:
    transformers = pytest.importorskip("transformers")
    config = transformers.SwinConfig(
        image_size=64, patch_size=4, embed_dim=12, depths=[1, 1], num_heads=[1, 2], window_size=4, num_labels=3
    )
    return transformers.SwinForImageClassification(config)


@pytest.mark.parametrize("records", [1, 2])
@pytest.mark.parametrize("make", [SequenceFirst, swin_of_timm, swin_of_transformers])
def test_biases_that_cannot_be_told_apart_by_record_are_refused_by_layer(
    make: Callable[[], nn.Module], records: int
) -> None:
    model, image = make().eval(), torch.randn(records, 3, 64, 64)
    with (
        unchanged(model, image),
        pytest.raises(ModelError, match="does not hold the records on its first axis") as caught,
    ):
        asked(model, image)
    assert caught.value.code == "SW-M21"
    assert "integrated_gradients" in caught.value.fix
    named = caught.value.message.split()[1]
    assert named in dict(model.named_modules())


def test_a_first_axis_that_has_the_number_of_records_by_chance_is_not_taken_for_them() -> None:
    model, few, many = SequenceFirst().eval(), torch.randn(2, 3, 64, 64), torch.randn(64, 3, 64, 64)
    probe = Probe(Adapter(model, {"image": few}), [Logit(0)])
    with pytest.raises(ModelError, match="SW-M21"):
        fullgrad(probe, {"image": many})
