"""Checks of the settings that metrics share; what passes is a plain Python value, so that it is read one way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np

from seewhy.values import ConfigError


def whole(name: str, value: object, lowest: int) -> int:
    """A setting that counts; raises ``ConfigError`` SW-F252 unless it is a whole number from ``lowest`` on.

    >>> whole("steps", np.int64(5), 1)
    5
    """
    number = as_whole(value)
    if number is None or number < lowest:
        raise ConfigError(
            "SW-F252", f"{name} must be a whole number from {lowest} on, got {value!r}", fix=f"give {lowest} or more"
        )
    return number


def seeded(value: object) -> int:
    """What noise is drawn by; raises ``ConfigError`` SW-F252 unless it is a whole number from 0 on."""
    return whole("seed", value, 0)


def real(name: str, value: object, *, above_zero: bool = False) -> float:
    """A setting that measures; raises ``ConfigError`` SW-F253 unless it is finite and at least 0 (above 0)."""
    number = as_real(value)
    if not math.isfinite(number) or number < 0 or (above_zero and number == 0):
        least = "above 0" if above_zero else "of 0 or more"
        raise ConfigError("SW-F253", f"{name} must be a finite number {least}, got {value!r}", fix="give such a number")
    return number


def side(value: object) -> int:
    """The side of a patch; raises ``ConfigError`` SW-F250 unless it is a whole number of places from 1 on."""
    number = as_whole(value)
    if number is None or number < 1:
        raise ConfigError(
            "SW-F250",
            f"patch must be a whole number of places from 1 on, got {value!r}",
            fix="leave it out, or give a number of places",
        )
    return number


def switch(name: str, value: object) -> bool:
    """A setting that is on or off; raises ``ConfigError`` SW-F257 unless it is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise ConfigError("SW-F257", f"{name} must be True or False, got {value!r}", fix="give one of the two")
    return bool(value)


def as_whole(value: object) -> int | None:
    """A whole number of any kind, such as NumPy's; None for anything else.

    >>> as_whole(np.uint8(3)), as_whole(3.0), as_whole(True)
    (3, None, None)
    """
    return int(value) if isinstance(value, Integral) and not isinstance(value, bool) else None


def as_real(value: object) -> float:
    """A number of any kind; NaN for anything else, and for one beyond what a float holds.

    >>> as_real(np.float32(0.5)), as_real("0.5"), as_real(True)
    (0.5, nan, nan)
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def listed(value: object) -> list[object]:
    """What a sequence or a one-dimensional array holds; nothing for text and for what is neither.

    >>> listed(np.array([1.0, 2.0])), listed("12"), listed(None)
    ([1.0, 2.0], [], [])
    """
    if isinstance(value, np.ndarray):
        return list(value.tolist()) if value.ndim == 1 else []
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else []
