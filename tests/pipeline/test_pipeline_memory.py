"""Out of memory: smaller batches down to one record, then a failed row that says so; never a zero map."""

from __future__ import annotations

import gc
import time
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from pipeline_samples import Log, Pictures, after, conv_net, ids, image_of, pictures, rows, snapshot, vit
from torch import Tensor, nn

import seewhy
from seewhy.data import batching
from seewhy.data.custom import CustomDataset
from seewhy.data.records import Batch, Record
from seewhy.memory import is_out_of_memory
from seewhy.models.adapter import Adapter
from seewhy.pipeline.engine import Engine
from seewhy.pipeline.pictures import Painter, Shown
from seewhy.pipeline.questions import EmbeddingQuestion
from seewhy.pipeline.shard import MOST_WAITING
from seewhy.values import SeewhyError

ERRORS = {
    "cuda": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    "python": MemoryError(),
    "cpu": RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
        "allocate 99 bytes. Error code 12 (Cannot allocate memory)"
    ),
    "mps": RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
    "workspace": RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
}


class Small(nn.Module):
    """A model in front of which ``room`` records have room; ``giant`` is a record that never has."""

    def __init__(self, inner: nn.Module, room: int, error: Exception = ERRORS["cuda"], giant: str = "") -> None:
        super().__init__()
        self.inner, self.room, self.error, self.giant = inner, room, error, giant
        self.sizes: list[int] = []

    def forward(self, image: Tensor) -> Tensor:
        self.sizes.append(len(image))
        too_large = bool(self.giant) and any(torch.equal(x.detach(), image_of(self.giant)) for x in image)
        if len(image) > self.room or too_large:
            raise self.error
        return self.inner(image)


def plain(inner: nn.Module) -> nn.Module:
    return Small(inner, room=1_000)


@pytest.mark.parametrize(
    ("net", "error"),
    [*((conv_net, error) for error in ERRORS.values()), (vit, ERRORS["cuda"])],
    ids=[*ERRORS, "transformer"],
)
def test_a_run_short_of_memory_writes_the_bytes_of_one_with_that_batch_size(
    tmp_path: Path, net: Any, error: Exception
) -> None:
    asked: dict[str, Any] = {"shard_size": 8, "target_classes": [0]}
    summary = seewhy.run(Small(net(), 2, error), Pictures(ids(11)), tmp_path / "short", batch_size=8, **asked)
    seewhy.run(plain(net()), Pictures(ids(11)), tmp_path / "enough", batch_size=2, **asked)
    assert summary.exit_code == 0
    assert summary.choices["batch size"] == (
        "memory did not suffice for 8 records at once: went on with 2 (set batch_size=2)"
    )
    assert snapshot(tmp_path / "short") == snapshot(tmp_path / "enough")


GRADED: dict[str, Any] = {
    "generate_embeddings": False,
    "generate_gradcam": False,
    "generate_attention": False,
    "generate_metrics": True,
    "metrics": {"names": ["deletion"], "settings": {"deletion": {"steps": 4}}},
}


@pytest.mark.parametrize("records", [1, 5])
def test_grades_short_of_memory_send_fewer_changed_copies_through_the_model(tmp_path: Path, records: int) -> None:
    model = Small(conv_net(), 2)
    summary = seewhy.run(model, Pictures(ids(records)), tmp_path / "short", batch_size=8, **GRADED)
    seewhy.run(plain(conv_net()), Pictures(ids(records)), tmp_path / "enough", batch_size=2, **GRADED)
    assert summary.failures == ()
    assert snapshot(tmp_path / "short") == snapshot(tmp_path / "enough")


def test_enough_memory_needs_no_word(tmp_path: Path) -> None:
    summary = seewhy.run(plain(conv_net()), Pictures(ids(5)), tmp_path / "run", batch_size=4)
    assert "batch size" not in summary.choices


def test_the_batch_is_halved_until_it_fits_and_then_stays_so(tmp_path: Path) -> None:
    model = Small(conv_net(), room=3)
    seewhy.run(model, Pictures(ids(16)), tmp_path / "run", batch_size=16)
    model.sizes = model.sizes[model.sizes.index(16) :]
    assert model.sizes == [16, 8, 4] + [2] * 8


def test_a_record_that_does_not_fit_alone_is_a_failed_row_and_no_map(tmp_path: Path) -> None:
    broken = ids(6)[3]
    model = Small(conv_net(), room=4, giant=broken)
    summary = seewhy.run(model, Pictures(ids(6)), tmp_path / "run", batch_size=4, generate_attention=False)
    assert summary.exit_code == 1
    row = rows(tmp_path / "run")[broken]
    assert (row.status, row.stage, row.answers) == ("failed", "memory", {})
    assert row.error == "OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB"
    assert [(failure.record_id, failure.stage) for failure in summary.failures] == [(broken, "memory")]
    assert {name for name, one in rows(tmp_path / "run").items() if one.status == "ok"} == set(ids(6)) - {broken}
    assert not any(broken in path for path in pictures(tmp_path / "run"))
    assert seewhy.verify(tmp_path / "run") == []
    again = seewhy.run(plain(conv_net()), Pictures(ids(6)), tmp_path / "other", batch_size=4, generate_attention=False)
    assert again.exit_code == 0


def test_a_failure_for_want_of_memory_is_asked_again_with_retry_failed(tmp_path: Path) -> None:
    model = Small(conv_net(), room=4, giant=ids(6)[3])
    seewhy.run(model, Pictures(ids(6)), tmp_path / "run", batch_size=4)
    model.giant = ""
    mended = seewhy.run(model, Pictures(ids(6)), tmp_path / "run", batch_size=4, retry_failed=True)
    assert (mended.computed, mended.reused, mended.exit_code) == (1, 5, 0)


@pytest.mark.parametrize("room", [2, 3, 5])
def test_short_of_memory_a_stopped_run_goes_on_to_the_same_bytes(tmp_path: Path, room: int) -> None:
    asked: dict[str, Any] = {"batch_size": 6, "shard_size": 8, "target_classes": [0]}
    data = Pictures(ids(19))
    seewhy.run(Small(conv_net(), room), data, tmp_path / "whole", **asked)
    seewhy.run(Small(conv_net(), room), data, tmp_path / "run", stop=after(1), **asked)
    seewhy.run(Small(conv_net(), room), data, tmp_path / "run", stop=after(1), **asked)
    log = Log()
    seewhy.run(Small(conv_net(), room), data, tmp_path / "run", observer=log, **asked)
    assert len(log.shards) == 1
    assert snapshot(tmp_path / "run") == snapshot(tmp_path / "whole")


def test_other_errors_are_no_lack_of_memory(tmp_path: Path) -> None:
    model = Small(conv_net(), room=3, error=RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    summary = seewhy.run(model, Pictures(ids(6)), tmp_path / "run", batch_size=6)
    assert summary.exit_code == 0
    assert "batch size" not in summary.choices
    assert model.sizes[-7:] == [6, 1, 1, 1, 1, 1, 1]


def test_an_error_raised_from_a_lack_of_memory_is_one() -> None:
    outer = ValueError("the volume cannot be padded")
    outer.__cause__ = MemoryError()
    assert is_out_of_memory(outer)
    assert not is_out_of_memory(ValueError("out of memory"))  # only allocators' own kinds of error count


def test_a_model_that_cannot_even_be_understood_is_refused_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(SeewhyError, match="memory does not suffice for two records") as refused:
        seewhy.run(Small(conv_net(), room=1), Pictures(ids(4)), tmp_path / "run")
    assert refused.value.code == "SW-F137"
    assert not (tmp_path / "run").exists()


class Hungry(nn.Module):
    """A mean over space that, once ``short``, fails for several records and notes what of earlier calls is alive."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 1)
        self.short = False
        self.made: list[weakref.ref[Tensor]] = []
        self.alive: list[bool] = []

    def forward(self, image: Tensor) -> Tensor:
        self.alive.extend(reference() is not None for reference in self.made)
        large = self.conv(image)
        self.made.append(weakref.ref(large))
        if self.short and len(image) > 1:
            raise MemoryError
        return large.mean(dim=(2, 3))


def test_what_a_failed_attempt_held_is_gone_before_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "collect", lambda: 0)  # it must go without waiting for the collector
    inputs = torch.randn(4, 2, 8, 8)
    records = tuple(Record(name, "test", {"image": x}) for name, x in zip(ids(4), inputs, strict=True))
    model = Hungry()
    adapter = Adapter(model, {"image": inputs[:2]}, headless=True)
    model.short, model.made, model.alive = True, [], []
    engine = Engine(adapter, [EmbeddingQuestion("outputs")], tokens=None, batch_size=4)
    results = list(engine.explain(Batch((0, 1, 2, 3), records, {"image": inputs})))
    assert [one.error for one in results] == [""] * 4
    assert model.alive == [False] * (1 + 2 + 3 + 4 + 5)


def test_a_batch_that_cannot_be_stacked_is_stacked_in_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    data = CustomDataset(Pictures(ids(5)))
    (whole,) = batching.load_batches(data, [[0, 1, 2, 3, 4]])
    stacks = torch.stack

    def stack(tensors: Any, dim: int = 0) -> Tensor:
        if len(tensors) > 2:
            raise ERRORS["cpu"]
        return stacks(tensors, dim)

    monkeypatch.setattr(torch, "stack", stack)
    parts = list(batching.load_batches(data, [[0, 1, 2, 3, 4]]))
    assert [part.positions for part in parts] == [(0, 1), (2,), (3, 4)]
    assert torch.equal(torch.cat([part.inputs["image"] for part in parts]), whole.inputs["image"])


def test_a_record_that_cannot_be_stacked_alone_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    stacks = torch.stack

    def stack(tensors: Any, dim: int = 0) -> Tensor:
        if any(torch.equal(tensor, image_of("r01")) for tensor in tensors):
            raise MemoryError("no room")
        return stacks(tensors, dim)

    monkeypatch.setattr(torch, "stack", stack)
    parts = list(batching.load_batches(CustomDataset(Pictures(ids(3))), [[0, 1, 2]]))
    assert [position for part in parts for position in part.positions] == [0, 2]
    assert [failure for part in parts for failure in part.failures] == [(1, "MemoryError: no room")]


def test_the_model_waits_where_pictures_would_pile_up_with_their_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: weakref.WeakSet[Shown] = weakref.WeakSet()
    most: list[int] = []

    def paint(self: Painter, shown: Shown, *_: Any) -> tuple[()]:
        most.append(len(alive))
        time.sleep(0.003)
        return ()

    class Counted(Shown):
        def __init__(self, **given: Any) -> None:
            super().__init__(**given)
            alive.add(self)

        __hash__ = object.__hash__

    monkeypatch.setattr(Painter, "paint", paint)
    monkeypatch.setattr("seewhy.pipeline.shard.Shown", Counted)
    seewhy.run(conv_net(), Pictures(ids(90)), tmp_path / "run", batch_size=30, shard_size=90, writer_threads=1)
    assert len(most) == 90
    assert max(most) <= MOST_WAITING + 3  # one being drawn, one being handed over, one just done
