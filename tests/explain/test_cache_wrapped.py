"""What a function of an installed package was made around, and what hangs on a function, is told by its value."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from cached_models import SQUARE, Scaled, explainer_of, is_hit
from torch import Tensor, nn

from seewhy import ExplanationCache
from seewhy.explain.cache_canonical import CannotBeKeyedError
from seewhy.explain.cache_values import Tokens


class Gain:
    def __init__(self, by: float) -> None:
        self.by = by

    def times(self, values: Tensor) -> Tensor:
        return values * self.by

    def __call__(self, values: Tensor) -> Tensor:
        return values * self.by


def times(values: Tensor, by: float) -> Tensor:
    return values * by


def with_attribute(by: float) -> Callable[[Tensor], Tensor]:
    def gain(values: Tensor) -> Tensor:
        return values * gain.by  # type: ignore[attr-defined]

    gain.by = by  # type: ignore[attr-defined]
    return gain


def kept(by: float) -> Any:
    @functools.lru_cache
    def gain(values: Tensor) -> Tensor:
        return values * gain.by  # type: ignore[attr-defined]

    gain.by = by  # type: ignore[attr-defined]
    return gain


def dispatched(by: float) -> Any:
    @functools.singledispatch
    def gain(values: Tensor) -> Tensor:
        return values

    gain.register(nn.Parameter, Gain(by))
    return gain


class OwnPartial(functools.partial[Any]):
    by = 0.0


def own_partial(by: float) -> OwnPartial:
    made = OwnPartial(times)
    made.by = by
    return made


class OwnPath(os.PathLike[str]):
    def __init__(self, by: float) -> None:
        self.by = by

    def __fspath__(self) -> str:
        return "a"


class OwnLogger(logging.Logger):
    def __init__(self, by: float) -> None:
        super().__init__("own")
        self.by = by


MAKE: list[Callable[[float], Any]] = [
    lambda by: torch.func.vmap(Gain(by).times),
    lambda by: torch.func.vmap(Gain(by)),
    lambda by: torch.func.vmap(functools.partial(times, by=by)),
    lambda by: torch.enable_grad()(Gain(by).times),
    with_attribute,
    kept,
]


@pytest.mark.parametrize("make", [*MAKE, dispatched, own_partial, OwnPath, OwnLogger])
def test_values_behind_a_wrapper_are_told_apart_or_refused(make: Callable[[float], Any]) -> None:
    try:
        one, other = Tokens({}).of(make(6.0)), Tokens({}).of(make(-6.0))
    except CannotBeKeyedError:
        assert make not in MAKE
    else:
        assert one != other
        assert Tokens({}).of(make(6.0)) == one


class Wrapped(Scaled):
    def __init__(self, times: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.times = times

    def forward(self, image: Tensor) -> Tensor:
        return self.times(super().forward(image))


@pytest.mark.parametrize("wrap", [torch.func.vmap, torch.enable_grad()])
def test_an_object_that_changes_behind_a_wrapper_is_seen(cache: ExplanationCache, wrap: Any) -> None:
    gain = Gain(1.0)
    explainer = explainer_of(cache, Wrapped(wrap(gain.times)))
    assert [is_hit(cache, explainer) for _ in range(2)] == [False, True]
    gain.by = 5.0
    assert not is_hit(cache, explainer)


def test_a_foreign_module_behind_a_wrapper_is_passed_by(cache: ExplanationCache) -> None:
    explainer_of(cache, Wrapped(torch.func.vmap(nn.Linear(2, 2)))).explain(SQUARE)
    assert cache.stats()["num_entries"] == 0
    assert list(cache.stats()["reasons"]) == ["the model holds a Linear that is none of its parts"]


def test_which_part_of_the_model_a_wrapper_calls_is_seen(cache: ExplanationCache) -> None:
    model = Wrapped(nn.Identity())
    model.one, model.two = nn.Linear(2, 2), nn.Linear(2, 2)
    del model.times
    explainer = explainer_of(cache, model)
    for part, hit in ((model.one, False), (model.one, True), (model.two, False)):
        object.__setattr__(model, "times", torch.enable_grad()(part.forward))
        assert is_hit(cache, explainer) is hit
