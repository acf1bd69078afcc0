"""Bad inputs 14 to 22: outputs that are no logits, classes that are none (``test_bad_models.py`` has the table)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from asked_of_models import BODY, captured, pictures, refused
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit
from seewhy.values import ModelError, TargetError
from toys import ConvNet, Vit


def test_14_outputs_with_space_are_refused_unless_a_selector_reduces_them() -> None:
    class Segments(ConvNet):
        def forward(self, image: Tensor) -> Tensor:
            return self.body(self.stem(image))

    with refused(ModelError, "SW-M02", "(2, 6, 8, 8)", "output_selector"):
        Adapter(Segments(), pictures())
    assert Adapter(Segments(), pictures(), output_selector=lambda maps: maps.mean(dim=(2, 3))).classes == 6


def test_15_a_detectors_answer_is_refused_with_what_it_holds() -> None:
    class Detector(ConvNet):
        def forward(self, image: Tensor) -> list[dict[str, Tensor]]:  # type: ignore[override]
            return [{"boxes": torch.zeros(3, 4), "scores": torch.zeros(3)} for _ in image]

    with refused(ModelError, "SW-M01", "list with 0 dict, 1 dict", "output_selector"):
        Adapter(Detector(), pictures())


class Ending(ConvNet):
    """A network with an activation behind its head, as a module or a function."""

    def __init__(self, module: nn.Module | None = None, function: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.ending, self.function = module or nn.Identity(), function or (lambda x: x)

    def forward(self, image: Tensor) -> Tensor:
        return self.function(self.ending(super().forward(image)))


@pytest.mark.parametrize("ending", [nn.Softmax(dim=1), nn.LogSoftmax(dim=1), nn.Sigmoid()])
def test_19_an_activation_module_at_the_end_is_passed_by(ending: nn.Module) -> None:
    model, inputs = Ending(ending).eval(), pictures()
    adapter = Adapter(model, inputs)
    plain = captured(model, inputs, BODY, headless=True)
    capture = Probe(adapter, [Logit(1)]).capture(inputs, BODY)
    with torch.no_grad():
        logits = ConvNet.forward(model, inputs["image"])
        assert torch.equal(model(inputs["image"]), ending(logits))
    assert torch.equal(capture.outputs, logits)
    assert not torch.equal(capture.gradients["body"], plain.gradients["body"])
    assert adapter.activation is None
    assert adapter.notes == (
        f"the model ends in {type(ending).__name__} (ending); its input, the logits, is what is explained",
    )


@pytest.mark.parametrize(
    ("function", "activation"),
    [
        (lambda x: x.softmax(dim=1), "softmax"),
        (lambda x: x.exp() / x.exp().sum(dim=1, keepdim=True), "softmax"),
        (lambda x: x.log_softmax(dim=1), "log_softmax"),
        (lambda x: x - x.logsumexp(dim=1, keepdim=True), "log_softmax"),
        (lambda x: x.sigmoid().reshape(2, 3), "sigmoid"),
    ],
)
def test_19_an_activation_function_at_the_end_is_noted(function: Callable[[Tensor], Tensor], activation: str) -> None:
    adapter = Adapter(Ending(function=function).eval(), pictures())
    assert adapter.activation == activation
    assert len(adapter.notes) == 1
    assert f"behind a {activation}, whose gradient vanishes" in adapter.notes[0]


def test_19_a_softmax_elsewhere_or_used_twice_or_hooked_by_its_owner_is_left_alone() -> None:
    class Twice(Ending):
        def forward(self, image: Tensor) -> Tensor:
            gate = self.ending(self.body(self.stem(image)).mean(dim=(2, 3)))
            return self.ending(self.head(gate))

    hooked = Ending(nn.Softmax(dim=1)).eval()
    handle = hooked.ending.register_forward_hook(lambda *_: None)
    for model in (Twice(nn.Softmax(dim=1)).eval(), hooked):
        adapter = Adapter(model, pictures())
        assert (adapter.passed_by, adapter.activation) == (None, "softmax")
    handle.remove()
    assert Adapter(Vit(kernel="softmax"), pictures()).activation is None


@pytest.mark.parametrize(("target", "code"), [(Logit(3), "SW-T01"), (Logit(-1), "SW-T01"), (Logit(1.0), "SW-T10")])
def test_21_a_class_that_is_none_is_refused_in_the_model_too(target: Logit, code: str) -> None:
    with refused(TargetError, code):
        Probe(Adapter(ConvNet(), pictures()), [target]).score(pictures())


def test_22_another_number_of_classes_than_records_is_refused() -> None:
    with refused(TargetError, "SW-T02", "2 classes for 3 records"):
        Probe(Adapter(ConvNet(), pictures()), [Logit((0, 1))]).score(pictures(3))
