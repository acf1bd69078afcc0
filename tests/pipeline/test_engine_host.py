"""What a batch costs the host: as many reads of the device for sixteen records as for two, and one wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from pipeline_samples import conv_net, ids, image_of, vit
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from seewhy.data.records import Batch, Record
from seewhy.models.adapter import Adapter
from seewhy.pipeline import engine as engines
from seewhy.pipeline import host_copies
from seewhy.pipeline.applicable import applicable
from seewhy.pipeline.engine import Engine, Explained
from seewhy.pipeline.host_copies import HostCopies
from seewhy.pipeline.settings import Settings

READS = {
    Tensor.item, Tensor.tolist, Tensor.cpu, Tensor.numpy, Tensor.nonzero, Tensor.__bool__, Tensor.__int__,
    Tensor.__float__, Tensor.__index__, Tensor.unique, torch.nonzero, torch.unique, torch.equal, torch.tensor,
}  # fmt: skip
"""What lets the host wait for a GPU: values are read, or made on the host and copied there."""
READING_KERNELS = {"_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "_unique2", "unique_dim"}
Net = Callable[[], nn.Module]


class CountReads(TorchFunctionMode):
    """Counts by name what reads tensors from Python."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in READS:
            self.calls[func.__name__] += 1
        return func(*args, **(kwargs or {}))


class CountKernels(TorchDispatchMode):
    """Counts by name the kernels whose answer the host has to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Or torch imports its compiler, which takes seconds."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in READING_KERNELS:
            self.calls[name] += 1
        return func(*args, **(kwargs or {}))


def batch_of(records: Sequence[str]) -> Batch:
    images = torch.stack([image_of(name) for name in records])
    held = tuple(Record(name, "test", {"image": x}) for name, x in zip(records, images, strict=True))
    return Batch(tuple(range(len(held))), held, {"image": images})


def engine_of(net: nn.Module, **asked: Any) -> Engine:
    adapter = Adapter(net, batch_of(ids(2)).inputs)
    settings = Settings.of(**asked)
    found = applicable(adapter, settings, None)
    return Engine(adapter, found.questions, tokens=found.tokens, batch_size=32)


def reads_of(engine: Engine, records: int) -> tuple[Counter[str], Counter[str]]:
    batch = batch_of(ids(records))
    with CountReads() as reads, CountKernels() as kernels:
        results = list(engine.explain(batch))
    assert [one.error for one in results] == [""] * records
    return reads.calls, kernels.calls


@pytest.mark.parametrize(
    ("net", "classes", "copies"),
    [
        (conv_net, "all", 4),  # finite, probabilities, embeddings, maps
        (lambda: conv_net(25), "auto", 5),  # and which classes are the best of each record
        (vit, "all", 6),  # two more for the rollout and the heads
        (lambda: vit(25), "auto", 7),
    ],
    ids=["conv", "conv, best of many", "transformer", "transformer, best of many"],
)
def test_the_host_reads_as_often_for_sixteen_records_as_for_two(net: Net, classes: str, copies: int) -> None:
    engine = engine_of(net(), target_classes=classes)
    for records in (2, 16):
        assert reads_of(engine, records) == (Counter(numpy=copies), Counter())


def test_the_host_reads_as_often_for_twenty_classes_as_for_two() -> None:
    counts = [reads_of(engine_of(conv_net(classes), target_classes="all"), 3)[0] for classes in (2, 20)]
    assert counts[0] == counts[1] == Counter(numpy=4)


class Event:
    """A CUDA event, recorded when made, that notes what happens to it."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        log.append("asked")

    def synchronize(self) -> None:
        self.log.append("waited")


class Noted(nn.Module):
    """Notes every call of a model."""

    def __init__(self, inner: nn.Module, log: list[str], broken: Sequence[int] = ()) -> None:
        super().__init__()
        self.inner, self.log, self.broken = inner, log, list(broken)
        self.calls = 0

    def forward(self, image: Tensor) -> Tensor:
        self.log.append("model")
        self.calls += 1
        if self.calls in self.broken:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.inner(image)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens, in order; copies behave as on CUDA."""
    happened: list[str] = []
    monkeypatch.setattr(host_copies, "mark_on", lambda _: Event(happened))
    monkeypatch.setattr(engines, "HostCopies", lambda _: HostCopies(torch.device("cuda")))
    return happened


def test_one_wait_for_each_batch_and_the_next_one_is_asked_before_it(log: list[str]) -> None:
    engine = engine_of(Noted(vit(), log), target_classes="all")
    log.clear()
    found = list(engine.explain_all([batch_of(ids(3)), batch_of(ids(2)), batch_of(ids(4))], ahead=True))
    assert [len(results) for results in found] == [3, 2, 4]
    assert log == ["model", "asked", "model", "asked", "waited", "model", "asked", "waited", "waited"]


def test_without_looking_ahead_each_batch_is_waited_for_before_the_next(log: list[str]) -> None:
    engine = engine_of(Noted(conv_net(), log))
    log.clear()
    list(engine.explain_all([batch_of(ids(3)), batch_of(ids(2))]))
    assert log == ["model", "asked", "waited"] * 2


def flat(found: Sequence[Explained]) -> list[tuple[Any, ...]]:
    return [
        (
            one.position,
            one.error,
            one.predicted,
            *(tuple(value.values.ravel()) for value in (one.answers or {}).values()),
        )
        for one in found
    ]


@pytest.mark.parametrize("net", [conv_net, vit, lambda: conv_net(25)], ids=["conv", "transformer", "best of many"])
def test_looking_ahead_changes_no_value(net: Net) -> None:
    batches = [batch_of(ids(3)), Batch((), (), {}, failures=((7, "gone"),)), batch_of(ids(4, "s")), batch_of(ids(1))]
    engine = engine_of(net())
    alone = [flat(list(engine.explain(batch))) for batch in batches]
    assert [flat(found) for found in engine.explain_all(batches, ahead=True)] == alone


@pytest.mark.parametrize("broken", [[1], [2], [1, 2], [3]])
def test_looking_ahead_a_batch_that_does_not_fit_is_halved_like_any_other(broken: list[int]) -> None:
    net = Noted(conv_net(), [])
    engine = engine_of(net)
    engine.batch_size = 8
    whole = {one.record.record_id: one for one in engine.explain(batch_of(ids(8))) if one.record}
    net.calls, net.broken = 0, broken
    found = list(engine.explain_all([batch_of(ids(8)), batch_of(ids(8))], ahead=True))
    assert [len(results) for results in found] == [8, 8]
    assert engine.batch_size < 8 or broken == [3]  # both batches were through by then
    for one in (result for results in found for result in results):
        assert one.error == ""
        assert one.record is not None
        assert one.answers is not None
        for key, answer in (whole[one.record.record_id].answers or {}).items():
            assert np.allclose(one.answers[key].values, answer.values, atol=1e-5)


def test_what_shows_only_when_the_host_waits_costs_no_record_its_answers(
    log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(conv_net())
    waits = iter([torch.OutOfMemoryError("CUDA out of memory"), None, None, None])

    def synchronize(self: Event) -> None:
        if (error := next(waits)) is not None:
            raise error

    monkeypatch.setattr(Event, "synchronize", synchronize)
    engine.batch_size = 4
    results = list(engine.explain(batch_of(ids(4))))
    assert [one.error for one in results] == [""] * 4
    assert engine.batch_size == 2
    assert log.count("asked") == 3  # once for four, then in two halves
