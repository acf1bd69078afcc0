"""The gateway to a model: names, calls, containers, wrappers, edits, modes, threads and precision."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from borrowed import unchanged
from seewhy.capture.probe import Probe
from seewhy.core import Capture, Wants
from seewhy.methods.cam import gradcam
from seewhy.models.adapter import Adapter
from seewhy.targets import EmbeddingNorm, Logit, Probability
from seewhy.values import LayerError, ModelError, TargetError
from toys import ConvNet, Vit

BODY = Wants(activations=("body",), gradients=("body",), embedding="head.input")


def pictures(records: int = 3) -> dict[str, Tensor]:
    return {"image": torch.randn(records, 2, 16, 16)}


def asked(model: nn.Module, inputs: dict[str, Tensor], wants: Wants = BODY, **settings: Any) -> Capture:
    return Probe(Adapter(model, inputs, **settings), [Logit(1)]).capture(inputs, wants)


def assert_same(one: Capture, other: Capture, tolerance: float = 0.0) -> None:
    pairs = [(one.outputs, other.outputs), (one.scores, other.scores), (one.embedding, other.embedding)]
    pairs += [(one.gradients[name], other.gradients[name]) for name in one.gradients]
    pairs += [(one.activations[name], other.activations[name]) for name in one.activations]
    for mine, theirs in pairs:
        torch.testing.assert_close(mine, theirs, rtol=0, atol=tolerance)


def test_one_pass_holds_what_the_model_computes() -> None:
    model, inputs = ConvNet().eval(), pictures()
    capture = asked(model, inputs)
    with torch.no_grad():
        body = model.body(model.stem(inputs["image"]))
        assert torch.equal(capture.activations["body"], body)
        assert capture.embedding is not None
        assert torch.equal(capture.embedding, body.flatten(2).mean(dim=2))
        assert torch.equal(capture.outputs, model(inputs["image"]))
    assert torch.equal(capture.scores[0], capture.outputs[:, 1])


def test_score_equals_the_outputs_asked_about() -> None:
    model, inputs = ConvNet().eval(), pictures()
    probe = Probe(Adapter(model, inputs), [Logit(), Logit(2), Probability(0), EmbeddingNorm()])
    with torch.no_grad():
        outputs = model(inputs["image"])
    expected = [outputs.amax(dim=1), outputs[:, 2], outputs.softmax(dim=1)[:, 0], outputs.square().sum(dim=1).sqrt()]
    torch.testing.assert_close(probe.score(inputs), torch.stack(expected))


@pytest.mark.parametrize(
    ("target", "code"),
    [(Logit(3), "SW-T01"), (Logit(-1), "SW-T01"), (Logit((0, 1)), "SW-T02"), (Logit(rank=3), "SW-T03")],
)
def test_a_question_that_does_not_fit_is_named(target: Logit, code: str) -> None:
    inputs = pictures()
    with pytest.raises(TargetError, match=code):
        Probe(Adapter(ConvNet(), inputs), [target]).score(inputs)


# Names and calls -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wrong", "near"), [("boddy", "body"), ("stem.7", "stem.0"), ("Head", "head")])
def test_a_wrong_name_is_answered_with_near_ones(wrong: str, near: str) -> None:
    inputs = pictures()
    probe = Probe(Adapter(ConvNet(), inputs), [Logit()])
    for wants in (Wants(gradients=(wrong,)), Wants(activations=(wrong,)), Wants(embedding=wrong)):
        with pytest.raises(LayerError, match="SW-L01") as caught:
            probe.capture(inputs, wants)
        assert near in caught.value.near


class Shared(nn.Module):
    """One activation module used after each of two convolutions, and one convolution that never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.relu, self.unused, self.fc = nn.ReLU(inplace=True), nn.Conv2d(4, 4, 1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.relu(self.second(self.relu(self.first(x)))).flatten(2).mean(dim=2))


def test_each_call_of_a_shared_module_is_addressed_by_number() -> None:
    model, inputs = Shared(), pictures()
    layers = ("relu", "relu#0", "relu#1")
    capture = asked(model, inputs, Wants(activations=layers, gradients=layers))
    with torch.no_grad():
        first = model.first(inputs["image"]).relu()
        second = model.second(first).relu()
    assert torch.equal(capture.activations["relu"], first)
    assert torch.equal(capture.activations["relu#0"], first)
    assert torch.equal(capture.activations["relu#1"], second)
    weight = model.fc.weight[1].detach() / second[0, 0].numel()
    expected = weight[None, :, None, None].expand_as(second)
    torch.testing.assert_close(capture.gradients["relu#1"][0], expected, rtol=0, atol=1e-8)


def test_a_call_too_many_is_named() -> None:
    with pytest.raises(LayerError, match="runs 2 times") as caught:
        asked(Shared(), pictures(), Wants(gradients=("relu#2",)))
    assert caught.value.code == "SW-L08"


def test_a_layer_that_does_not_run_is_named() -> None:
    for wants in (Wants(gradients=("unused",)), Wants(embedding="unused"), Wants(embedding="unused.input")):
        with pytest.raises(LayerError, match="was not reached") as caught:
            asked(Shared(), pictures(), wants)
        assert caught.value.code == "SW-L07"


def test_an_input_side_is_read_as_an_embedding_and_refused_for_maps() -> None:
    model, inputs = Shared(), pictures()
    capture = asked(model, inputs, Wants(embedding="second.input"))
    with torch.no_grad():
        expected = model.first(inputs["image"]).relu().flatten(2).mean(dim=2)
    assert capture.embedding is not None
    torch.testing.assert_close(capture.embedding, expected, rtol=0, atol=1e-7)
    with pytest.raises(LayerError, match="SW-L14"):
        asked(model, inputs, Wants(gradients=("second.input",)))


# Containers and arguments --------------------------------------------------------------------------------------------


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


# Wrappers, modes and precision ---------------------------------------------------------------------------------------


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


# Edits and threads ---------------------------------------------------------------------------------------------------


def test_an_edit_replaces_a_layers_output() -> None:
    model, inputs = ConvNet().eval(), pictures()
    probe = Probe(Adapter(model, inputs), [Logit(2)])
    with torch.no_grad():
        ablated = model.head(torch.zeros(3, 6))[:, 2]
        doubled = model.head(2 * model.body(model.stem(inputs["image"])).flatten(2).mean(dim=2))[:, 2]
    assert torch.equal(probe.score(inputs, edit={"body": torch.zeros_like})[0], ablated)
    torch.testing.assert_close(probe.score(inputs, edit={"body": lambda x: 2 * x})[0], doubled, rtol=0, atol=1e-6)
    capture = probe.capture(inputs, Wants(activations=("body",), gradients=("body",)), edit={"body": torch.zeros_like})
    assert not capture.activations["body"].any()
    assert torch.equal(capture.scores[0], ablated)


def test_an_edit_changes_the_call_it_names_only() -> None:
    model, inputs = Shared().eval(), pictures()
    probe = Probe(Adapter(model, inputs), [Logit(0)])
    with torch.no_grad():
        second = model.second(model.first(inputs["image"]).relu()).relu() + 1
        expected = model.fc(second.flatten(2).mean(dim=2))[:, 0]
    torch.testing.assert_close(probe.score(inputs, edit={"relu#1": lambda x: x + 1})[0], expected, rtol=0, atol=1e-6)


def test_an_edit_that_cannot_take_effect_is_an_error() -> None:
    inputs = pictures()
    probe = Probe(Adapter(Shared(), inputs), [Logit(0)])
    for name, code in (("unused", "SW-L07"), ("relu#2", "SW-L07"), ("fc.input", "SW-L14"), ("fcc", "SW-L01")):
        with pytest.raises(LayerError, match=code):
            probe.score(inputs, edit={name: torch.zeros_like})


def test_two_threads_on_one_model_equal_one_after_the_other() -> None:
    model = ConvNet().train()
    batches = [pictures(1) for _ in range(40)]
    probe = Probe(Adapter(model, batches[0]), [Logit(), Logit(0)])
    serial = [probe.capture(batch, BODY) for batch in batches]
    with unchanged(model), ThreadPoolExecutor(2) as threads:
        parallel = list(threads.map(lambda batch: probe.capture(batch, BODY), batches))
    for one, other in zip(serial, parallel, strict=True):
        assert_same(one, other)


# Wants ---------------------------------------------------------------------------------------------------------------


def test_the_union_of_wants_serves_both() -> None:
    one = Wants(activations=("a", "b"), gradients=("a",), heads_of=(3,))
    other = Wants(activations=("b", "c"), attention=True, heads_of=(3, 1), embedding="fc.input")
    assert one | other == Wants(("a", "b", "c"), ("a",), attention=True, heads_of=(3, 1), embedding="fc.input")


def test_wants_that_cannot_be_served_are_named() -> None:
    with pytest.raises(TargetError, match="SW-T05"):
        Wants(embedding="a") | Wants(embedding="b")
    with pytest.raises(TargetError, match="SW-T07"):
        Wants(attention=True, heads_of=(-1,))
