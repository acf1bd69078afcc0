"""Whatever a model or a layer wraps its tensors into, and however it takes its inputs."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from asking import BODY, asked, pictures
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.core import Wants
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit
from seewhy.values import ModelError
from toys import ConvNet


class Wrapped(nn.Module):
    """Returns, and passes inside, a container around each tensor."""

    def __init__(self, inner: nn.Module, wrap: Any, unwrap: Any) -> None:
        super().__init__()
        self.inner, self.boxed, self.wrap, self.unwrap = inner, Boxing(wrap), wrap, unwrap

    def forward(self, image: Tensor) -> Any:
        inner = self.inner
        boxed = self.boxed(inner.body(inner.stem(image)))
        return self.wrap(inner.head(self.unwrap(boxed).flatten(2).mean(dim=2)))


class Boxing(nn.Module):
    def __init__(self, wrap: Any) -> None:
        super().__init__()
        self.wrap = wrap

    def forward(self, x: Tensor) -> Any:
        return self.wrap(x * 1.0)


Pair = namedtuple("Pair", ["logits", "extra"])


class ModelOutput(OrderedDict[str, Any]):
    """Like the transformers library's: a dict whose items are attributes as well."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


@pytest.mark.parametrize(
    ("wrap", "unwrap"),
    [
        (lambda x: {"logits": x}, lambda box: box["logits"]),
        (lambda x: (x, None), lambda box: box[0]),
        (lambda x: [x], lambda box: box[0]),
        (lambda x: Pair(x, "extra"), lambda box: box.logits),
        (lambda x: ModelOutput(logits=x, hidden=None), lambda box: box.logits),
    ],
    ids=["dict", "tuple", "list", "named tuple", "model output"],
)
def test_containers_are_seen_through(wrap: Any, unwrap: Any) -> None:
    plain, inputs = ConvNet(), pictures()
    capture = asked(Wrapped(plain, wrap, unwrap), inputs, Wants(activations=("boxed",), gradients=("boxed",)))
    expected = asked(plain, inputs)
    assert torch.equal(capture.outputs, expected.outputs)
    assert torch.equal(capture.activations["boxed"], expected.activations["body"])
    assert torch.equal(capture.gradients["boxed"], expected.gradients["body"])


def test_an_object_with_logits_is_understood() -> None:
    @dataclass
    class Output:
        logits: Tensor

    model, inputs = ConvNet(), pictures()
    model.register_forward_hook(lambda module, args, output: Output(output))
    assert torch.equal(Adapter(model, inputs).outputs(Output(torch.ones(2, 3))), torch.ones(2, 3))


@pytest.mark.parametrize(
    ("answer", "code"),
    [({"features": torch.ones(2, 3)}, "SW-M01"), ("text", "SW-M01"), ((), "SW-M01"), (torch.ones(2, 3, 4), "SW-M02")],
)
def test_outputs_without_logits_are_named(answer: Any, code: str) -> None:
    adapter = Adapter(ConvNet(), pictures())
    with pytest.raises(ModelError, match=code):
        adapter.outputs(answer)


def test_a_model_that_loses_records_is_named() -> None:
    class FirstOnly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = ConvNet()

        def forward(self, image: Tensor) -> Tensor:
            return self.inner(image)[:1]

    inputs = pictures()
    with pytest.raises(ModelError, match="SW-M08"):
        asked(FirstOnly(), inputs, Wants())


class Squeezing(ConvNet):
    """Pools and squeezes, so that a single record loses its batch axis."""

    def forward(self, image: Tensor) -> Tensor:
        return self.head(nn.functional.adaptive_avg_pool2d(self.body(self.stem(image)), 1).squeeze())


def test_a_last_batch_of_one_record_keeps_its_axes() -> None:
    model, inputs = Squeezing(), pictures(3)
    probe = Probe(Adapter(model, inputs), [Logit(1)])
    whole = probe.capture(inputs, BODY)
    last = probe.capture({"image": inputs["image"][2:]}, BODY)
    assert last.embedding is not None
    assert tuple(last.embedding.shape) == (1, 6)
    torch.testing.assert_close(last.outputs, whole.outputs[2:], rtol=0, atol=1e-6)
    torch.testing.assert_close(last.gradients["body"], whole.gradients["body"][:, 2:], rtol=0, atol=1e-7)


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = ConvNet()

    def forward(self, fluid: Tensor, mnv: Tensor) -> Tensor:
        return self.inner(torch.cat([fluid[:, :1], mnv[:, 1:]], dim=1))


def test_several_inputs_are_passed_by_the_names_the_model_knows() -> None:
    model, fluid, mnv = TwoInputs(), torch.randn(2, 2, 8, 8), torch.randn(2, 2, 8, 8)
    wants = Wants(gradients=("inner.body",))
    in_order = asked(model, {"fluid": fluid, "mnv": mnv}, wants)
    swapped = asked(model, {"mnv": mnv, "fluid": fluid}, wants)
    assert torch.equal(in_order.outputs, swapped.outputs)
    assert torch.equal(
        in_order.outputs, asked(model.inner, {"image": torch.cat([fluid[:, :1], mnv[:, 1:]], 1)}).outputs
    )
    unknown_names = asked(model, {"first": fluid, "second": mnv}, wants)
    assert torch.equal(in_order.outputs, unknown_names.outputs)
