"""The batch size that free memory allows: counted on the run's own questions, told, and kept when a run goes on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from pipeline_samples import Pictures, after, conv_net, ids, snapshot, vit
from torch import Tensor, nn

import seewhy
from seewhy.data.custom import CustomDataset
from seewhy.pipeline import batch_size
from seewhy.pipeline.batch_size import Need, held_by_tensors, need_of, with_batch_size
from seewhy.pipeline.job import Job, prepare
from seewhy.pipeline.settings import Settings
from seewhy.values import ConfigError


def job(model: nn.Module, **asked: Any) -> Job:
    settings = Settings.of(**asked)
    return prepare(model, CustomDataset(Pictures(ids(3))), settings)


@pytest.mark.parametrize(
    ("free", "largest", "size"),
    [(1000, 256, 32), (1000, 16, 16), (100, 256, 1), (0, 256, 1), (433, 256, 8), (440, 256, 16), (10**9, 100, 64)],
)
def test_the_largest_power_of_two_within_six_tenths_of_what_is_free(free: int, largest: int, size: int) -> None:
    assert Need([(100, 10)]).most(free, largest) == size  # fits: (0.6 free - 100) / 10


def test_bytes_are_counted_while_tensors_live_and_views_hold_none_of_their_own() -> None:
    def chain() -> Tensor:
        x = torch.ones(1000)
        for _ in range(5):
            x = x.add(1).view(10, 100).t().t().view(1000)
        return x.add_(1)

    assert held_by_tensors(chain) == [4000] + [8000] * 5
    kept: list[Tensor] = []
    assert held_by_tensors(lambda: kept.extend(torch.ones(1000) for _ in range(3))) == [4000, 8000, 12000]


def test_the_fullest_moment_of_many_records_need_not_be_that_of_few() -> None:
    need = Need([(100, 1), (0, 20)])  # weights in another precision, and a wide layer without them
    assert [need.at(records) for records in (1, 2, 5, 10)] == [101, 102, 105, 200]
    assert need.most(free=500, largest=256) == 8  # 300 bytes: room for 15 in the wide layer


class Widening(nn.Module):
    """Half a megabyte for itself at the end, whatever comes; 4 of the size of its input before."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 8, 1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        wide = self.conv(image).mean(dim=(2, 3))
        return wide[:, :3] + torch.zeros(125_000).sum()


def test_what_few_records_hide_is_seen() -> None:
    need = need_of(job(Widening(), generate_gradcam=False))
    assert need is not None
    own, wide = 2 * 16 * 16 * 4, 8 * 16 * 16 * 4
    assert need.at(2) >= 500_000
    assert need.at(2) < 2 * need.at(1)
    assert need.at(1000) >= 1000 * (wide + own)


@pytest.mark.parametrize("net", [conv_net, vit], ids=["conv", "transformer"])
def test_two_records_and_four_foretell_five(net: Any) -> None:
    asked = job(net())
    need = need_of(asked)
    assert need is not None
    probe = batch_size.Probe(
        asked.adapter,
        [target for question in asked.found.questions for target in question.targets()],
        tokens=asked.found.tokens,
    )
    five = {"image": torch.randn(5, 2, 16, 16)}
    counted = max(held_by_tensors(lambda: probe.capture(five, batch_size.union_of_wants(asked.found.questions))))
    read_ahead = 5 * 2 * (2 * 16 * 16 * 4)  # two more batches of inputs
    assert need.at(5) == counted + read_ahead


def test_grades_are_measured_with_gradients_at_the_inputs() -> None:
    alone = need_of(job(conv_net(), generate_embeddings=False, generate_gradcam=True))
    graded = need_of(job(conv_net(), generate_embeddings=False, generate_gradcam=True, generate_metrics=True))
    assert alone is not None
    assert graded is not None
    assert graded.at(32) > alone.at(32)


def test_a_number_stays_a_number(tmp_path: Path) -> None:
    asked = job(conv_net(), batch_size=5)
    assert with_batch_size(asked, tmp_path / "about.json") is asked
    assert asked.batch_size == 5


def test_auto_takes_what_fits_and_says_what_it_was_found_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need = need_of(job(conv_net()))
    assert need is not None
    free = int(need.at(9) / 0.6)
    monkeypatch.setattr(batch_size, "free_on", lambda _: free)
    settled = with_batch_size(job(conv_net(), batch_size="auto"), tmp_path / "about.json")
    assert settled.batch_size == settled.settings.batch_size == 8
    told = settled.found.choices["batch size"]
    assert re.match(r"8: found from free memory \(.* MB free; tensors of .* MB for 8; at most 32\)", told)


def test_a_run_that_goes_on_keeps_its_size_whatever_is_free_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = tmp_path / "about.json"
    monkeypatch.setattr(batch_size, "free_on", lambda _: 10**12)
    first = with_batch_size(job(conv_net(), batch_size="auto"), about)
    about.write_text(json.dumps({"choices": first.found.choices}))
    monkeypatch.setattr(batch_size, "free_on", lambda _: 1)
    again = with_batch_size(job(conv_net(), batch_size="auto"), about)
    assert first.batch_size == again.batch_size == 32
    assert first.found.choices["batch size"] == again.found.choices["batch size"]
    about.write_text(json.dumps({"choices": {"batch size": "memory did not suffice for 8 records at once"}}))
    assert with_batch_size(job(conv_net(), batch_size="auto"), about).batch_size == 1


def test_a_system_that_does_not_tell_gets_the_usual_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_size, "free_on", lambda _: 0)
    settled = with_batch_size(job(conv_net(), batch_size="auto"), tmp_path / "about.json")
    assert settled.found.choices["batch size"] == "32: found from free memory, which this system does not tell"


def test_memory_for_less_than_four_records_is_a_batch_of_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = job(conv_net(), batch_size="auto")
    monkeypatch.setattr(batch_size, "_watched", lambda *_: (_ for _ in ()).throw(MemoryError()))
    settled = with_batch_size(asked, tmp_path / "about.json")
    assert settled.batch_size == 2
    assert "does not suffice for four records" in settled.found.choices["batch size"]


def test_an_automatic_run_writes_the_bytes_of_one_with_that_size_stopped_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need = need_of(job(conv_net()))
    assert need is not None
    room = int(need.at(4) / 0.6) + 1
    asked: dict[str, Any] = {"shard_size": 8, "target_classes": [0], "generate_report": False}
    for place in ("whole", "stopped"):
        monkeypatch.setattr(batch_size, "free_on", lambda _: room)
        seewhy.run(
            conv_net(),
            Pictures(ids(19)),
            tmp_path / place,
            batch_size="auto",
            stop=after(1 + 9 * (place == "whole")),
            **asked,
        )
    monkeypatch.setattr(batch_size, "free_on", lambda _: 10**12)
    ended = seewhy.run(conv_net(), Pictures(ids(19)), tmp_path / "stopped", batch_size="auto", **asked)
    assert ended.choices["batch size"].startswith("4: found from free memory")
    assert snapshot(tmp_path / "stopped") == snapshot(tmp_path / "whole")
    seewhy.run(conv_net(), Pictures(ids(19)), tmp_path / "number", batch_size=4, **asked)
    numbers, found = snapshot(tmp_path / "number"), snapshot(tmp_path / "whole")
    assert {name for name in found if found[name] != numbers.get(name)} <= {"about.json", "manifest.json"}


@pytest.mark.parametrize("size", [0, -1, "many", True])
def test_what_is_no_size_is_refused(size: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        Settings.of(batch_size=size)
    assert refused.value.code == "SW-F02"
