"""Wrapped, compiled, training and half-precision models, asked under any grad mode, give the same answers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from asking import asked, assert_same, pictures
from torch import Tensor, nn

from borrowed import unchanged
from seewhy.capture.probe import Probe
from seewhy.core import Wants
from seewhy.methods.cam import gradcam
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit
from toys import ConvNet, Vit


def test_data_parallel_is_taken_off() -> None:
    model, inputs = ConvNet(), pictures()
    assert_same(asked(model, inputs), asked(nn.DataParallel(model), inputs))


def test_a_compiled_model_is_asked_as_the_plain_one() -> None:
    model, inputs = ConvNet(), pictures()
    expected = asked(model, inputs)
    assert_same(expected, asked(torch.compile(model, backend="eager"), inputs))


@pytest.mark.parametrize("how", ["part wrapped", "part in place", "whole in place"])
def test_a_warm_compiled_part_is_still_seen(how: str) -> None:
    model, inputs = ConvNet().eval(), pictures()
    expected = asked(model, inputs, Wants(activations=("body",), gradients=("body",)))
    layer = "body"
    if how == "part wrapped":
        model.body = torch.compile(model.body, backend="eager")
        layer = "body._orig_mod"
    elif how == "part in place":
        model.body.compile(backend="eager")
    else:
        model.compile(backend="eager")
    with torch.no_grad():
        model(inputs["image"])
    inner = asked(model, inputs, Wants(activations=(layer,), gradients=(layer,)))
    assert torch.equal(inner.activations[layer], expected.activations["body"])
    assert torch.equal(inner.gradients[layer], expected.gradients["body"])
    torch.compiler.reset()


def test_a_model_in_training_is_asked_in_evaluation_mode() -> None:
    model, inputs = ConvNet(), pictures()
    expected = asked(model.eval(), inputs)
    model.train()
    model.body.eval()
    with unchanged(model):
        assert_same(expected, asked(model, inputs))
    assert model.training
    assert not model.body.training


class SkipsPast(ConvNet):
    """Multiplies by its own input behind the wanted layer, so that the input takes part in the graph."""

    def forward(self, image: Tensor) -> Tensor:
        gated = self.body(self.stem(image)) * image[:, :1, ::2, ::2]
        return self.head(gated.flatten(2).mean(dim=2))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_callers_grad_mode_changes_nothing(mode: Any) -> None:
    model, image = SkipsPast(), torch.randn(3, 2, 16, 16)
    expected = asked(model, {"image": image})
    with mode():
        inputs = {"image": image * 1.0}
        capture = asked(model, inputs)
        score = Probe(Adapter(model, inputs), [Logit(1)]).score(inputs)
    assert_same(expected, capture)
    assert torch.equal(score, expected.scores)


@pytest.mark.parametrize("precision", ["bf16", "16"])
def test_half_precision_gives_close_maps_in_float32(precision: str) -> None:
    model, inputs = ConvNet(), pictures()
    exact, low = asked(model, inputs), asked(model, inputs, precision=precision)
    one, other = (gradcam(c.activations["body"], c.gradients["body"][0]) for c in (exact, low))
    assert other.dtype == torch.float32
    torch.testing.assert_close(one, other, rtol=0, atol=0.02 * one.abs().max().item())
    torch.testing.assert_close(exact.outputs, low.outputs, rtol=0, atol=0.02 * exact.outputs.abs().max().item())


@pytest.mark.parametrize("model", [ConvNet(), Vit()])
def test_the_default_embedding_is_the_same_layer_in_half_precision(model: nn.Module) -> None:
    inputs = pictures()
    exact, low = Adapter(model, inputs), Adapter(model, inputs, precision="bf16")
    assert exact.embedding_layer.layer == low.embedding_layer.layer == "head.input"


def test_double_precision_stays_double() -> None:
    model, inputs = ConvNet().double(), {"image": torch.randn(2, 2, 16, 16, dtype=torch.float64)}
    capture = asked(model, inputs)
    assert capture.embedding is not None
    kinds = {
        capture.outputs.dtype,
        capture.gradients["body"].dtype,
        capture.activations["body"].dtype,
        capture.embedding.dtype,
    }
    assert kinds == {torch.float64}
