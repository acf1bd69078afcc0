"""Perturbation methods keep their promises: chunks, seeds, records, targets, memory, the frozen class, and refusals."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import seewhy.methods  # noqa: F401  (importing the room registers every method)
from seewhy.capture.probe import Probe
from seewhy.core import Explanation, Inputs, Target
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit, Probability
from seewhy.values import ConfigError, MissingExtraError, SeewhyError
from toys import ConvNet, GapLinear, Vit

FEW: dict[str, dict[str, Any]] = {
    "rise": {"num_masks": 21},
    "lime": {"num_samples": 60, "segments": 10},
    "kernel_shap": {"num_samples": 60, "segments": 10},
    "occlusion": {"window": 5, "stride": 3},
    "scorecam": {},
    "ablationcam": {"layer": "stem"},
}
SAMPLED = ["rise", "lime", "kernel_shap"]


def explained(
    name: str, model: nn.Module, inputs: Inputs, targets: tuple[Target, ...] = (Logit(0), Logit(2)), **settings: Any
) -> Explanation:
    given = FEW[name] | settings
    return Asked(name, given.pop("layer", None), given)(Probe(Adapter(model, inputs), targets), inputs)


def pictures(records: int = 3) -> Inputs:
    return {"image": torch.randn(records, 2, 12, 15)}


@pytest.mark.parametrize("name", FEW)
def test_the_size_of_a_chunk_changes_nothing(name: str) -> None:
    model, inputs = ConvNet(2), pictures()
    straight = explained(name, model, inputs).maps["image"]
    for chunk_size in (1, 2, 7, 1000):
        chunked = explained(name, model, inputs, chunk_size=chunk_size).maps["image"]
        assert (chunked - straight).abs().max() <= 1e-5 * max(1.0, float(straight.abs().max()))


@contextmanager
def rows_seen(model: nn.Module) -> Iterator[list[int]]:
    """The batch size of every forward."""
    rows: list[int] = []
    handle = model.register_forward_hook(lambda module, args, output: rows.append(len(args[0])))
    try:
        yield rows
    finally:
        handle.remove()


@pytest.mark.parametrize("name", ["rise", "lime", "kernel_shap", "occlusion", "scorecam"])
def test_no_pass_is_larger_than_a_chunk_and_targets_share_them(name: str) -> None:
    model, inputs = ConvNet(2), pictures()
    probe = Probe(Adapter(model, inputs), [Logit(0)])
    asked = Asked(name, settings=FEW[name] | {"chunk_size": 6})
    with rows_seen(model) as for_one:
        asked(probe, inputs)
    with rows_seen(model) as for_three:
        asked(probe.asking([Logit(0), Logit(1), Logit()]), inputs)
    assert max(for_one) == 6
    assert for_three == for_one


@pytest.mark.parametrize("name", SAMPLED)
def test_a_seed_decides_the_draws_and_another_changes_them(name: str) -> None:
    model, inputs = Vit((12, 16)), {"image": torch.randn(2, 2, 12, 16)}
    first = explained(name, model, inputs, seed=1).maps["image"]
    torch.rand(3)
    assert torch.equal(explained(name, model, inputs, seed=1).maps["image"], first)
    assert not torch.allclose(explained(name, model, inputs, seed=2).maps["image"], first, rtol=1e-3)


@pytest.mark.parametrize("name", FEW)
def test_the_class_is_settled_on_the_clean_picture(name: str) -> None:
    """Asked about "the predicted class", the answer is that about the class it was."""
    model, inputs = ConvNet(2, classes=5), {"image": 4 * torch.randn(4, 2, 12, 15)}
    model.head.weight.data *= 30
    with torch.no_grad():
        predicted = model.eval()(inputs["image"]).argmax(dim=1).tolist()
    free = explained(name, model, inputs, (Logit(),))
    fixed = explained(name, model, inputs, (Logit(tuple(predicted)),))
    assert torch.equal(free.maps["image"], fixed.maps["image"])


def test_rise_asks_for_the_probability_of_a_logit_and_leaves_a_single_output_as_it_is() -> None:
    model, inputs = ConvNet(2), pictures()
    logit, probability = (explained("rise", model, inputs, (target,)) for target in (Logit(1), Probability(1)))
    assert torch.equal(logit.maps["image"], probability.maps["image"])
    assert (logit.facts["score"], probability.facts["score"]) == ("probability", "as asked")
    single = explained("rise", ConvNet(2, classes=1), inputs, (Logit(0),))
    assert single.facts["score"] == "as asked"
    asked = explained("rise", ConvNet(2, classes=1), inputs, (Logit(0),), probability=False)
    assert asked.maps["image"].shape == single.maps["image"].shape


def test_scorecam_does_not_see_what_is_added_to_every_score() -> None:
    """The paper's baseline: a softmax over channels does not know it."""
    model, inputs = ConvNet(2).double(), {"image": torch.randn(2, 2, 12, 15, dtype=torch.float64)}
    before = explained("scorecam", model, inputs).maps["image"]
    with torch.no_grad():
        model.head.bias.add_(3.0)
    torch.testing.assert_close(explained("scorecam", model, inputs).maps["image"], before, rtol=0, atol=1e-12)


def test_scorecam_of_constant_channels_is_zero_and_asks_nothing() -> None:
    model, inputs = GapLinear(2), pictures(2)
    torch.nn.init.zeros_(model.conv.weight)
    torch.nn.init.ones_(model.conv.bias)
    found = explained("scorecam", model, inputs, layer="conv")
    assert found.facts["masks"] == 0
    assert torch.equal(found.maps["image"], torch.zeros(2, 2, 12, 15))


def test_ablationcam_says_how_it_was_computed() -> None:
    inputs = pictures(1)
    assert explained("ablationcam", ConvNet(2), inputs, layer="body").facts["tail"] == "closed form"
    assert explained("ablationcam", ConvNet(2), inputs, layer="stem").facts["tail"] == "layer to output"
    assert explained("ablationcam", Joined(), inputs, layer="side").facts["tail"] == "whole model"


class Joined(nn.Module):
    """What lies behind ``side`` is joined with what lay before it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.side, self.head = nn.Conv2d(2, 3, 3), nn.Conv2d(3, 4, 3, padding=1), nn.Linear(7, 3)

    def forward(self, image: Tensor) -> Tensor:
        stem = self.stem(image)
        joined = torch.cat([stem, self.side(stem)], dim=1)
        return self.head(joined.flatten(2).mean(dim=2))


def test_ablationcam_is_the_same_on_a_model_whose_tail_cannot_be_run_alone() -> None:
    """Joined or not, a linear head on means loses its weights times the means."""
    model, inputs = Joined(), pictures(2)
    found = explained("ablationcam", model, inputs, (Logit(1),), layer="side", relative=False)
    with torch.no_grad():
        side = model.side(model.stem(inputs["image"]))
        lost = model.head.weight[1, 3:] * side.mean(dim=(2, 3))
    torch.testing.assert_close(found.maps["image"][0], torch.einsum("bc,bchw->bhw", lost, side), rtol=1e-4, atol=1e-6)


def test_ablationcam_refuses_to_divide_by_a_score_of_zero() -> None:
    model, inputs = GapLinear(2), pictures(2)
    with torch.no_grad():
        model.fc.weight[1], model.fc.bias[1] = 0, 0
    with pytest.raises(ConfigError, match="SW-F54"):
        explained("ablationcam", model, inputs, (Logit(0), Logit(1)), layer="conv")
    drops = explained("ablationcam", model, inputs, (Logit(1),), layer="conv", relative=False)
    assert torch.equal(drops.maps["image"], torch.zeros(1, 2, 12, 15))


@pytest.mark.parametrize("name", ["occlusion", "kernel_shap"])
def test_on_channels_without_contrast_nothing_is_hidden_by_their_mean(name: str) -> None:
    inputs = {"image": torch.tensor([2.0, -3.0]).reshape(1, 2, 1, 1).expand(1, 2, 12, 15).clone()}
    model = ConvNet(2)
    assert explained(name, model, inputs, value=0.0).maps["image"].abs().max() > 1e-3
    assert explained(name, model, inputs, value="mean").maps["image"].abs().max() < 1e-5


class TwoPictures(nn.Module):
    """Two branches of different size, and a number beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.head = nn.Conv2d(2, 3, 3), nn.Conv2d(1, 3, 3), nn.Linear(7, 2)

    def forward(self, left: Tensor, right: Tensor, age: Tensor) -> Tensor:
        means = [branch.flatten(2).mean(dim=2) for branch in (self.left(left), self.right(right))]
        return self.head(torch.cat([*means, age], dim=1))


@pytest.mark.parametrize("name", ["rise", "occlusion", "lime", "kernel_shap"])
def test_of_several_inputs_each_is_covered_while_the_others_stay(name: str) -> None:
    model = TwoPictures()
    inputs = {"left": torch.randn(2, 2, 12, 15), "right": torch.randn(2, 1, 16, 12), "age": torch.randn(2, 1)}
    both = explained(name, model, inputs, (Logit(0),))
    assert {input_name: tuple(maps.shape[2:]) for input_name, maps in both.maps.items()} == {
        "left": (12, 15), "right": (16, 12),
    }  # fmt: skip

    class LeftOnly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, left: Tensor) -> Tensor:
            return self.inner(
                left, inputs["right"][:1].expand(len(left), -1, -1, -1), inputs["age"][:1].expand(len(left), 1)
            )

    alone = explained(name, LeftOnly(), {"left": inputs["left"][:1]}, (Logit(0),))
    torch.testing.assert_close(both.maps["left"][:, :1], alone.maps["left"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "numpys", "plain"),
    [
        ("rise", {"num_masks": np.int64(5), "keep": np.float32(0.5)}, {"num_masks": 5, "keep": 0.5}),
        ("occlusion", {"window": np.int64(4), "stride": (np.int32(4), 3)}, {"window": 4, "stride": (4, 3)}),
        ("occlusion", {"value": np.float32(0.25)}, {"value": 0.25}),
        ("occlusion", {"value": np.int64(1)}, {"value": 1}),
        ("scorecam", {"chunk_size": np.int64(2)}, {"chunk_size": 2}),
    ],
)
def test_numbers_of_numpy_are_numbers(name: str, numpys: dict[str, Any], plain: dict[str, Any]) -> None:
    model, inputs = ConvNet(2), pictures()
    found, expected = explained(name, model, inputs, **numpys), explained(name, model, inputs, **plain)
    assert torch.equal(found.maps["image"], expected.maps["image"])


WRONG = [
    ("rise", {"num_masks": 0}, "SW-F50"),
    ("rise", {"cells": 2.5}, "SW-F50"),
    ("rise", {"chunk_size": True}, "SW-F50"),
    ("rise", {"num_masks": np.float64(4)}, "SW-F50"),
    ("rise", {"value": True}, "SW-F55"),
    ("rise", {"keep": 1.0}, "SW-F51"),
    ("rise", {"keep": "half"}, "SW-F51"),
    ("scorecam", {"chunk_size": -1}, "SW-F50"),
    ("ablationcam", {"chunk_size": 0}, "SW-F50"),
    ("occlusion", {"window": 0}, "SW-F52"),
    ("occlusion", {"window": (3, 3, 3)}, "SW-F52"),
    ("occlusion", {"stride": 1.5}, "SW-F52"),
    ("occlusion", {"window": True}, "SW-F52"),
    ("occlusion", {"window": 2, "stride": 3}, "SW-F53"),
    ("occlusion", {"value": "maen"}, "SW-F41"),
    ("rise", {"value": float("nan")}, "SW-F55"),
    ("lime", {"value": "black"}, "SW-F40"),
    ("lime", {"ridge": -1.0}, "SW-F51"),
    ("lime", {"kernel_width": 0.0}, "SW-F51"),
    ("lime", {"compactness": 0.0}, "SW-F51"),
    ("kernel_shap", {"segments": 0}, "SW-F50"),
    ("kernel_shap", {"num_samples": 3}, "SW-F57"),
]


@pytest.mark.parametrize(("name", "settings", "code"), WRONG, ids=lambda value: str(value))
def test_a_wrong_setting_is_refused_before_the_model_runs(name: str, settings: dict[str, Any], code: str) -> None:
    model, inputs = (
        ConvNet(2),
        {"image": torch.randn(2, 2, 3, 4).repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)},
    )
    given = FEW[name] | settings
    asked, probe = Asked(name, given.pop("layer", None), given), Probe(Adapter(model, inputs), [Logit(0)])
    with rows_seen(model) as rows, pytest.raises(SeewhyError) as refused:
        asked(probe, inputs)
    assert refused.value.code == code
    assert refused.value.fix
    assert rows == []


@pytest.mark.parametrize("name", ["lime", "kernel_shap"])
def test_superpixels_are_of_pictures_only(name: str) -> None:
    inputs = {"image": torch.randn(2, 2, 6, 9, 7)}
    with pytest.raises(ConfigError, match="SW-F56"):
        explained(name, ConvNet(3), inputs)


@pytest.mark.parametrize(("module", "package"), [("skimage.segmentation", "scikit-image"), ("captum.attr", "captum")])
def test_a_missing_extra_names_what_to_install(module: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError) as missing:
        explained("kernel_shap", ConvNet(2), pictures())
    assert missing.value.package == package
    assert "seewhy[captum]" in missing.value.fix
