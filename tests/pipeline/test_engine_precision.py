"""What a lower precision costs is told from the first records, and only where there is one."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pipeline_samples import Pictures, conv_net, ids, image_of, vit
from torch import Tensor, nn

import seewhy
from seewhy.data.custom import CustomDataset
from seewhy.pipeline.job import Job, prepare
from seewhy.pipeline.precision_check import Comparison, precision_note
from seewhy.pipeline.settings import Settings


def job(model: nn.Module, count: int = 10, **asked: Any) -> Job:
    faults = asked.pop("faults", None)
    data = Pictures(ids(count), faults=faults)
    return prepare(model, CustomDataset(data), Settings.of(precision="bf16", **asked))


def test_equal_maps_correlate_fully_and_reversed_ones_not_at_all() -> None:
    found = Comparison()
    rising = torch.arange(4.0).reshape(1, 2, 2)
    found.add("map", torch.cat([rising, rising]), torch.cat([2 * rising, -rising]))
    assert found.correlations == {"map": pytest.approx([1.0, -1.0])}


def test_swapping_two_neighbours_of_four_costs_a_fifth() -> None:
    found = Comparison(records=1)
    found.add("map", torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[1.0, 3.0, 2.0, 4.0]]))
    assert found.correlations["map"] == pytest.approx([1 - 6 * 2 / (4 * 15)])  # Spearman 1904: 1 - 6 Σd² / n(n² - 1)
    assert "map: rank correlation 0.800 (median of 1 maps), 0.800 (lowest)" in found.told("bf16")


def test_constant_maps_have_no_correlation_and_are_told_apart_from_broken_ones() -> None:
    found = Comparison(records=1)
    rising = torch.arange(4.0).reshape(1, 4)
    found.add("map", torch.zeros(1, 4), rising)
    found.add("map", rising, torch.full((1, 4), math.inf))
    told = found.told("16")
    assert found.correlations == {}
    assert "1 pairs of maps are constant, so their correlation is undefined" in told
    assert "1 pairs of maps hold values that are not finite" in told


def test_a_run_in_32_bits_says_nothing_and_asks_nothing() -> None:
    net = conv_net()
    asked = prepare(net, CustomDataset(Pictures(ids(3))), Settings.of())
    handle = net.register_forward_hook(lambda *_: pytest.fail("the model was asked"))
    assert precision_note(asked) == {}
    handle.remove()


@pytest.mark.parametrize(("net", "kinds"), [(conv_net, ["Grad-CAM"]), (vit, ["Grad-CAM", "rollout"])])
def test_the_first_eight_records_are_compared_map_by_map(net: Any, kinds: list[str]) -> None:
    told = precision_note(job(net(), target_classes=[0, 1]))["precision"]
    assert told.startswith("bf16; against 32 bits, on the first 8 records: ")
    assert "Grad-CAM: rank correlation" in told
    assert "(median of 16 maps)" in told
    assert [kind for kind in ("Grad-CAM", "rollout") if f"{kind}: " in told] == kinds
    assert "the predicted class is the same for" in told
    assert told == precision_note(job(net(), target_classes=[0, 1]))["precision"]


class Rounds(nn.Module):
    """Puts out the class it is told to where autocast is on, and class 0 otherwise; its map does not change."""

    def __init__(self, wrong: set[str]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=1)
        self.wrong = [image_of(name) for name in wrong]

    def forward(self, image: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            outputs = self.conv(image.float()).mean(dim=(2, 3))
        shift = torch.tensor([[100.0, 0.0, 0.0]]).repeat(len(image), 1)
        if torch.is_autocast_enabled("cpu"):
            for row, one in enumerate(image):
                if any(torch.equal(one.detach(), known) for known in self.wrong):
                    shift[row] = torch.tensor([0.0, 100.0, 0.0])
        return outputs + shift


def test_another_prediction_is_counted_and_the_maps_are_about_the_class_of_the_32_bits() -> None:
    torch.manual_seed(0)
    told = precision_note(job(Rounds({"r01", "r03", "r05"}), target_classes="predicted"))["precision"]
    assert "the predicted class is the same for 5 of 8" in told
    assert "1.000 (lowest)" in told  # of class 1 the map would be another


def test_records_that_cannot_be_read_are_left_out() -> None:
    told = precision_note(job(conv_net(), faults={"r02": OSError("gone")}))["precision"]
    assert "on the first 7 records" in told


def test_where_no_record_can_be_asked_about_the_reason_is_told() -> None:
    gone = {name: OSError("gone") for name in ids(8)}
    told = precision_note(job(conv_net(), faults=gone))["precision"]
    assert told.endswith("none of the first 8 records could be asked about: OSError: gone")

    def refuse(*_: object) -> None:
        raise RuntimeError("no such kernel")

    net = conv_net()
    asked = job(net, target_classes=[0])
    with net.register_forward_pre_hook(refuse):
        assert "asked about: RuntimeError: no such kernel" in precision_note(asked)["precision"]


def test_the_run_tells_it_in_its_summary_and_its_file_and_the_same_again(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"precision": "bf16", "target_classes": [0], "generate_report": False}
    first = seewhy.run(conv_net(), Pictures(ids(3)), tmp_path / "run", **asked)
    about = (tmp_path / "run/about.json").read_bytes()
    assert first.choices["precision"] in json.loads(about)["choices"].values()
    again = seewhy.run(conv_net(), Pictures(ids(3)), tmp_path / "run", **asked)
    assert again.computed == 0
    assert (tmp_path / "run/about.json").read_bytes() == about
