"""The watchers of law 1 see every mark they are there to see."""

from __future__ import annotations

import os
import random
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from borrowed import unchanged
from surroundings import generators, hook_registrations, marks_since, seeded, surroundings


def small_model() -> nn.Sequential:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2)).eval()
    model[0].weight.grad = torch.ones_like(model[0].weight)
    return model


def an_image() -> Tensor:
    return torch.rand(1, 3, 4, 4)


def advance_statistics(model: nn.Sequential) -> None:
    model.train()
    model(torch.rand(2, 3, 4, 4))
    model.eval()


def wrap_forward(model: nn.Sequential) -> None:
    forward = model[3].forward
    model[3].forward = lambda x: forward(x)


def replace_weight(model: nn.Sequential) -> None:
    model[3].weight = nn.Parameter(model[3].weight.detach().clone())


def fill(tensor: Tensor, value: float) -> None:
    with torch.no_grad():
        tensor.fill_(value)


def hook(*_: object, **__: object) -> None:
    """Does nothing; only its presence matters."""


MARKS: dict[str, Callable[[nn.Sequential], object]] = {
    "a weight": lambda m: fill(m[0].weight, 0.5),
    "a buffer": advance_statistics,
    "the sign of a zero": lambda m: fill(m[1].bias, -0.0),
    "a gradient's values": lambda m: m[0].weight.grad.zero_(),
    "a gradient's identity": lambda m: setattr(m[0].weight, "grad", m[0].weight.grad.clone()),
    "a new gradient": lambda m: m(an_image()).sum().backward(),
    "requires_grad": lambda m: m[3].weight.requires_grad_(False),
    "a part in training mode": lambda m: m[1].train(),
    "a replaced parameter": replace_weight,
    "a replaced part": lambda m: setattr(m, "3", nn.Linear(16, 2)),
    "a wrapped forward": wrap_forward,
    "a new attribute": lambda m: setattr(m[0], "tapped", True),
    "precision": lambda m: m.double(),
    "a forward hook": lambda m: m[0].register_forward_hook(hook),
    "a forward hook with keyword arguments": lambda m: m[0].register_forward_hook(hook, with_kwargs=True),
    "a forward hook always called": lambda m: m[0].register_forward_hook(hook, always_call=True),
    "a forward pre-hook": lambda m: m[0].register_forward_pre_hook(hook),
    "a backward hook": lambda m: m[0].register_full_backward_hook(hook),
    "a backward pre-hook": lambda m: m[0].register_full_backward_pre_hook(hook),
    "a state dict hook": lambda m: m.register_state_dict_post_hook(hook),
    "a loading hook": lambda m: m.register_load_state_dict_pre_hook(hook),
    "a parameter's hook": lambda m: m[0].weight.register_hook(hook),
    "a parameter's accumulation hook": lambda m: m[0].weight.register_post_accumulate_grad_hook(hook),
    "python's generator": lambda m: random.random(),
    "numpy's generator": lambda m: np.random.rand(),
    "torch's generator": lambda m: torch.rand(1),
}


@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_on_a_lent_model_is_seen(mark: str) -> None:
    model = small_model()
    with pytest.raises(AssertionError, match="not returned as lent"), unchanged(model):
        MARKS[mark](model)


def fail_halfway(model: nn.Sequential) -> None:
    model[1].train()
    raise KeyError("the user's own error")


def test_a_mark_is_seen_when_the_call_raises() -> None:
    model = small_model()
    with pytest.raises(AssertionError, match=r"1\.training"), unchanged(model):
        fail_halfway(model)


def test_the_calls_own_error_comes_through_an_untouched_model() -> None:
    with pytest.raises(KeyError, match="the user's own error"), unchanged(small_model()):
        raise KeyError("the user's own error")


def test_grad_mode_left_off_is_seen() -> None:
    was = torch.is_grad_enabled()
    with pytest.raises(AssertionError, match="grad mode: True became False"), unchanged(small_model()):
        torch.set_grad_enabled(False)
    torch.set_grad_enabled(was)


def test_a_global_module_hook_is_seen() -> None:
    with pytest.raises(AssertionError, match="_global_forward_hooks"), unchanged(small_model()):
        handle = nn.modules.module.register_module_forward_hook(hook)
    handle.remove()


@pytest.mark.parametrize("spoil", [lambda x: x.add_(1), lambda x: x.requires_grad_(), lambda x: x.resize_(1, 3, 2, 2)])
def test_a_mark_on_a_lent_tensor_is_seen(spoil: Callable[[Tensor], object]) -> None:
    image = an_image()
    with pytest.raises(AssertionError, match="lent tensor 0"), unchanged(small_model(), image):
        spoil(image)


def test_hooks_put_and_removed_and_a_pass_without_gradient_leave_no_mark() -> None:
    model, image = small_model(), torch.full((1, 3, 4, 4), torch.nan)
    with unchanged(model, image), torch.no_grad():
        handle = model[0].register_forward_hook(hook)
        model(image)
        handle.remove()


def test_drawing_is_allowed_where_asked_for() -> None:
    with unchanged(small_model(), random=False):
        torch.rand(1)


@pytest.fixture
def undo() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def leave_signal_handler(undo: ExitStack) -> None:
    undo.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, hook))


def leave_directory(undo: ExitStack) -> None:
    undo.callback(os.chdir, Path.cwd())
    os.chdir(Path.cwd().parent)


def leave_variable(undo: ExitStack) -> None:
    undo.callback(os.environ.pop, "SEEWHY_LEFT_BEHIND")
    os.environ["SEEWHY_LEFT_BEHIND"] = "1"


def leave_filter(undo: ExitStack) -> None:
    undo.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")


def leave_dtype(undo: ExitStack) -> None:
    undo.callback(torch.set_default_dtype, torch.get_default_dtype())
    torch.set_default_dtype(torch.float64)


def leave_cudnn_flag(undo: ExitStack) -> None:
    undo.callback(setattr, torch.backends.cudnn, "benchmark", torch.backends.cudnn.benchmark)
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark


def leave_threads(undo: ExitStack) -> None:
    undo.callback(torch.set_num_threads, torch.get_num_threads())
    torch.set_num_threads(torch.get_num_threads() + 1)


def leave_function_mode(undo: ExitStack) -> None:
    undo.enter_context(torch.overrides.BaseTorchFunctionMode())


def leave_plot_setting(undo: ExitStack) -> None:
    import matplotlib

    undo.enter_context(matplotlib.rc_context())
    matplotlib.rcParams["lines.linewidth"] = 7.0


@pytest.mark.parametrize(
    ("leave", "named"),
    [
        (leave_signal_handler, f"signal {signal.SIGTERM}"),
        (leave_directory, "working directory"),
        (leave_variable, "variable SEEWHY_LEFT_BEHIND"),
        (leave_filter, "warning filters"),
        (leave_dtype, "default dtype"),
        (leave_cudnn_flag, "cudnn flags"),
        (leave_threads, "threads"),
        (leave_function_mode, "function modes"),
        (leave_plot_setting, "rcParams lines.linewidth"),
    ],
)
def test_a_mark_on_the_process_is_seen(leave: Callable[[ExitStack], None], named: str, undo: ExitStack) -> None:
    pytest.importorskip("matplotlib")
    before = surroundings()
    assert marks_since(before) == []
    leave(undo)
    assert [line.split(":")[0] for line in marks_since(before)] == [named]


def test_generators_are_seeded_inside_and_put_back_after() -> None:
    before = generators()
    with seeded(3):
        first = (random.random(), np.random.rand(), torch.rand(1).item())
    with seeded(3):
        assert (random.random(), np.random.rand(), torch.rand(1).item()) == first
    assert before.changes_to(generators()) == []


def as_if_of_seewhy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook, "__module__", "seewhy.capture.taps")


def test_a_hook_of_ours_is_missed_neither_plain_nor_partial(monkeypatch: pytest.MonkeyPatch) -> None:
    as_if_of_seewhy(monkeypatch)
    with hook_registrations() as left:
        kept = [small_model()[0].register_forward_hook(one) for one in (hook, partial(hook, 1))]
        small_model()[0].register_forward_hook(hook).remove()
        assert len(left()) == len(kept)


def test_hooks_of_others_and_on_passing_tensors_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with hook_registrations() as left:
        handle = small_model()[0].register_forward_hook(hook)
        assert left() == []
        handle.remove()
        as_if_of_seewhy(monkeypatch)
        an_image().requires_grad_().mul(2).register_hook(hook)
        assert left() == []
