"""A model that runs faster for a while: what is measured decides, and it comes back as it was.

No test looks at a real clock: the models here move the hands themselves.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from clocked_models import HANDS, Clocked, faster_by, optimised
from torch import Tensor, nn

import seewhy
from borrowed import unchanged
from seewhy.explain.batch_error import BatchError
from seewhy.explain.inference import OptimizedModel, optimize_for_inference
from seewhy.explain.inference_changes import Autocast, ChannelsLast, Compiled, EvaluationMode
from seewhy.explain.inference_report import OptimizationReport
from seewhy.explain.inference_trial import largest_difference
from toys import ConvNet


@pytest.fixture
def example() -> Tensor:
    return torch.randn(4, 3, 16, 16)


@pytest.mark.parametrize(
    ("layout", "autocast", "kept"),
    [
        (0.5, 0.5, ("channels last", "autocast bfloat16")),
        (0.5, 0.97, ("channels last",)),
        (1.2, 0.94, ("autocast bfloat16",)),
        (1.0, 1.0, ()),
    ],
)
def test_what_is_clearly_faster_is_kept(layout: float, autocast: float, kept: tuple[str, ...], example: Tensor) -> None:
    report = optimised(faster_by(layout, autocast), example=example).report
    assert report.kept == kept
    assert [one.ratio for one in report.candidates] == pytest.approx([layout, autocast])
    by_name = {"channels last": layout, "autocast bfloat16": autocast}
    assert report.speedup == pytest.approx(1 / np.prod([by_name[name] for name in kept]))


def test_what_is_faster_in_too_few_rounds_is_dropped(example: Tensor) -> None:
    calls = [0]

    def seconds(is_last: bool, is_auto: bool) -> float:
        calls[0] += is_last
        return (2.0 if calls[0] % 5 in (0, 2) else 0.5) if is_last else 1.0

    layout, _ = optimised(Clocked(seconds), example=example, rounds=10).report.candidates
    assert layout.ratio == 0.5
    assert not layout.kept
    assert "too few of the rounds" in layout.reason


def test_outputs_that_change_too_much_are_dropped_however_fast(example: Tensor) -> None:
    _, autocast = optimised(faster_by(autocast=0.1), example=example, tolerance=1e-7).report.candidates
    assert not autocast.kept
    assert autocast.difference > 1e-7
    assert "tolerance" in autocast.reason


def test_maps_can_be_asked_to_agree_too(example: Tensor) -> None:
    model = faster_by(autocast=0.1)
    alone = optimised(model, example=example, tolerance=5e-3)
    assert "autocast bfloat16" in alone.report.kept
    alone.restore()
    explainer = seewhy.InputXGradient(model)
    fast = optimised(model, example=example, tolerance=5e-3, agrees_on=lambda: explainer.attribute(example).map)
    assert "autocast bfloat16" not in fast.report.kept
    fast.restore()


def test_inside_the_faster_model_answers_and_outside_it_is_as_it_was(example: Tensor) -> None:
    model = faster_by(0.5, 0.5).train()
    before = model.eval()(example).detach()
    model.train()
    model.drop.eval()
    with unchanged(model, example):
        with optimised(model, example=example) as fast:
            assert model.first.weight.is_contiguous(memory_format=torch.channels_last)
            assert not model.training
            said = fast(example)
            assert said.dtype is torch.bfloat16
            assert not said.requires_grad
            assert largest_difference(before, said) < 0.02
        assert not model.first.weight.is_contiguous(memory_format=torch.channels_last)


def test_an_error_inside_gives_the_model_back(example: Tensor) -> None:
    model = faster_by(0.5, 0.5)
    with unchanged(model), pytest.raises(ValueError, match="mine"), optimised(model, example=example):
        raise ValueError("mine")


class Breaking(Exception):
    """What nobody foresaw."""


def test_an_error_while_measuring_gives_the_model_back(example: Tensor) -> None:
    def seconds(is_last: bool, is_auto: bool) -> float:
        if is_auto:
            raise Breaking
        return 0.5 if is_last else 1.0

    model = Clocked(seconds)
    with unchanged(model), pytest.raises(Breaking):
        optimised(model, example=example)


def test_a_change_the_model_cannot_run_with_is_dropped_with_its_reason(example: Tensor) -> None:
    def seconds(is_last: bool, is_auto: bool) -> float:
        if is_auto:
            raise RuntimeError("no kernel for bfloat16")
        return 1.0

    model = Clocked(seconds)
    with unchanged(model):
        fast = optimised(model, example=example)
        _, autocast = fast.report.candidates
        assert (autocast.kept, autocast.ratio) == (False, None)
        assert "no kernel for bfloat16" in autocast.reason
        fast.restore()


@pytest.fixture
def fast_model() -> Iterator[tuple[Clocked, OptimizedModel]]:
    model = faster_by(0.5, 0.5)
    fast = optimised(model, example=torch.randn(4, 3, 16, 16))
    yield model, fast
    fast.restore()


@pytest.mark.parametrize("name", ["GradCAM", "HiResCAM", "Gradient", "IntegratedGradients"])
def test_explainers_of_the_model_and_of_the_faster_one_give_its_maps(
    name: str, example: Tensor, fast_model: tuple[Clocked, OptimizedModel]
) -> None:
    model, fast = fast_model
    fast.restore()
    explainer = getattr(seewhy, name)(model)
    wanted = explainer.attribute(example, 2).map
    with fast:
        found = [one.attribute(example, 2).map for one in (explainer, getattr(seewhy, name)(fast))]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], wanted)
    together = torch.stack([found[0].flatten().float(), wanted.flatten()])
    assert float(torch.corrcoef(together)[0, 1]) > 0.99
    assert torch.equal(explainer.attribute(example, 2).map, wanted)


@pytest.mark.parametrize("name", ["GradCAM", "Gradient", "ScoreCAM", "Occlusion", "FullGrad"])
def test_where_weights_lie_changes_maps_by_rounding_alone(name: str, example: Tensor) -> None:
    model = faster_by(0.5)
    explainer = getattr(seewhy, name)(model)
    wanted = explainer.attribute(example, 2).map
    with optimised(model, example=example) as fast:
        assert fast.report.kept == ("channels last",)
        found = explainer.attribute(example, 2).map
    assert float((found - wanted).abs().max()) < 1e-3 * float(wanted.abs().max())


def test_without_a_with_the_model_stays_faster_until_it_is_restored(example: Tensor) -> None:
    model = faster_by(0.5, 0.5).eval()
    with unchanged(model):
        fast = optimised(model, example=example)
        assert fast(example).dtype is torch.bfloat16
        assert fast.last is model.last
        assert fast.restore() is model
        assert fast(example).dtype is torch.float32
        with fast:
            assert fast(example).dtype is torch.bfloat16
        fast.restore()


def test_a_gradient_is_recorded_only_where_an_input_asks_for_one(
    example: Tensor, fast_model: tuple[Clocked, OptimizedModel]
) -> None:
    _, fast = fast_model
    asking = example.clone()
    asking.requires_grad = True
    (gradient,) = torch.autograd.grad(fast(asking).float().sum(), asking)
    assert gradient.shape == example.shape
    assert not fast(example).requires_grad


def test_what_is_written_to_weights_meanwhile_is_kept(fast_model: tuple[Clocked, OptimizedModel]) -> None:
    model, fast = fast_model
    own = fast.restore().first.weight.data_ptr()
    with fast, torch.no_grad():
        model.first.weight.fill_(0.25)
    assert bool((model.first.weight == 0.25).all())
    assert model.first.weight.data_ptr() == own
    with torch.no_grad():
        model.first.weight.fill_(0.5)
    with fast:
        assert bool((model.first.weight == 0.5).all())


def test_a_weight_replaced_meanwhile_is_left_as_it_is() -> None:
    model = faster_by()
    layout = ChannelsLast(model)
    layout.on()
    replacement = torch.zeros_like(model.first.weight.data)
    model.first.weight.data = replacement
    layout.off()
    assert model.first.weight.data_ptr() == replacement.data_ptr()


def test_a_copy_of_a_model_under_autocast_runs_its_own_weights(example: Tensor) -> None:
    model = faster_by()
    autocast = Autocast(model, torch.bfloat16, "cpu")
    autocast.on()
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.fc.bias += 100
    assert float(other(example).detach().min()) > 50 > float(model(example).detach().max())
    autocast.off()


def test_a_copy_of_an_optimised_model_is_given_back_by_itself(example: Tensor) -> None:
    model = faster_by(0.5, 0.5).train()
    model.drop.eval()
    before = copy.deepcopy(model)
    with unchanged(model):
        fast = optimised(model, example=example)
        other = copy.deepcopy(fast)
        copied = other.restore()
        assert [one.training for one in copied.modules()] == [one.training for one in before.modules()]
        assert [one.stride() for one in copied.parameters()] == [one.stride() for one in before.parameters()]
        assert torch.equal(copied.eval()(example), before.eval()(example))
        assert not model.training
        assert model.first.weight.is_contiguous(memory_format=torch.channels_last)
        assert fast(example).dtype is torch.bfloat16
        with other:
            assert other(example).dtype is torch.bfloat16
        fast.restore()


def test_compiled_code_of_a_copy_asks_the_copy(monkeypatch: pytest.MonkeyPatch, example: Tensor) -> None:
    monkeypatch.setattr(torch, "compile", lambda call: lambda *args: call(*args))
    model = faster_by()
    compiled = Compiled(model)
    compiled.on()
    changed = copy.deepcopy(OptimizedModel(model, (compiled,), OptimizationReport((), "")))
    with torch.no_grad():
        changed.fc.bias += 100
    assert float(changed(example).min()) > 50 > float(compiled.call(example).detach().max())


def test_float16_on_a_cpu_is_said_not_to_be_used(example: Tensor) -> None:
    report = optimised(faster_by(), True, example=example).report
    half = next(one for one in report.candidates if one.name == "autocast float16")
    assert not half.kept
    assert "CUDA alone" in half.reason
    assert "autocast bfloat16" in [one.name for one in report.candidates]
    assert "autocast float16: dropped" in str(report)


def test_a_compiler_that_fails_is_reported(monkeypatch: pytest.MonkeyPatch, example: Tensor) -> None:
    def failing(model: nn.Module) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            raise RuntimeError("no C++ compiler is found")

        return call

    monkeypatch.setattr(torch, "compile", failing)
    fast = optimised(faster_by(), example=example, compile=True)
    *_, compiled = fast.report.candidates
    assert (compiled.name, compiled.kept) == ("torch.compile", False)
    assert "no C++ compiler" in compiled.reason
    assert fast(example).shape == (4, 5)


def test_compiled_code_serves_plain_calls_where_it_is_faster(monkeypatch: pytest.MonkeyPatch, example: Tensor) -> None:
    def halving(model: nn.Module) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            begin = HANDS[0]
            said = model(*args)
            HANDS[0] = begin + 0.5 * (HANDS[0] - begin)
            return said

        return call

    monkeypatch.setattr(torch, "compile", halving)
    model = faster_by()
    with optimised(model, example=example, compile=True) as fast:
        assert fast.report.kept == ("torch.compile",)
        begin = HANDS[0]
        fast(example)
        assert HANDS[0] - begin == pytest.approx(0.5)
    begin = HANDS[0]
    fast(example)
    assert HANDS[0] - begin == pytest.approx(1.0)


def test_without_an_example_noise_of_the_models_own_size_is_used_and_said() -> None:
    model = ConvNet(channels=5)
    fast = optimised(model, rounds=1)
    assert fast.report.example == "an example of shape (4, 5, 224, 224), noise made up, since no example was given"
    fast.restore()


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, left: Tensor, right: Tensor) -> dict[str, Tensor]:
        return {"logits": (self.conv(left) - self.conv(right)).mean(dim=(2, 3))}


@pytest.mark.parametrize("as_keywords", [False, True])
def test_models_of_several_inputs_are_called_as_the_example_says(example: Tensor, as_keywords: bool) -> None:
    given = {"left": example, "right": -example} if as_keywords else (example, -example)
    fast = optimised(TwoInputs(), example=given, rounds=1)
    assert all(one.difference < 0.02 for one in fast.report.candidates)
    assert fast.report.example == "an example of shape (4, 3, 16, 16) and (4, 3, 16, 16)"
    fast.restore()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (torch.tensor([1.0, 3.0]), torch.tensor([1.0, 2.0]), 0.5),
        ({"a": torch.zeros(2)}, {"a": torch.zeros(2)}, 0.0),
        ({"a": torch.zeros(2)}, {"a": torch.ones(2)}, float("inf")),
        (torch.zeros(2), torch.zeros(3), float("inf")),
        (torch.tensor([0.0, 1.0]), torch.tensor([0.0, float("nan")]), float("inf")),
        ([torch.tensor([0.0, 1.0]), np.array([0.0, 2.0])], [torch.tensor([0.0, 1.1]), np.array([0.0, 2.0])], 0.1),
        ("no", "tensors", float("inf")),
    ],
)
def test_differences_are_relative_to_the_range(before: Any, after: Any, expected: float) -> None:
    assert largest_difference(before, after) == pytest.approx(expected)


@pytest.mark.slow
def test_real_compiled_code_leaves_no_mark_on_the_model(example: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    variable = "_TORCHINDUCTOR_PYOBJECT_TENSOR_DATA_PTR"  # the compiler's own, set whenever it runs
    monkeypatch.setenv(variable, "")  # so that it is taken away at the end
    monkeypatch.delenv(variable)
    model = ConvNet(channels=3)
    with unchanged(model), optimize_for_inference(model, example=example, compile=True, rounds=1) as fast:
        compiled = fast.report.candidates[-1]
        assert compiled.name == "torch.compile"
        assert fast(example).shape == (4, 3)
    if compiled.ratio is None:
        pytest.skip(f"nothing was compiled here: {compiled.reason}")
    assert compiled.difference < 0.02


@pytest.mark.parametrize("training", [True, False])
def test_two_uses_that_end_in_any_order_leave_the_mode_there_was(training: bool) -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 1)).train(training)
    one, other = EvaluationMode(model), EvaluationMode(model)
    one.on()
    other.on()
    one.off()
    assert not model[0].training  # the other still runs it
    other.off()
    one.off()
    assert [module.training for module in model.modules()] == [training, training]


def test_an_optimised_model_is_not_trained_and_a_tolerance_is_a_number() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 1)).train()
    fast = OptimizedModel(model, (), OptimizationReport((), ""))
    with pytest.raises(BatchError, match="SW-O15"):
        fast.train()
    assert fast.eval() is fast
    assert model.training
    with pytest.raises(BatchError, match="SW-O11"):
        seewhy.optimize_for_inference(model, tolerance="a")  # type: ignore[arg-type]


def test_uses_that_overlap_in_any_order_give_the_model_back(example: Tensor) -> None:
    model = faster_by(0.5, 0.5).train()
    with unchanged(model):
        first = optimised(model, example=example)
        first.restore()
        second = optimised(model, example=example)
        with first:  # its weights lie otherwise already, for the sake of the second
            second.restore()
            assert first(example).dtype is torch.bfloat16
