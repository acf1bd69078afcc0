"""A way of running a model faster is tried on an example: in turns with the model without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from seewhy.explain.inference_changes import Change
from seewhy.explain.inference_report import Candidate
from seewhy.memory import is_out_of_memory
from seewhy.models.outputs import entries
from seewhy.profiling.gauges import synchronise

CLEARLY_FASTER: Final = 0.95
"""To be kept, a candidate's median ratio may be at most this, and three quarters of its ratios must be below 1."""
FAILURES: Final = (RuntimeError, OSError, ImportError, MemoryError, TypeError, AttributeError)
"""What a compiler that is missing and an operation without another layout or precision raise."""


@dataclass(frozen=True)
class Trial:
    """How candidates are tried: ``ask`` runs the example through the model as it is at the moment.

    What ``agrees_on`` gives is compared as the outputs are.
    """

    ask: Callable[[], Any]
    agrees_on: Callable[[], Any] | None
    tolerance: float
    rounds: int
    clock: Callable[[], float]

    def of(self, change: Change) -> Candidate:
        """Try one; it is on afterwards where it is kept, and off where it is not, whatever it raises."""
        try:
            found = self._measured(change)
        except FAILURES as error:
            change.off()
            why = "out of memory" if is_out_of_memory(error) else f"{type(error).__name__}: {error}".partition("\n")[0]
            return Candidate(change.name, False, f"it could not be run ({why:.200})")
        except BaseException:
            change.off()
            raise
        change.on() if found.kept else change.off()
        return found

    def _measured(self, change: Change) -> Candidate:
        change.off()
        before = self._said()
        change.on()
        difference = largest_difference(before, self._said())
        ratios = [self._ratio(change) for _ in range(self.rounds)]
        ratio = median(ratios)
        faster = sum(one < 1 for one in ratios) >= 0.75 * len(ratios)
        if not difference <= self.tolerance:
            return Candidate(change.name, False, f"more than the tolerance {self.tolerance:g}", ratio, difference)
        if ratio > CLEARLY_FASTER:
            return Candidate(change.name, False, "not clearly faster", ratio, difference)
        if not faster:
            return Candidate(change.name, False, "faster in too few of the rounds to be sure", ratio, difference)
        return Candidate(change.name, True, "clearly faster, and the outputs agree", ratio, difference)

    def _said(self) -> list[Any]:
        return [self.ask(), *([] if self.agrees_on is None else [self.agrees_on()])]

    def _ratio(self, change: Change) -> float:
        change.off()
        without = self._seconds()
        change.on()
        within = self._seconds()
        return within / without if without > 0 else 1.0  # where the clock saw nothing, nothing is gained

    def _seconds(self) -> float:
        synchronise()
        begin = self.clock()
        self.ask()
        synchronise()
        return self.clock() - begin


def largest_difference(before: Any, after: Any) -> float:
    """The largest change of a number in two answers of a model, relative to the range of its tensor or array.

    Infinite where the answers do not have the same tensors, or where one is not finite.

    Example:
        >>> largest_difference(torch.tensor([0.0, 4.0]), {"out": torch.tensor([0.0, 5.0])}["out"])
        0.25
    """
    ours, theirs = _tensors(before), _tensors(after)
    if [one.shape for one in ours] != [one.shape for one in theirs] or not ours:
        return float("inf")
    return max((_relative(one, other) for one, other in zip(ours, theirs, strict=True) if one.numel()), default=0.0)


def has_numbers(answer: Any) -> bool:
    """Whether an answer holds floating-point numbers.

    >>> has_numbers({"out": torch.zeros(2)}), has_numbers("none"), has_numbers(torch.zeros(0))
    (True, False, False)
    """
    return any(one.numel() for one in _tensors(answer))


def _tensors(answer: Any) -> Sequence[Tensor]:
    if isinstance(answer, np.ndarray):
        answer = torch.from_numpy(answer)
    if isinstance(answer, Tensor):
        return [answer.detach().cpu().double()] if answer.is_floating_point() else []
    return [tensor for entry in entries(answer).values() for tensor in _tensors(entry)]


def _relative(before: Tensor, after: Tensor) -> float:
    change = (after.to(before) - before).abs().max()
    low, high = torch.aminmax(before)
    extent = max(float(high - low), torch.finfo(torch.float32).eps * max(abs(float(low)), abs(float(high))))
    found = float(change) / extent if extent else (0.0 if not float(change) else float("inf"))
    return found if found == found else float("inf")
