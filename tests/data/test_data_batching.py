"""Planned batches: in order, the same with any number of workers, and one bad record costs only itself."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seewhy.data.batching import load_batches, reason_of
from seewhy.data.records import Batch, Record, RecordRef
from seewhy.values import DataError

pytestmark = pytest.mark.usefixtures("torchs_own_signal_handler")


class Numbers:
    """Record ``i`` is a picture full of ``i``; some positions misbehave."""

    class_names: Sequence[str] | None = None

    def __init__(self, count: int, misbehave: Mapping[int, Any] | None = None) -> None:
        self.count, self.misbehave = count, dict(misbehave or {})

    def index(self) -> Sequence[RecordRef]:
        return [RecordRef(f"r{i}", "test") for i in range(self.count)]

    def read(self, position: int) -> Record:
        wrong = self.misbehave.get(position)
        if isinstance(wrong, Exception):
            raise wrong
        if wrong == "die":
            os._exit(3)
        image = torch.full((1, 2, 2), float(position))
        if isinstance(wrong, Tensor):
            image = wrong
        if wrong == "random":
            image = torch.cat([torch.rand(1, 2, 2), torch.full((1, 2, 2), random.random() + np.random.rand())])
        return Record(f"r{position}", "test", {"image": image}, label=-1 if wrong == "ignored" else position)

    def revision(self, position: int) -> str:
        return ""

    def picture(self, inputs: Mapping[str, Tensor]) -> np.ndarray:
        return np.zeros((2, 2, 3), np.uint8)

    def fingerprint(self) -> Mapping[str, Any]:
        return {}


def load(dataset: Numbers, batches: Sequence[Sequence[int]], **settings: Any) -> list[Batch]:
    return list(load_batches(dataset, batches, **settings))


def test_batches_come_in_the_order_given() -> None:
    batches = load(Numbers(6), [[4, 1], [0, 5, 2]])
    assert [batch.positions for batch in batches] == [(4, 1), (0, 5, 2)]
    assert batches[1].inputs["image"][:, 0, 0, 0].tolist() == [0, 5, 2]
    assert [record.record_id for record in batches[1].records] == ["r0", "r5", "r2"]


def test_workers_give_the_same_batches_in_the_same_order() -> None:
    dataset = Numbers(30, {7: "random", 3: ValueError("bad")})
    plan = [list(range(start, start + 5)) for start in range(0, 30, 5)]
    alone, helped = load(dataset, plan), load(dataset, plan, num_workers=2)
    assert [batch.positions for batch in alone] == [batch.positions for batch in helped]
    assert [batch.failures for batch in alone] == [batch.failures for batch in helped]
    for one, other in zip(alone, helped, strict=True):
        assert one.inputs["image"].equal(other.inputs["image"])


def test_a_records_inputs_are_views_into_its_batch() -> None:
    (batch,) = load(Numbers(3), [[0, 1, 2]], num_workers=1)
    batch.inputs["image"][2] = 9
    assert batch.records[2].inputs["image"].tolist() == [[[9, 9], [9, 9]]]


def test_a_record_that_raises_is_a_failure_and_the_rest_go_on() -> None:
    (batch,) = load(Numbers(3, {1: KeyError("nope")}), [[0, 1, 2]])
    assert batch.positions == (0, 2)
    assert batch.failures == ((1, "KeyError: 'nope'"),)


def test_a_batch_of_failures_only_is_still_told() -> None:
    wrong = {0: OSError("gone"), 1: DataError("SW-D07", "cut short", fix="copy it")}
    (batch,) = load(Numbers(2, wrong), [[0, 1]])
    assert (batch.positions, batch.records, batch.inputs) == ((), (), {})
    assert batch.failures == ((0, "OSError: gone"), (1, "DataError: [SW-D07] cut short"))


def test_shapes_that_differ_make_several_batches() -> None:
    dataset = Numbers(4, {1: torch.ones(1, 3, 3), 2: ValueError("bad")})
    first, second = load(dataset, [[0, 1, 2, 3]])
    assert (first.positions, second.positions) == ((0, 3), (1,))
    assert second.inputs["image"].shape == (1, 1, 3, 3)
    assert (first.failures, second.failures) == (((2, "ValueError: bad"),), ())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_a_failure(value: float) -> None:
    (batch,) = load(Numbers(2, {0: torch.tensor([[[value, 1.0], [1.0, 1.0]]])}), [[0, 1]])
    assert batch.positions == (1,)
    assert batch.failures == ((0, "DataError: [SW-D42] input 'image' holds 1 NaN or infinite values"),)


def test_inputs_that_are_no_tensors_are_a_failure() -> None:
    class Arrays(Numbers):
        def read(self, position: int) -> Record:
            return Record("r0", "test", {"image": np.zeros((1, 2, 2))})

    (batch,) = load(Arrays(1), [[0]])
    assert batch.failures[0][1].startswith("DataError: [SW-D43]")


def test_label_minus_one_means_none() -> None:
    (batch,) = load(Numbers(2, {0: "ignored"}), [[0, 1]])
    assert [record.label for record in batch.records] == [None, 1]


def test_randomness_follows_the_record_and_not_its_batch() -> None:
    dataset = Numbers(6, dict.fromkeys(range(6), "random"))
    together = load(dataset, [[0, 1, 2, 3, 4, 5]])[0].inputs["image"]
    apart = torch.cat([batch.inputs["image"] for batch in load(dataset, [[5], [4, 3], [2, 1, 0]])])
    assert together.flip(0)[[0]].equal(apart[[0]])
    assert together[[4, 3]].equal(apart[[1, 2]])
    assert len(together.flatten(1).unique(dim=0)) == 6
    assert not load(dataset, [[0]], seed=1)[0].inputs["image"].equal(together[:1])


def test_the_callers_random_generators_are_left_alone() -> None:
    def draw() -> tuple[float, float, float]:
        random.seed(5)
        np.random.seed(5)
        torch.manual_seed(5)
        load(Numbers(2, {0: "random"}), [[0], [1]], **settings)
        return random.random(), np.random.rand(), torch.rand(1).item()

    settings: dict[str, Any] = {}
    with_none = draw()
    settings = {"num_workers": 1}
    random.seed(5)
    np.random.seed(5)
    torch.manual_seed(5)
    assert with_none == draw() == (random.Random(5).random(), np.random.RandomState(5).rand(), with_none[2])
    assert with_none[2] == torch.rand(1, generator=torch.Generator().manual_seed(5)).item()


def test_a_dead_worker_names_the_record_and_the_way_out() -> None:
    with pytest.raises(DataError, match="r1") as caught:
        load(Numbers(3, {1: "die"}), [[1]], num_workers=1)
    assert caught.value.code == "SW-D41"
    assert "num_workers=0" in caught.value.fix


def test_a_data_set_that_cannot_be_pickled_says_so_where_workers_need_it() -> None:
    dataset = Numbers(2)
    dataset.transform = lambda x: x
    assert load(dataset, [[0, 1]])[0].positions == (0, 1)
    with pytest.raises(DataError) as caught:
        load(dataset, [[0, 1]], num_workers=1, start_method="spawn")
    assert caught.value.code == "SW-D40"
    assert "num_workers=0" in caught.value.fix


def test_a_negative_number_of_workers_is_refused_at_once() -> None:
    with pytest.raises(DataError, match="SW-D01"):
        load_batches(Numbers(1), [[0]], num_workers=-1)


def test_nothing_planned_gives_nothing() -> None:
    assert load(Numbers(3), []) == []


def test_a_reason_is_one_printable_line_of_bounded_length() -> None:
    assert reason_of(ValueError("a\n\x1b[31mb\tc")) == "ValueError: a [31mb c"
    assert len(reason_of(ValueError("x" * 10_000))) == 500


def test_ctrl_c_does_not_reach_the_workers() -> None:
    class Interrupted(Numbers):
        def read(self, position: int) -> Record:
            os.kill(os.getpid(), 2)
            return super().read(position)

    assert [batch.positions for batch in load(Interrupted(2), [[0], [1]], num_workers=1)] == [(0,), (1,)]
