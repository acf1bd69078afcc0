"""The batch size that free memory allows: counted on the run's own questions, told, and kept when a run goes on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from pipeline_samples import Pictures, conv_net, ids, vit
from torch import Tensor, nn

from seewhy.data.custom import CustomDataset
from seewhy.pipeline import batch_size
from seewhy.pipeline.batch_size import Need, need_of, peak_of_tensors, with_batch_size
from seewhy.pipeline.job import Job, prepare
from seewhy.pipeline.settings import Settings


def job(model: nn.Module, **asked: Any) -> Job:
    settings = Settings.of(**asked)
    return prepare(model, CustomDataset(Pictures(ids(3))), settings)


def automatic(found: Job) -> Job:
    """The job as if asked with ``batch_size=auto``."""
    object.__setattr__(found.settings, "batch_size", "auto")
    return found


@pytest.mark.parametrize(
    ("free", "largest", "size"),
    [(1000, 256, 32), (1000, 16, 16), (100, 256, 1), (0, 256, 1), (433, 256, 8), (440, 256, 16), (10**9, 100, 64)],
)
def test_the_largest_power_of_two_within_six_tenths_of_what_is_free(free: int, largest: int, size: int) -> None:
    assert Need(fixed=100, per_record=10).most(free, largest) == size  # fits: (0.6 free - 100) / 10


def test_bytes_are_counted_while_tensors_live_and_views_hold_none_of_their_own() -> None:
    def chain() -> Tensor:
        x = torch.ones(1000)
        for _ in range(5):
            x = x.add(1).view(10, 100).t().t().view(1000)
        return x.add_(1)

    assert peak_of_tensors(chain) == 2 * 4000
    kept: list[Tensor] = []
    assert peak_of_tensors(lambda: kept.extend(torch.ones(1000) for _ in range(3))) == 3 * 4000


@pytest.mark.parametrize("net", [conv_net, vit], ids=["conv", "transformer"])
def test_what_a_batch_takes_follows_from_two_records(net: Any) -> None:
    need = need_of(job(net()))
    assert need is not None
    asked = job(net())
    probe_takes = [batch_size._measured(_probe(asked), _wants(asked), records) for records in (1, 2)]
    own = 2 * 16 * 16 * 4  # the inputs of a record, of which two more batches are being read
    assert need.per_record == probe_takes[1] - probe_takes[0] + 2 * own
    assert need.fixed + need.per_record - 2 * own == probe_takes[0]


def _probe(asked: Job) -> Any:
    targets = [target for question in asked.found.questions for target in question.targets()]
    return batch_size.Probe(asked.adapter, targets, tokens=asked.found.tokens)


def _wants(asked: Job) -> Any:
    return batch_size.union_of_wants(asked.found.questions)


def test_grades_are_measured_with_gradients_at_the_inputs() -> None:
    alone = need_of(job(conv_net(), generate_embeddings=False, generate_gradcam=True))
    graded = need_of(job(conv_net(), generate_embeddings=False, generate_gradcam=True, generate_metrics=True))
    assert alone is not None
    assert graded is not None
    assert graded.per_record > alone.per_record


def test_a_number_stays_a_number(tmp_path: Path) -> None:
    asked = job(conv_net(), batch_size=5)
    assert with_batch_size(asked, tmp_path / "about.json") is asked
    assert asked.batch_size == 5


def test_auto_takes_what_fits_and_says_what_it_was_found_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need = need_of(job(conv_net()))
    assert need is not None
    free = int((need.fixed + 9 * need.per_record) / 0.6)
    monkeypatch.setattr(batch_size, "free_on", lambda _: free)
    settled = with_batch_size(automatic(job(conv_net())), tmp_path / "about.json")
    assert settled.batch_size == settled.settings.batch_size == 8
    told = settled.found.choices["batch size"]
    assert re.match(r"8: found from free memory \(.* MB free; counted in tensors: .*; at most 32\)", told)


def test_a_run_that_goes_on_keeps_its_size_whatever_is_free_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = tmp_path / "about.json"
    monkeypatch.setattr(batch_size, "free_on", lambda _: 10**12)
    first = with_batch_size(automatic(job(conv_net())), about)
    about.write_text(json.dumps({"choices": first.found.choices}))
    monkeypatch.setattr(batch_size, "free_on", lambda _: 1)
    again = with_batch_size(automatic(job(conv_net())), about)
    assert first.batch_size == again.batch_size == 32
    assert first.found.choices["batch size"] == again.found.choices["batch size"]
    about.write_text(json.dumps({"choices": {"batch size": "memory did not suffice for 8 records at once"}}))
    assert with_batch_size(automatic(job(conv_net())), about).batch_size == 1


def test_a_system_that_does_not_tell_gets_the_usual_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_size, "free_on", lambda _: 0)
    settled = with_batch_size(automatic(job(conv_net())), tmp_path / "about.json")
    assert settled.found.choices["batch size"] == "32: found from free memory, which this system does not tell"


def test_memory_for_one_record_only_is_a_batch_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = automatic(job(conv_net()))
    monkeypatch.setattr(batch_size, "_measured", lambda *_: (_ for _ in ()).throw(MemoryError()))
    settled = with_batch_size(asked, tmp_path / "about.json")
    assert settled.batch_size == 1
    assert "does not suffice for two records" in settled.found.choices["batch size"]
