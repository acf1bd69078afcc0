"""Many calls, also ones that raise, leave no hook on the model and no tensor behind."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit
from toys import ConvNet, Vit

TABLES = (
    "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called", "_forward_pre_hooks_with_kwargs",
)  # fmt: skip
CALLS: dict[str, tuple[type[nn.Module], dict[str, object]]] = {
    "gradcam": (ConvNet, {}),
    "integrated_gradients": (ConvNet, {"steps": 4, "baseline": "mean"}),
    "rollout": (Vit, {}),
}


def hooks(model: nn.Module) -> int:
    return sum(len(getattr(module, table)) for module in model.modules() for table in TABLES)


def tensors() -> int:
    gc.collect()
    return sum(type(thing) is Tensor or type(thing) is nn.Parameter for thing in gc.get_objects())


def growth(call: Callable[[], object], times: int) -> int:
    """By how many tensors the process holds more after ``times`` calls, the first few aside."""
    for _ in range(3):
        call()
    before = tensors()
    for _ in range(times):
        call()
    return tensors() - before


MOST_SLOWLY = [name if name == "gradcam" else pytest.param(name, marks=pytest.mark.slow) for name in CALLS]


@pytest.mark.parametrize("name", MOST_SLOWLY)
def test_two_hundred_calls_leave_nothing_behind(name: str) -> None:
    build, settings = CALLS[name]
    model, inputs = build().eval(), {"image": torch.randn(1, 2, 16, 16)}
    probe = Probe(Adapter(model, inputs), [Logit()])
    assert growth(lambda: Asked(name, settings=settings)(probe, inputs), 200) == 0
    assert hooks(model) == 0


def test_a_new_adapter_for_every_call_leaves_nothing_behind() -> None:
    model, inputs = ConvNet().eval(), {"image": torch.randn(1, 2, 16, 16)}
    assert growth(lambda: Asked("gradcam")(Probe(Adapter(model, inputs), [Logit()]), inputs), 50) == 0
    assert hooks(model) == 0


class Broken(Exception):
    """Stands for whatever a model may raise."""


@pytest.mark.parametrize("name", MOST_SLOWLY)
def test_a_hundred_calls_that_raise_leave_nothing_behind(name: str) -> None:
    build, settings = CALLS[name]
    model, inputs = build().eval(), {"image": torch.randn(1, 2, 16, 16)}
    probe = Probe(Adapter(model, inputs), [Logit()])
    Asked(name, settings=settings)(probe, inputs)

    def fail(*_: object) -> None:
        raise Broken

    def call() -> None:
        with pytest.raises(Broken):
            Asked(name, settings=settings)(probe, inputs)

    handle = model.head.register_forward_hook(fail)
    assert growth(call, 100) == 0
    handle.remove()
    assert hooks(model) == 0
