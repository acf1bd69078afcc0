"""A model run faster for as long as it is wanted, by what is measured to help, and given back as it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from seewhy.data.images import Preprocessing
from seewhy.explain.batch_error import BatchError
from seewhy.explain.inference_changes import Autocast, Change, ChannelsLast, Compiled, EvaluationMode
from seewhy.explain.inference_checks import require_agreement, require_answer, require_settings
from seewhy.explain.inference_report import Candidate, OptimizationReport
from seewhy.explain.inference_trial import Trial
from seewhy.explain.prepared import prepare
from seewhy.explain.reading import require_model
from seewhy.explain.recipe import find_recipe
from seewhy.explain.study import Study
from seewhy.models.borrow import borrowed, unwrapped

ROWS_ON_CPU, ROWS_ELSEWHERE = 4, 16


class OptimizedModel(nn.Module):
    """A model while it runs faster; made by :func:`optimize_for_inference`.

    Called like the model, in evaluation mode, without a graph unless an input asks for a gradient. Attributes of the
    model's own are found here too; what every module has is that of a wrapper: names of parameters and keys of
    ``state_dict()`` begin with ``_orig_mod.``, as those of ``torch.compile`` do. To save weights, ask the model.
    Explainers of it, and of the model itself, see the faster model; compiled code serves plain calls alone, since hooks
    do not see into it. A deep copy is a faster copy of the model, restored by itself.

    Attributes:
        report: what was tried, with the measured ratios, and why each was kept or dropped.
    """

    def __init__(self, model: nn.Module, changes: tuple[Change, ...], report: OptimizationReport) -> None:
        super().__init__()
        self.training = False
        self._orig_mod = model  # the name by which wrappers of a model are taken off
        self._changes, self.report = changes, report
        self._compiled = next((one for one in changes if isinstance(one, Compiled)), None)

    def forward(self, *args: Any, **keywords: Any) -> Any:
        """What the model answers."""
        call: Callable[..., Any] = self._orig_mod if self._compiled is None else self._compiled.call
        asks = any(isinstance(given, Tensor) and given.requires_grad for given in (*args, *keywords.values()))
        with torch.set_grad_enabled(asks and torch.is_grad_enabled()):
            return call(*args, **keywords)

    def train(self, mode: bool = True) -> Self:
        """It stays in evaluation mode. Raises ``BatchError`` ``SW-O15`` where another is asked for."""
        if mode:
            raise BatchError(
                "SW-O15", "a model that is optimised for inference stays in evaluation mode",
                fix="train the model itself after restore(), or after the `with`",
            )  # fmt: skip
        return self

    def restore(self) -> nn.Module:
        """The model as it was before, in storage, strides and flags; the same object. May be called again."""
        with ExitStack() as undone:
            for change in self._changes:
                undone.callback(change.off)
        return self._orig_mod

    def __enter__(self) -> Self:
        for change in self._changes:
            change.on()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restore()

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("_orig_mod"), name)


def optimize_for_inference(
    model: nn.Module,
    use_fp16: bool = False,
    *,
    example: Tensor | tuple[Any, ...] | Mapping[str, Any] | None = None,
    bf16: bool = True,
    compile: bool = False,
    tolerance: float = 0.02,
    agrees_on: Callable[[], Any] | None = None,
    rounds: int = 7,
    clock: Callable[[], float] = time.perf_counter,
) -> OptimizedModel:
    """Run a model faster, by those of channels-last weights, autocast and ``torch.compile`` that help on an example.

    Each is measured in turns with the model without it, and kept only where it is clearly faster (the median ratio at
    most 0.95, three quarters of the ratios below 1) and no output changes by more than ``tolerance`` times the range of
    the outputs. ``report`` of what is returned tells each ratio and difference. Use it in a ``with``, which gives the
    model back as it was; without one, the model stays faster until ``restore()`` is called. While it is faster, its
    convolutions' weights are held twice.

    Args:
        model: any model; the changes are made to it, and taken back.
        use_fp16: try float16, on CUDA; elsewhere the report says that it is not used.
        example: what the model is called with: a tensor, a tuple of arguments, or a mapping of keywords. Where None,
            noise of the size that the model's preprocessing names, which the report says. Give the
            batch size that will be used: what is faster depends on it.
        bf16: try bfloat16, where float16 is not tried.
        compile: try ``torch.compile``, for plain calls; it takes seconds to minutes to build.
        tolerance: how far outputs may change, relative to their range.
        agrees_on: gives what else may not change by more, for example
            ``lambda: explainer.attribute(pictures).map``; raw maps change more than outputs do. It is called without
            arguments, first with the model as it is.
        rounds: measurements of each candidate.
        clock: seconds.

    Raises:
        ModelError: ``SW-M20``, what is no model.
        BatchError: ``SW-O10``, a model that cannot be called with the example, or answers without numbers; ``SW-O11``,
            a tolerance or a number of rounds that is none; ``SW-O12``, an ``agrees_on`` or a ``clock`` that is no
            function, raises, or gives no numbers. The model is then as it was.

    Example:
        >>> import torch, seewhy
        >>> from seewhy.demo.models import load
        >>> model = load("cnn")
        >>> with seewhy.optimize_for_inference(model, example=torch.rand(4, 3, 64, 64)) as fast:
        ...     heat = seewhy.GradCAM(fast).explain(torch.rand(3, 64, 64))
        >>> heat.shape, [candidate.name for candidate in fast.report.candidates]
        ((64, 64), ['channels last', 'autocast bfloat16'])
    """
    require_model(model)
    require_settings(tolerance, rounds, agrees_on, clock)
    bare = unwrapped(model)
    args, keywords, told = _example(bare, example)
    compiled = Compiled(bare)

    def ask() -> Any:
        return compiled.call(*args, **keywords)

    with borrowed(bare), ExitStack() as undone:
        require_answer(ask, told)
        if agrees_on is not None:
            require_agreement(agrees_on)
        trial = Trial(ask, agrees_on, tolerance, rounds, clock)
        kept: list[Change] = [EvaluationMode(bare)]
        candidates: list[Candidate] = []
        for change in _changes(bare, use_fp16, bf16, compiled if compile else None):
            if isinstance(change, Candidate):
                candidates.append(change)
                continue
            undone.callback(change.off)
            candidates.append(trial.of(change))
            if candidates[-1].kept:
                kept.append(change)
        undone.pop_all()
    kept[0].on()
    return OptimizedModel(bare, tuple(kept), OptimizationReport(tuple(candidates), told))


def _changes(model: nn.Module, use_fp16: bool, bf16: bool, compiled: Compiled | None) -> Iterator[Change | Candidate]:
    """What to try; a candidate where it is settled that it will not be."""
    layout = ChannelsLast(model)
    yield layout if len(layout) else Candidate(layout.name, False, "no weight would lie otherwise")
    device = _device(model)
    if use_fp16 and device != "cuda":
        why = f"not used on a {device}: float16 is fast on CUDA alone" + ("; bfloat16 is tried" if bf16 else "")
        yield Candidate("autocast float16", False, why)
    dtype = torch.float16 if use_fp16 and device == "cuda" else torch.bfloat16
    if dtype is torch.float16 or bf16:
        autocast = Autocast(model, dtype, device)
        if "forward" in vars(model) or isinstance(model, torch.jit.ScriptModule):
            yield Candidate(autocast.name, False, "not tried: the model's forward is not its class's own")
        elif Study(model, None).dtype is not torch.float32:
            yield Candidate(autocast.name, False, "not tried: the weights are not float32")
        else:
            yield autocast
    if compiled is not None:
        yield compiled


def _example(model: nn.Module, given: Any) -> tuple[tuple[Any, ...], dict[str, Any], str]:
    """Arguments, keywords and what the report says of them; tensors on the model's device."""
    told = ""
    if given is None:
        given, told = _noise(model), ", noise made up, since no example was given"
    where = next(iter(model.parameters()), torch.empty(0)).device

    def moved(value: Any) -> Any:
        return value.to(where) if isinstance(value, Tensor) else value

    if isinstance(given, Mapping):
        keywords = {str(name): moved(value) for name, value in given.items()}
        return (), keywords, _shapes(keywords.values()) + told
    args = tuple(moved(value) for value in (given if isinstance(given, tuple) else (given,)))
    return args, {}, _shapes(args) + told


def _noise(model: nn.Module) -> Tensor:
    """Values such as a batch of pictures has, of the size that the preprocessing names."""
    recipe, dtype = find_recipe(model), Study(model, None).dtype
    shape: tuple[int, ...]
    if isinstance(recipe.how, Preprocessing):
        shape = (recipe.channels, *recipe.how.size)
    else:
        grey = np.full((256, 256, 3), 128, np.uint8)
        shape = tuple(prepare(grey, replace(recipe, assumed=False), dtype).pixels.shape)
    rows = ROWS_ON_CPU if _device(model) == "cpu" else ROWS_ELSEWHERE
    return torch.randn(rows, *shape, generator=torch.Generator().manual_seed(0)).to(dtype)


def _shapes(values: Any) -> str:
    shapes = [str(tuple(value.shape)) for value in values if isinstance(value, Tensor)]
    return "an example of shape " + " and ".join(shapes) if shapes else "an example without tensors"


def _device(model: nn.Module) -> str:
    return next(iter(model.parameters()), torch.empty(0)).device.type
