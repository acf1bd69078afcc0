"""What :func:`seewhy.optimize_for_inference` is given is tried on the model as it is, before anything is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from seewhy.explain.batch_error import BatchError
from seewhy.explain.inference_trial import has_numbers
from seewhy.values import SeewhyError

FOREIGN: Final = (
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, MemoryError, OSError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip
"""What a model's and a caller's own code raises."""


def require_answer(ask: Callable[[], Any], told: str) -> None:
    """Raise ``BatchError`` SW-O10 where the model cannot be called with the example, or answers without numbers."""
    fix = "pass example=..., what the model is called with: a tensor, a tuple of arguments, a dict of keywords"
    try:
        answer = ask()
    except FOREIGN as error:
        raise BatchError("SW-O10", f"the model cannot be called with {told}: {_first_line(error)}", fix=fix) from error
    if not has_numbers(answer):
        raise BatchError(
            "SW-O10",
            f"the model's answer to {told} holds no floating-point numbers to compare: {type(answer).__name__}",
            fix=fix,
        )


def require_agreement(agrees_on: Callable[[], Any]) -> None:
    """Raise ``BatchError`` SW-O12 where what shall agree raises or gives no numbers; our own errors pass."""
    fix = "such as agrees_on=lambda: explainer.attribute(pictures).map"
    try:
        answer = agrees_on()
    except SeewhyError:
        raise
    except FOREIGN as error:
        raise BatchError("SW-O12", f"agrees_on() raised {_first_line(error)}", fix=fix) from error
    if not has_numbers(answer):
        raise BatchError(
            "SW-O12",
            "agrees_on() must give tensors or arrays of floating-point numbers to compare, got "
            f"{type(answer).__name__}",
            fix=fix,
        )


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def require_settings(tolerance: float, rounds: int, agrees_on: object, clock: object) -> None:
    """Raise ``BatchError`` SW-O11 for numbers that cannot be, SW-O12 for what is no function."""
    number = isinstance(tolerance, int | float) and not isinstance(tolerance, bool)
    if not number or not tolerance >= 0 or type(rounds) is not int or rounds < 1:
        raise BatchError(
            "SW-O11",
            f"tolerance must be a number from 0 on and rounds a whole number from 1 on, got {tolerance!r}, {rounds!r}",
            fix="leave both out: 0.02 and 7",
        )
    if not (agrees_on is None or callable(agrees_on)) or not callable(clock):
        name, given = ("clock", clock) if not callable(clock) else ("agrees_on", agrees_on)
        raise BatchError(
            "SW-O12",
            f"{name} must be a function without arguments, got {type(given).__name__} {given!r:.80}",
            fix="leave it out, or write agrees_on=lambda: explainer.attribute(pictures).map",
        )
