"""What a faster model cannot be made of is told before anything is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from clocked_models import Clocked, faster_by, optimised
from torch import Tensor

import seewhy
from borrowed import unchanged
from seewhy.explain.batch_error import BatchError
from seewhy.values import ModelError, SeewhyError


@pytest.fixture
def example() -> Tensor:
    return torch.randn(4, 3, 16, 16)


def test_what_cannot_be_is_refused(example: Tensor) -> None:
    model, other_channels = faster_by(), torch.randn(4, 7, 16, 16)
    with unchanged(model):
        with pytest.raises(BatchError, match="SW-O10"):
            optimised(model, example=other_channels)
        with pytest.raises(BatchError, match="SW-O11"):
            optimised(model, example=example, tolerance=-1)
        with pytest.raises(BatchError, match="SW-O11"):
            optimised(model, example=example, rounds=0)
        with pytest.raises(BatchError, match=r"SW-O10.*an example of shape \(0, 3, 16, 16\) holds no"):
            optimised(model, example=example[:0])
    with pytest.raises(ModelError, match="SW-M20"):
        optimised("resnet18")  # type: ignore[arg-type]


def raising(error: Exception) -> Callable[[], Any]:
    def agrees() -> Any:
        raise error

    return agrees


@pytest.mark.parametrize(
    ("agrees_on", "told"),
    [
        (3, "agrees_on must be a function without arguments, got int 3"),
        (lambda one: one, r"agrees_on\(\) raised TypeError"),
        (raising(ValueError("mine")), r"agrees_on\(\) raised ValueError: mine"),
        (raising(RuntimeError("mine")), r"agrees_on\(\) raised RuntimeError: mine"),
        (lambda: None, "floating-point numbers to compare, got NoneType"),
        (lambda: "text", "floating-point numbers to compare, got str"),
    ],
)
def test_what_shall_agree_is_asked_before_anything_is_tried(agrees_on: Any, told: str, example: Tensor) -> None:
    model = faster_by(0.5, 0.5).train()
    with unchanged(model), pytest.raises(BatchError, match=f"SW-O12.*{told}"):
        optimised(model, example=example, agrees_on=agrees_on)


def test_an_error_of_seewhy_in_what_shall_agree_is_its_own(example: Tensor) -> None:
    model = faster_by(0.5)
    with unchanged(model), pytest.raises(SeewhyError, match="SW-L01"):
        optimised(model, example=example, agrees_on=lambda: seewhy.GradCAM(model, "none").explain(example[0]))


@pytest.mark.parametrize("error", [AssertionError("no"), ZeroDivisionError("no"), NotImplementedError("no")])
def test_whatever_a_model_raises_at_its_example_is_told(error: Exception, example: Tensor) -> None:
    def seconds(is_last: bool, is_auto: bool) -> float:
        raise error

    model = Clocked(seconds)
    with unchanged(model), pytest.raises(BatchError, match=rf"SW-O10.*\(4, 3, 16, 16\): {type(error).__name__}: no"):
        optimised(model, example=example)
