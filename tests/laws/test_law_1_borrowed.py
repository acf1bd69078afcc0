"""Law 1: parameters, buffers, gradients, hooks, flags and random state are as they were, also when something raises."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from itertools import count

import numpy as np
import pytest
import torch
from law_sweep import CASES, Case, Inputs, named
from torch import Tensor, nn

from borrowed import unchanged
from seewhy.capture.probe import Probe
from seewhy.capture.tokens import attention_of, find_attention
from seewhy.core import Wants
from seewhy.models.adapter import Adapter
from seewhy.models.borrow import borrowed
from seewhy.targets import Logit
from toys import ConvNet, Vit

LAYER = "body.1"
WANTS = Wants(activations=(LAYER,), gradients=(LAYER,), attention=True, embedding="head.input")


def lent() -> tuple[ConvNet, Inputs]:
    """A model in use: mixed train flags, a frozen layer, accumulated gradients, a hook of its owner."""
    model = ConvNet().train()
    model.body.eval()
    model.stem[0].weight.requires_grad_(False)
    model(torch.randn(4, 2, 8, 8)).sum().backward()
    model.head.register_forward_hook(lambda *_: None)
    return model, {"image": torch.randn(3, 2, 8, 8)}


@pytest.mark.parametrize("case", CASES, ids=named)
def test_every_method_returns_the_model_as_lent(case: Case) -> None:
    model, inputs = case.subject.model().train(), case.subject.inputs()
    with unchanged(model, *inputs.values()):
        case.explain(model, inputs)


class Interrupted(Exception):
    """Stands for whatever a user's code may raise."""


ON_TWO_FAMILIES = [case for case in CASES if case.subject.name in ("2-D convolutions", "tokens")]


@pytest.mark.parametrize("fail_at", [0, 1])
@pytest.mark.parametrize("case", ON_TWO_FAMILIES, ids=named)
def test_every_method_that_is_interrupted_returns_the_model_as_lent(case: Case, fail_at: int) -> None:
    """The model's head raises in the first or the second call that the method makes of it."""
    model, inputs = case.subject.model().train(), case.subject.inputs()
    adapter = case.subject.adapter(model, inputs)
    if case.method.needs_attention:
        attention_of(adapter)
    calls = count()
    handle = model.head.register_forward_hook(lambda *_: _raise(Interrupted) if next(calls) == fail_at else None)
    with unchanged(model, *inputs.values()), suppress(Interrupted):
        case.again(adapter, inputs)
    handle.remove()


def _raise(error: type[BaseException]) -> None:
    raise error


@pytest.mark.parametrize("requires_grad", [True, False])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad, torch.inference_mode])
def test_a_model_in_use_is_returned_as_lent(mode: Callable[[], object], requires_grad: bool) -> None:
    model, inputs = lent()
    model.requires_grad_(requires_grad)
    with mode(), unchanged(model, *inputs.values()):  # type: ignore[attr-defined]
        adapter = Adapter(model, inputs)
        find_attention(adapter, inputs)
        probe = Probe(adapter, [Logit(), Logit(2)])
        probe.score(inputs, edit={"stem": torch.zeros_like})
        probe.capture(inputs, WANTS)


@pytest.mark.parametrize("error", [Interrupted, KeyboardInterrupt])
@pytest.mark.parametrize("place", ["stem", LAYER, "body", "dropout", "head"])
def test_a_hook_that_raises_leaves_no_mark(place: str, error: type[BaseException]) -> None:
    model, inputs = lent()
    adapter = Adapter(model, inputs)

    def fail(*_: object) -> None:
        raise error

    handle = model.get_submodule(place).register_forward_hook(fail)
    with unchanged(model, *inputs.values()):
        for ask in (lambda: Probe(adapter, [Logit()]).capture(inputs, WANTS), lambda: Adapter(model, inputs)):
            with pytest.raises(error):
                ask()
    handle.remove()


@pytest.mark.parametrize("error", [Interrupted, KeyboardInterrupt])
def test_a_target_that_raises_leaves_no_mark(error: type[BaseException]) -> None:
    model, inputs = lent()
    adapter = Adapter(model, inputs)

    class Failing(Logit):
        def __call__(self, outputs: Tensor) -> Tensor:
            raise error

        def bind(self, outputs: Tensor) -> Logit:
            return self

    with unchanged(model, *inputs.values()), pytest.raises(error):
        Probe(adapter, [Failing()]).capture(inputs, WANTS)


@pytest.mark.parametrize("error", [Interrupted, KeyboardInterrupt])
def test_a_backward_that_raises_leaves_no_mark(error: type[BaseException]) -> None:
    class Explodes(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: object, gradient: Tensor) -> Tensor:  # type: ignore[override]
            raise error

    model, inputs = lent()
    adapter = Adapter(model, inputs)
    handle = model.body[2].register_forward_hook(lambda module, args, output: Explodes.apply(output))
    with unchanged(model, *inputs.values()), pytest.raises(error):
        Probe(adapter, [Logit()]).capture(inputs, WANTS)
    handle.remove()


def test_an_edit_that_raises_leaves_no_mark() -> None:
    model, inputs = lent()
    adapter = Adapter(model, inputs)

    def fail(_: Tensor) -> Tensor:
        raise Interrupted

    with unchanged(model, *inputs.values()), pytest.raises(Interrupted):
        Probe(adapter, [Logit()]).score(inputs, edit={"stem": fail})


def test_a_model_that_draws_random_numbers_does_not_advance_the_callers_generators() -> None:
    class Noisy(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            noise = random.random() + np.random.rand() + torch.rand(()).item()
            return image.flatten(2).mean(dim=2) + noise

    model, inputs = Noisy(), {"image": torch.randn(2, 3, 4, 4)}
    with unchanged(model):
        Probe(Adapter(model, inputs), [Logit(0)]).score(inputs)


def test_a_model_that_switches_its_own_flags_gets_them_back() -> None:
    model = ConvNet().eval()
    with unchanged(model), borrowed(model):
        model.train()


def test_everything_is_in_evaluation_mode_while_borrowed() -> None:
    model = ConvNet().train()
    with borrowed(model):
        assert not any(module.training for module in model.modules())
        assert not torch.is_grad_enabled()
    assert all(module.training for module in model.modules())


def test_attention_capture_that_raises_leaves_no_mode_behind() -> None:
    model = Vit()
    inputs = {"image": torch.randn(2, 2, 16, 16)}
    adapter = Adapter(model, inputs)

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    handle = model.norm.register_forward_hook(fail)
    with unchanged(model), pytest.raises(KeyboardInterrupt):
        Probe(adapter, []).capture(inputs, Wants(attention=True))
    handle.remove()
