"""Gradients at the inputs and at attention weights, which fused kernels never hold."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from seewhy.capture.probe import Probe
from seewhy.core import Wants
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit
from seewhy.values import LayerError
from toys import ConvNet, Vit


def test_input_gradients_are_those_of_plain_autograd_for_every_target() -> None:
    model = ConvNet().double().eval()
    image = torch.randn(3, 2, 9, 7, dtype=torch.float64)
    capture = Probe(Adapter(model, {"image": image}), [Logit(0), Logit(2)]).capture(
        {"image": image}, Wants(input_gradients=True, gradients=("body",), activations=("body",))
    )
    for found, index in zip(capture.input_gradients["image"], (0, 2), strict=True):
        leaf = image.clone().requires_grad_()
        (true,) = torch.autograd.grad(model(leaf)[:, index].sum(), leaf)
        torch.testing.assert_close(found, true, rtol=0, atol=1e-14)
    # Asked for together with the inputs, a layer's gradient is what it is alone.
    alone = Probe(Adapter(model, {"image": image}), [Logit(0), Logit(2)]).capture(
        {"image": image}, Wants(gradients=("body",))
    )
    torch.testing.assert_close(capture.gradients["body"], alone.gradients["body"], rtol=0, atol=1e-14)


def attention_gradients(kernel: str, prefix: int) -> tuple[Tensor, ...]:
    torch.manual_seed(0)
    model = Vit((8, 12), kernel=kernel, prefix=prefix).double()  # type: ignore[arg-type]
    inputs = {"image": torch.randn(2, 2, 8, 12, dtype=torch.float64)}
    probe = Probe(Adapter(model, inputs), [Logit(0), Logit(1)], tokens=6 + prefix)
    return probe.capture(inputs, Wants(attention_gradients=True)).attention_gradients


@pytest.mark.parametrize("prefix", [0, 2])
@pytest.mark.parametrize("kernel", ["fused", "mha"])
def test_attention_gradients_of_fused_kernels_are_those_of_a_plain_softmax(kernel: str, prefix: int) -> None:
    plain, fused = attention_gradients("softmax", prefix), attention_gradients(kernel, prefix)
    assert len(plain) == len(fused) == 3
    for true, found in zip(plain, fused, strict=True):
        assert true.shape == (2, 2, 2, 6 + prefix, 6 + prefix)
        torch.testing.assert_close(found, true, rtol=0, atol=1e-12)
        assert true.abs().max() > 1e-6


def test_the_gradient_at_a_weight_is_the_change_of_the_score() -> None:
    """More weight of head 1 from the class token to token 3 adds that token's value to the class token's mixture."""
    torch.manual_seed(0)
    model = Vit((8, 12), depth=1, kernel="softmax").double()
    inputs = {"image": torch.randn(1, 2, 8, 12, dtype=torch.float64)}
    probe = Probe(Adapter(model, inputs), [Logit(1)], tokens=7)
    (gradient,) = probe.capture(inputs, Wants(attention_gradients=True)).attention_gradients
    step, attention = 1e-5, model.blocks[0].attn.mha
    with torch.no_grad():
        tokens = torch.cat([model.extra, model.patch(inputs["image"]).flatten(2).transpose(1, 2)], dim=1)
        tokens = model.blocks[0].norm1(tokens + model.position)
        value = tokens @ attention.in_proj_weight[16:].T + attention.in_proj_bias[16:]
        mixture = torch.zeros_like(tokens)
        mixture[0, 0, 4:] = step * value[0, 3, 4:]
        change = mixture @ attention.out_proj.weight.T
    before = probe.score(inputs)
    after = probe.score(inputs, edit={"blocks.0.attn": lambda output: output + change})
    assert (after - before).item() / step == pytest.approx(gradient[0, 0, 1, 0, 3].item(), rel=1e-3)


def test_settled_questions_follow_records_that_are_repeated() -> None:
    model = ConvNet()
    inputs = {"image": torch.randn(4, 2, 8, 8)}
    probe, clean = Probe(Adapter(model, inputs), [Logit()]).settled(inputs)
    rows = [3, 3, 0]
    again = probe.take(rows).score({"image": inputs["image"][rows]})
    torch.testing.assert_close(again, clean[:, rows])
    moved = probe.take(rows).score({"image": -5 * inputs["image"][rows]})
    free = Probe(Adapter(model, inputs), [])
    best = free.capture(inputs, Wants()).outputs.argmax(dim=1)[rows]
    outputs = free.capture({"image": -5 * inputs["image"][rows]}, Wants()).outputs
    torch.testing.assert_close(moved[0], outputs[torch.arange(3), best])


def test_as_many_tokens_that_lie_otherwise_are_refused() -> None:
    class Pooled(Vit):
        """Positions are left out, so that any picture of as many patches will do."""

        def forward(self, image: Tensor) -> Tensor:
            x = self.patch(image).flatten(2).transpose(1, 2)
            return self.head(self.norm(self.blocks(x)).mean(dim=1))

    probe = Probe(Adapter(Pooled((8, 8), prefix=0), {"image": torch.randn(2, 2, 8, 8)}), [Logit(0)])
    wants = Wants(activations=("norm",))
    assert probe.capture({"image": torch.randn(1, 2, 8, 8)}, wants).activations["norm"].shape[2:] == (2, 2)
    with pytest.raises(LayerError) as caught:
        probe.capture({"image": torch.randn(1, 2, 4, 16)}, wants)
    assert caught.value.code == "SW-L06"
