"""Where the logits are in what a model returns, and the one tensor in what a layer puts out."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.core import Wants
from seewhy.models.adapter import Adapter
from seewhy.models.outputs import described, rebuilt, selected, sole_tensor
from seewhy.targets import Logit
from seewhy.values import LayerError, ModelError
from toys import ConvNet

LOGITS, OTHER = torch.tensor([[1.0, 2.0]]), torch.zeros(1, 7)


@dataclass
class Answer:
    features: Tensor
    logits: Tensor


@dataclass
class Unnamed:
    features: Tensor
    scores: Tensor


Pair = namedtuple("Pair", ["logits", "extra"])


@pytest.mark.parametrize(
    "answer",
    [
        LOGITS,
        {"aux": OTHER, "logits": LOGITS},
        {"aux": OTHER, "out": LOGITS},
        OrderedDict(prediction=LOGITS, aux=OTHER),
        (LOGITS, OTHER),
        [LOGITS],
        Answer(OTHER, LOGITS),
        Pair(LOGITS, OTHER),
        SimpleNamespace(logits=LOGITS, hidden=OTHER),
    ],
)
def test_known_places_of_logits_are_found(answer: Any) -> None:
    assert selected(answer) is LOGITS


@pytest.mark.parametrize(
    ("answer", "selector"),
    [
        ({"a": OTHER, "b": LOGITS}, "b"),
        ((OTHER, LOGITS), 1),
        ((OTHER, LOGITS), -1),
        (Unnamed(OTHER, LOGITS), "scores"),
        (SimpleNamespace(scores=LOGITS), "scores"),
        ({"nested": [OTHER, {"deep": LOGITS}]}, lambda answer: answer["nested"][1]["deep"]),
    ],
)
def test_a_selector_says_where_they_are(answer: Any, selector: Any) -> None:
    assert selected(answer, selector) is LOGITS


@pytest.mark.parametrize(
    ("answer", "selector", "code", "told"),
    [
        ({"feats": OTHER, "kind": "x"}, None, "SW-M01", "'feats' (1, 7), 'kind' str"),
        (Unnamed(OTHER, LOGITS), None, "SW-M01", "'features' (1, 7), 'scores' (1, 2)"),
        ("text", None, "SW-M01", "str with no entries"),
        ([], None, "SW-M01", "list with no entries"),
        ([{"boxes": OTHER}], None, "SW-M01", "0 dict"),
        ({"a": 1, "b": LOGITS}, "a", "SW-M11", "int"),
        (LOGITS, lambda answer: None, "SW-M11", "NoneType"),
        ({"scores": LOGITS}, "score", "SW-M12", "'scores' (1, 2)"),
        ((OTHER, LOGITS), 2, "SW-M12", "tuple with 0 (1, 7), 1 (1, 2)"),
    ],
)
def test_what_cannot_be_found_is_told_with_what_is_there(answer: Any, selector: Any, code: str, told: str) -> None:
    with pytest.raises(ModelError) as caught:
        selected(answer, selector)
    assert caught.value.code == code
    assert told in caught.value.message
    assert "output_selector" in str(caught.value)


def test_the_fix_names_an_entry_that_could_be_it() -> None:
    with pytest.raises(ModelError, match=r"output_selector='feats'"):
        selected({"kind": 3, "feats": OTHER})


class Two(nn.Module):
    """Answers with features and scores under names nobody knows."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = ConvNet()

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {"features": image.mean(dim=(2, 3)), "scores": self.inner(image)}


def test_an_adapter_asks_about_the_selected_entry() -> None:
    model, inputs = Two().eval(), {"image": torch.randn(3, 2, 16, 16)}
    with torch.no_grad():
        expected = model.inner(inputs["image"])[:, 2]
    for selector in ("scores", 1, lambda answer: answer["scores"]):
        score = Probe(Adapter(model, inputs, output_selector=selector), [Logit(2)]).score(inputs)
        assert torch.equal(score[0], expected)


class Segments(ConvNet):
    def forward(self, image: Tensor) -> Tensor:
        return self.body(self.stem(image))


def test_a_map_of_outputs_needs_a_selector_that_reduces_it() -> None:
    model, inputs = Segments().eval(), {"image": torch.randn(2, 2, 16, 16)}
    with pytest.raises(ModelError, match="SW-M02") as caught:
        Adapter(model, inputs)
    assert "output_selector" in caught.value.fix
    adapter = Adapter(model, inputs, output_selector=lambda maps: maps.mean(dim=(2, 3)))
    with torch.no_grad():
        expected = model(inputs["image"]).mean(dim=(2, 3))[:, 4]
    assert torch.equal(Probe(adapter, [Logit(4)]).score(inputs)[0], expected)


def test_features_of_a_headless_answer_are_found_by_their_usual_names() -> None:
    class Encoder(ConvNet):
        def forward(self, image: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
            maps = self.body(self.stem(image))
            return {"last_hidden_state": maps, "pooler_output": maps.mean(dim=(2, 3)) + 1}

    model, inputs = Encoder().eval(), {"image": torch.randn(2, 2, 16, 16)}
    outputs = Probe(Adapter(model, inputs, headless=True), []).capture(inputs, Wants()).outputs
    with torch.no_grad():
        assert torch.equal(outputs, model(inputs["image"])["pooler_output"])


# Layers --------------------------------------------------------------------------------------------------------------


class Boxed(ConvNet):
    """Wraps the body's output and whatever ``extra`` makes of it."""

    def __init__(self, wrap: Callable[[Tensor], Any], unwrap: Callable[[Any], Tensor]) -> None:
        super().__init__()
        self.box, self.unwrap = Box(wrap), unwrap

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.unwrap(self.box(self.body(self.stem(image)))).mean(dim=(2, 3)))


class Box(nn.Module):
    def __init__(self, wrap: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.wrap = wrap

    def forward(self, x: Tensor) -> Any:
        return self.wrap(x * 1.0)


@dataclass
class Boxes:
    maps: Tensor
    kind: str = "maps"


@pytest.mark.parametrize(
    ("wrap", "unwrap"),
    [
        (lambda x: (x, "extra"), lambda box: box[0]),
        (lambda x: {"kind": 1, "maps": x}, lambda box: box["maps"]),
        (Boxes, lambda box: box.maps),
        (lambda x: Pair(x, None), lambda box: box.logits),
    ],
    ids=["tuple", "dict", "dataclass", "named tuple"],
)
def test_the_only_tensor_of_a_layer_is_explained_and_edited(wrap: Any, unwrap: Any) -> None:
    model, inputs = Boxed(wrap, unwrap).eval(), {"image": torch.randn(2, 2, 16, 16)}
    adapter = Adapter(model, inputs)
    assert adapter.target_layer.layer == "box"
    capture = Probe(adapter, [Logit(1)]).capture(inputs, Wants(("box",), ("box",)))
    plain = Probe(adapter, [Logit(1)]).capture(inputs, Wants(("body",), ("body",)))
    assert torch.equal(capture.activations["box"], plain.activations["body"])
    assert torch.equal(capture.gradients["box"], plain.gradients["body"])
    zeroed = Probe(adapter, [Logit(1)]).score(inputs, edit={"box": torch.zeros_like})
    torch.testing.assert_close(zeroed[0], model.head.bias[1].expand(2), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("wrap", "told"),
    [
        (lambda x: (x, x + 1), "tuple with 0 (2, 6, 8, 8), 1 (2, 6, 8, 8)"),
        (lambda x: {"maps": x, "gate": x.mean()}, "dict with 'maps' (2, 6, 8, 8), 'gate' ()"),
        (lambda x: {"nested": [x]}, "dict with 'nested' list"),
    ],
)
def test_a_layer_with_a_choice_of_tensors_is_told_with_its_keys(wrap: Any, told: str) -> None:
    def unwrap(box: Any) -> Tensor:
        held = next(iter(box.values())) if isinstance(box, dict) else box[0]
        return held[0] if isinstance(held, list) else held

    model, inputs = Boxed(wrap, unwrap).eval(), {"image": torch.randn(2, 2, 16, 16)}
    adapter = Adapter(model, inputs)
    assert adapter.target_layer.layer == "body"
    for ask in (
        lambda: adapter.grid("box"),
        lambda: Probe(adapter, [Logit()]).capture(inputs, Wants(embedding="box")),
        lambda: Probe(adapter, [Logit()]).score(inputs, edit={"box": torch.zeros_like}),
    ):
        with pytest.raises(LayerError, match="SW-L12") as caught:
            ask()
        assert told in caught.value.message


def test_containers_are_taken_apart_and_put_together() -> None:
    assert sole_tensor({"a": LOGITS, "b": None}) is LOGITS
    assert sole_tensor((LOGITS, OTHER)) is None
    assert sole_tensor("text") is None
    assert described(Pair(LOGITS, None)) == "Pair with 0 (1, 2), 1 NoneType"
    assert rebuilt(Pair(LOGITS, None), {0: OTHER, 1: None}) == Pair(OTHER, None)
    assert rebuilt([1, 2], {0: 3, 1: 4}) == [3, 4]
    assert rebuilt(Boxes(LOGITS, "x"), {"maps": OTHER, "kind": "x"}).kind == "x"
