"""What one pass holds, and how layers are named in a question."""

from __future__ import annotations

import pytest
import torch
from asking import Shared, asked, pictures

from seewhy.capture.probe import Probe
from seewhy.core import Wants
from seewhy.models.adapter import Adapter
from seewhy.targets import EmbeddingNorm, Logit, Probability
from seewhy.values import LayerError, TargetError
from toys import ConvNet


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


@pytest.mark.parametrize(("wrong", "near"), [("boddy", "body"), ("stem.7", "stem.0"), ("Head", "head")])
def test_a_wrong_name_is_answered_with_near_ones(wrong: str, near: str) -> None:
    inputs = pictures()
    probe = Probe(Adapter(ConvNet(), inputs), [Logit()])
    for wants in (Wants(gradients=(wrong,)), Wants(activations=(wrong,)), Wants(embedding=wrong)):
        with pytest.raises(LayerError, match="SW-L01") as caught:
            probe.capture(inputs, wants)
        assert near in caught.value.near


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


def test_the_union_of_wants_serves_both() -> None:
    one = Wants(activations=("a", "b"), gradients=("a",), heads_of=(3,))
    other = Wants(activations=("b", "c"), attention=True, heads_of=(3, 1), embedding="fc.input")
    assert one | other == Wants(("a", "b", "c"), ("a",), attention=True, heads_of=(3, 1), embedding="fc.input")


def test_wants_that_cannot_be_served_are_named() -> None:
    with pytest.raises(TargetError, match="SW-T05"):
        Wants(embedding="a") | Wants(embedding="b")
    with pytest.raises(TargetError, match="SW-T07"):
        Wants(attention=True, heads_of=(-1,))
