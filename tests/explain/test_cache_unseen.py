"""What a look at weights and plain values would miss is seen all the same, or the cache is passed by."""

from __future__ import annotations

import array
import collections
import decimal
import random
import threading
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from cached_models import PLAIN, SQUARE, Scaled, explainer_of, is_hit
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from seewhy import ExplanationCache, GradCAM
from seewhy.explain import cache_key
from seewhy.explain.cache_asking import CHANGED
from seewhy.explain.cache_bytecode import code_digest, globals_read
from seewhy.explain.cache_canonical import CannotBeKeyedError
from seewhy.explain.cache_structure import structure_of
from seewhy.explain.cache_values import Tokens
from seewhy.explain.cache_weights import check_sum, weights_of

SETTINGS = {"by": 1.0}
SPACE = types.SimpleNamespace(by=1.0)
OWN = types.ModuleType("a_module_of_your_own")
OWN.by = 1.0  # type: ignore[attr-defined]


class Helper:
    by = 1.0

    @staticmethod
    def times(values: Tensor) -> Tensor:
        return values * Helper.by


class Shared(Scaled):
    """Holds two layers, and uses the one that ``used`` is."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(2, 2), nn.Linear(2, 2)
        self.used = self.one
        self.tied = nn.Module()
        self.tied.weight = self.one.weight
        self.order = nn.Sequential(nn.Tanh(), nn.Softplus())

    def forward(self, image: Tensor) -> Tensor:
        found: Tensor = self.order(self.used(super().forward(image)) @ self.tied.weight)
        return found


def another_part(model: Shared) -> None:
    model.used = model.two


def another_tied_weight(model: Shared) -> None:
    model.tied.weight = model.two.weight


def another_order(model: Shared) -> None:
    model.order._modules["0"] = model.order._modules.pop("0")


@pytest.mark.parametrize("change", [another_part, another_tied_weight, another_order], ids=lambda one: one.__name__)
def test_what_is_which_part_and_in_which_order_is_seen(
    cache: ExplanationCache, change: Callable[[Shared], None]
) -> None:
    model = Shared()
    explainer = explainer_of(cache, model)
    assert [is_hit(cache, explainer) for _ in range(2)] == [False, True]
    change(model)
    plain = GradCAM(model, "cells", preprocessing=PLAIN).explained(SQUARE)
    assert np.array_equal(explainer.explained(SQUARE).outputs, plain.outputs)
    assert cache.stats()["misses"] == 2


@dataclass(slots=True)
class Slotted:
    by: float = 1.0


class Listed(list[Any]):
    by = 0


def deep(value: float) -> Any:
    for _ in range(20):
        value = {"in": value}  # type: ignore[assignment]
    return value


def bound(value: float) -> Any:
    return {"by": value}.get


def with_more(value: float) -> Listed:
    made = Listed()
    made.by = value  # type: ignore[assignment]
    return made


@pytest.mark.parametrize(
    "make",
    [
        Slotted, deep, bound, with_more, decimal.Decimal, lambda by: collections.deque([by]),
        lambda by: bytearray([int(by)]), lambda by: array.array("d", [by]), lambda by: types.SimpleNamespace(by=by),
        lambda by: Tensor.sigmoid if by == 1 else Tensor.cos, lambda by: np.sin if by == 1 else np.cos,
        lambda by: collections.defaultdict(int if by == 1 else float),
    ],
)  # fmt: skip
def test_values_are_told_apart_wherever_they_are_kept(make: Callable[[float], Any]) -> None:
    assert Tokens({}).of(make(1.0)) == Tokens({}).of(make(1.0))
    assert Tokens({}).of(make(1.0)) != Tokens({}).of(make(5.0))


@pytest.mark.parametrize(
    "hidden", [random.Random(1), torch.Generator(), (one for one in [1])], ids=lambda hidden: type(hidden).__name__
)
def test_what_hides_its_value_is_refused(hidden: Any) -> None:
    with pytest.raises(CannotBeKeyedError, match="cannot be looked into"):
        Tokens({}).of({"a": hidden})


def reads(model: Scaled, image: Tensor) -> Tensor:
    return Helper.times(Scaled.forward(model, image) * SETTINGS["by"] * SPACE.by * OWN.by)


class Reading(Scaled):
    def forward(self, image: Tensor) -> Tensor:
        return reads(self, image)


def test_what_forward_reads_of_its_surroundings_is_seen(
    cache: ExplanationCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer = explainer_of(cache, Reading())
    assert [is_hit(cache, explainer) for _ in range(2)] == [False, True]
    for change in (
        lambda: monkeypatch.setitem(SETTINGS, "by", 5.0),
        lambda: monkeypatch.setattr(SPACE, "by", 5.0),
        lambda: monkeypatch.setattr(OWN, "by", 5.0),
        lambda: monkeypatch.setattr(Helper, "by", 5.0),
        lambda: monkeypatch.setattr(Helper, "times", staticmethod(lambda values: -values)),
    ):
        change()
        assert not is_hit(cache, explainer)
    monkeypatch.undo()
    assert is_hit(cache, explainer)


def test_a_module_read_whole_passes_the_cache_by(cache: ExplanationCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scaled, "forward", lambda self, image: self.cells(image).flatten(1)[:, : len(vars(OWN))])
    explainer_of(cache, Scaled()).explain(SQUARE)
    assert [one.partition("> ")[2] for one in cache.stats()["reasons"]] == [
        "reads the whole module a_module_of_your_own"
    ]


def test_only_what_is_read_by_a_global_name_counts() -> None:
    """``self.features`` reads no global ``features``."""
    assert globals_read((lambda self, image: self.features(image) + torch.nn.functional.relu(image)).__code__) == (
        ("torch", "nn", "functional", "relu"),
    )


def mix(*values: Any) -> Any:
    return sum(values)


def mix_one(values: Any) -> Any:
    return sum(values)


def guarded(values: Any) -> Any:
    try:
        found = sum(values)
        found = abs(found)
    except TypeError:
        return None
    return found


def guarded_less(values: Any) -> Any:
    try:
        found = sum(values)
    except TypeError:
        return None
    else:
        found = abs(found)
    return found


@pytest.mark.parametrize(("one", "other"), [(mix, mix_one), (guarded, guarded_less)])
def test_code_that_takes_or_guards_otherwise_is_other_code(one: Any, other: Any) -> None:
    assert one.__code__.co_names == other.__code__.co_names
    assert code_digest(one.__code__) != code_digest(other.__code__)


def test_a_patched_class_of_an_installed_package_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    model = torchvision.models.resnet18(num_classes=2)
    before = structure_of(model)
    assert structure_of(model) == before
    kind = torchvision.models.ResNet
    plain = kind._forward_impl
    monkeypatch.setattr(kind, "_forward_impl", lambda self, image: plain(self, image * 2))
    changed = structure_of(model)
    assert [name for name in before if before[name] != changed[name]] == [("", "class")]


def test_a_traced_graph_is_passed_by_with_a_reason(cache: ExplanationCache) -> None:
    plain = nn.Sequential(collections.OrderedDict(cells=nn.Conv2d(3, 2, 8, stride=8), mean=nn.AdaptiveAvgPool2d(1)))
    graph = torch.fx.symbolic_trace(nn.Sequential(collections.OrderedDict(cells=plain, flat=nn.Flatten())))
    explainer_of(cache, graph, target_layer="cells.cells").explain(SQUARE)
    assert cache.stats()["num_entries"] == 0
    assert [reason.rpartition(",")[2] for reason in cache.stats()["reasons"]] == [" which cannot be looked into"]


def test_a_write_behind_torchs_back_while_the_model_is_asked_keeps_the_answer_out(cache: ExplanationCache) -> None:
    class Meddled(Scaled):
        def forward(self, image: Tensor) -> Tensor:
            self.steps.data.mul_(3)
            return super().forward(image)

    explainer_of(cache, Meddled()).explain(SQUARE)
    assert cache.stats()["num_entries"] == 0
    assert cache.stats()["reasons"] == {CHANGED: 1}


def test_threads_that_share_model_and_cache_keep_everything(cache: ExplanationCache) -> None:
    explainer = explainer_of(cache, Scaled())
    images = [np.full_like(SQUARE, 20 * number + 20) for number in range(12)]
    threads = [
        threading.Thread(target=lambda mine: [explainer.explained(one) for one in mine], args=(images[start::4],))
        for start in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (cache.stats()["stored"], cache.stats()["passed_by"]) == (12, 0)


def test_sums_see_flipped_signs_and_words_far_apart() -> None:
    """Of float64 the words 0 and 1021 are in one sum; flipping both signs adds 2^63 to it twice, which is nothing."""
    values = torch.randn(4 * 1021 * 1019, dtype=torch.float64)[: 1021 * 1019 + 5_000]
    before = check_sum([values])
    for change in (lambda one: one[[0, 1021]].neg(), lambda one: one[[1021, 0]]):
        other = values.clone()
        other[[0, 1021]] = change(other)
        assert check_sum([other]) != before
    assert check_sum([-values]) != before
    far = values.clone()
    far[[0, 1021 * 1019]] = far[[1021 * 1019, 0]]
    assert check_sum([far]) == before  # what the page says is not seen


def test_versions_of_what_methods_compute_through_are_in_the_key(
    cache: ExplanationCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer = explainer_of(cache, Scaled())
    assert not is_hit(cache, explainer)
    assert cache_key.libraries()["numpy"] == np.__version__
    monkeypatch.setattr(cache_key, "libraries", lambda: {"captum": "0.0"})
    assert not is_hit(cache, explainer)
    assert weights_of(Scaled()) == weights_of(Scaled())


class Doubling(torch.overrides.TorchFunctionMode):
    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = function(*args, **(kwargs or {}))
        return found * 2 if function is torch.relu else found


class Watching(TorchDispatchMode):
    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "between",
    [Doubling, Watching, lambda: torch.autograd.graph.saved_tensors_hooks(lambda kept: kept, lambda kept: kept * 2)],
    ids=["functions", "operations", "saved tensors"],
)
def test_what_runs_between_all_operations_passes_the_cache_by(cache: ExplanationCache, between: Any) -> None:
    explainer = explainer_of(cache, Scaled())
    explainer.explain(SQUARE)
    with between():
        explainer.explain(SQUARE)
    assert (cache.stats()["hits"], cache.stats()["passed_by"]) == (0, 1)
    with torch.device("cpu"):  # a mode, too, which changes no number
        assert is_hit(cache, explainer)


class Scale(torch.Tensor):
    by: float


class Values(np.ndarray):
    by: float


class Hung(Scaled):
    """Reads what hangs on a weight, a tensor and an array of classes of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.tensor = torch.ones(1).as_subclass(Scale)
        self.array = np.ones(1).view(Values)
        self.steps.by = self.tensor.by = self.array.by = 1.0  # type: ignore[attr-defined]

    def forward(self, image: Tensor) -> Tensor:
        found: Tensor = super().forward(image) * self.steps.by * self.tensor.by * self.array.by
        return found


class Maker(type):
    by = 1.0


class Made(Hung, metaclass=Maker):
    def forward(self, image: Tensor) -> Tensor:
        found: Tensor = super().forward(image) * type(self).by
        return found


@pytest.mark.parametrize("place", ["steps", "tensor", "array"])
def test_what_hangs_on_numbers_is_seen(cache: ExplanationCache, place: str) -> None:
    model = Made()
    explainer = explainer_of(cache, model)
    assert not is_hit(cache, explainer)
    assert is_hit(cache, explainer)
    getattr(model, place).by = 2.0
    assert not is_hit(cache, explainer)


def test_the_class_of_a_class_is_seen(cache: ExplanationCache, monkeypatch: pytest.MonkeyPatch) -> None:
    explainer = explainer_of(cache, Made())
    explainer.explain(SQUARE)
    assert is_hit(cache, explainer)
    monkeypatch.setattr(Maker, "by", 2.0)
    assert not is_hit(cache, explainer)


def test_hooks_on_weights_and_operators_of_your_own_pass_the_cache_by(cache: ExplanationCache) -> None:
    model = Scaled()
    hook = model.steps.register_hook(lambda gradient: gradient * 2)
    with pytest.raises(CannotBeKeyedError, match=r"steps has hooks of your own"):
        structure_of(model)
    hook.remove()
    structure_of(model)
    library = torch.library.Library("seewhy_tests", "DEF")
    library.define("times(Tensor values) -> Tensor")
    library.impl("times", lambda values: values * SETTINGS["by"], "CompositeImplicitAutograd")

    class Operated(Scaled):
        def forward(self, image: Tensor) -> Tensor:
            return torch.ops.seewhy_tests.times(super().forward(image))

    explainer_of(cache, Operated()).explain(SQUARE)
    assert any("operators of torch.ops.seewhy_tests" in reason for reason in cache.stats()["reasons"])
    library._destroy()
