"""Bad inputs 32 to 43: what a forward does besides computing, ranks, layouts (``test_bad_models.py`` has the table)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from asked_of_models import AT_INPUTS, captured, pictures, refused
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from borrowed import unchanged
from seewhy.capture.probe import Probe
from seewhy.capture.tokens import NoAttention, attention_of
from seewhy.core import Wants
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit
from seewhy.values import LayerError, ModelError
from toys import ChannelsLastNet, ConvNet, Vit

# 32-37: what a forward does besides computing ------------------------------------------------------------------------


def test_32_a_users_hook_that_changes_the_output_takes_part_and_stays() -> None:
    model, inputs = ConvNet().eval(), pictures()
    handle = model.body.register_forward_hook(lambda module, args, output: output * 3)
    capture = captured(model, inputs)
    handle.remove()
    plain = captured(model, inputs)
    assert torch.equal(capture.activations["body"], 3 * plain.activations["body"])
    handle = model.body.register_forward_hook(lambda module, args, output: output * 3)
    before = dict(model.body._forward_hooks)
    captured(model, inputs)
    assert dict(model.body._forward_hooks) == before
    handle.remove()


def test_32_a_hook_that_raises_is_named_with_its_own_error_kept() -> None:
    def fail(*_: object) -> None:
        raise ValueError("the owner's hook")

    model, inputs = ConvNet(), pictures()
    handle = model.body.register_forward_hook(fail)
    with unchanged(model), refused(ModelError, "SW-M09", "the owner's hook"):
        Adapter(model, inputs)
    handle.remove()


class Drawing(ConvNet):
    """Dropout that evaluation mode does not switch off."""

    def forward(self, image: Tensor) -> Tensor:
        features = nn.functional.dropout(self.body(self.stem(image)).mean(dim=(2, 3)), 0.5, training=True)
        return self.head(features)


def test_33_a_forward_that_draws_is_noted() -> None:
    adapter = Adapter(Drawing().eval(), pictures())
    assert len(adapter.notes) == 1
    assert "two calls on the same inputs" in adapter.notes[0]
    inputs = pictures()
    probe = Probe(adapter, [Logit(1)])
    assert torch.equal(probe.score(inputs), probe.score(inputs))


def test_33_rounding_is_no_drawing() -> None:
    for model in (ConvNet(), Vit(), ChannelsLastNet()):
        assert Adapter(model.eval(), pictures()).notes == ()


def test_34_a_forward_that_changes_its_input_changes_a_copy() -> None:
    class Scaling(ConvNet):
        def forward(self, image: Tensor) -> Tensor:
            return super().forward(image.mul_(0.5))

    model, inputs = Scaling().eval(), pictures()
    kept = inputs["image"].clone()
    probe = Probe(Adapter(model, inputs), [Logit(1)])
    first, second = probe.score(inputs), probe.capture(inputs, AT_INPUTS)
    assert torch.equal(inputs["image"], kept)
    assert torch.equal(first, second.scores)
    plain = ConvNet()
    plain.load_state_dict(model.state_dict())
    halved = captured(plain.eval(), {"image": kept * 0.5}, AT_INPUTS)
    torch.testing.assert_close(second.input_gradients["image"], halved.input_gradients["image"] / 2, rtol=0, atol=1e-7)


class Checkpointed(ConvNet):
    def __init__(self, *, reentrant: bool) -> None:
        super().__init__()
        self.reentrant = reentrant

    def forward(self, image: Tensor) -> Tensor:
        features = checkpoint(self.body, self.stem(image), use_reentrant=self.reentrant)
        return self.head(features.mean(dim=(2, 3)))


@pytest.mark.parametrize("layer", ["stem", "body.0", "body"])
def test_36_gradient_checkpointing_changes_no_gradient_where_torch_allows_it(layer: str) -> None:
    model, inputs = Checkpointed(reentrant=False).eval(), pictures()
    plain = ConvNet().eval()
    plain.load_state_dict(model.state_dict())
    wants = Wants(gradients=(layer,))
    found, expected = captured(model, inputs, wants), captured(plain, inputs, wants)
    torch.testing.assert_close(found.gradients[layer], expected.gradients[layer], rtol=0, atol=1e-7)
    assert Adapter(model, inputs).trace.call_counts["body"] == 1


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_36_gradient_checkpointing_that_forbids_gradients_is_named_with_the_switch() -> None:
    with refused(ModelError, "SW-M18", "gradient checkpointing", "set_grad_checkpointing(False)"):
        Adapter(Checkpointed(reentrant=True).eval(), pictures())


def test_36_a_function_without_second_derivatives_is_explained_by_first_ones() -> None:
    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x * 2

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
            return gradient * 2

    class Custom(ConvNet):
        def forward(self, image: Tensor) -> Tensor:
            return self.head(Doubled.apply(self.body(self.stem(image))).mean(dim=(2, 3)))

    model, inputs = Custom().eval(), pictures()
    expected = (2 * model.head.weight[1] / 64)[None, :, None, None].expand(2, 6, 8, 8)
    torch.testing.assert_close(captured(model, inputs).gradients["body"][0], expected.detach(), rtol=0, atol=1e-8)


def test_37_tied_weights_are_explained_at_each_place_they_are_used() -> None:
    class Tied(ConvNet):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(2, 2, 1, bias=False), nn.Conv2d(2, 2, 1, bias=False)
            self.second.weight = self.first.weight

        def forward(self, image: Tensor) -> Tensor:
            return super().forward(self.second(self.first(image)))

    model, inputs = Tied().eval(), pictures()
    capture = captured(model, inputs, Wants(("first", "second"), ("first", "second")))
    weight = model.first.weight[:, :, 0, 0].detach()
    torch.testing.assert_close(
        capture.activations["second"],
        torch.einsum("oi,bihw->bohw", weight, capture.activations["first"]), rtol=0, atol=1e-6,
    )  # fmt: skip
    torch.testing.assert_close(
        capture.gradients["first"],
        torch.einsum("oi,kbohw->kbihw", weight, capture.gradients["second"]), rtol=0, atol=1e-7,
    )  # fmt: skip


# 38-43: ranks and layouts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rank", "size"), [(1, (20,)), (2, (12, 20)), (3, (8, 6, 10))])
def test_38_volumes_and_signals_have_a_closed_form_as_pictures_do(rank: int, size: tuple[int, ...]) -> None:
    """A mean over space and a linear head: Grad-CAM is the class's weights times the features, over their number."""
    model, inputs = ConvNet(rank).eval(), {"image": torch.randn(2, 2, *size)}
    probe = Probe(Adapter(model, inputs), [Logit(2)])
    layer = probe.adapter.target_layer.layer
    features = probe.capture(inputs, Wants(activations=(layer,))).activations[layer]
    cells = features[0, 0].numel()
    expected = torch.einsum("c,bc...->b...", model.head.weight[2].detach(), features) / cells
    found = Asked("gradcam")(probe, inputs).maps["image"][0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-7)
    assert layer == "body"


def test_39_the_channels_last_memory_format_gives_the_same() -> None:
    model, inputs = ConvNet().eval(), pictures()
    plain = captured(model, inputs)
    for format_model in (model, model.to(memory_format=torch.channels_last)):
        last = captured(format_model, {"image": inputs["image"].to(memory_format=torch.channels_last)})
        torch.testing.assert_close(last.gradients["body"], plain.gradients["body"], rtol=0, atol=1e-7)
        torch.testing.assert_close(last.outputs, plain.outputs, rtol=0, atol=1e-6)


def test_42_inputs_of_another_size_than_traced_are_told_where_tokens_depend_on_it() -> None:
    class Sized(Vit):
        """Positions for the tokens there are, so that it takes any size."""

        def forward(self, image: Tensor) -> Tensor:
            x = self.patch(image).flatten(2).transpose(1, 2)
            return self.head(self.norm(self.blocks(x)).mean(dim=1))

    adapter = Adapter(Sized(prefix=0), {"image": torch.randn(2, 2, 16, 16)})
    probe = Probe(adapter, [Logit(0)])
    with refused(LayerError, "SW-L06", "size (16, 16)", "these are (12, 20)"):
        probe.capture({"image": torch.randn(2, 2, 12, 20)}, Wants(activations=("norm",)))
    other = {"image": torch.randn(2, 2, 12, 20)}
    assert Adapter(Sized(prefix=0), other).grid("norm").size == (3, 5)


def test_43_attention_that_cannot_be_seen_is_not_made_up() -> None:
    class Opaque(nn.Module):
        """Attention by exponentials, which no softmax shows."""

        def forward(self, x: Tensor) -> Tensor:
            scores = (x @ x.transpose(1, 2)).exp()
            return (scores / scores.sum(dim=2, keepdim=True)) @ x

    model = Vit()
    for block in model.blocks:
        block.attn = Opaque()
    found = attention_of(Adapter(model.eval(), pictures()))
    assert isinstance(found, NoAttention)
    with refused(ModelError, "SW-M10"):
        Asked("rollout")(Probe(Adapter(model, pictures()), [Logit()]), pictures())
