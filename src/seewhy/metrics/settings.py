"""Checks of the settings that metrics of faithfulness and robustness share."""

from __future__ import annotations

import math

from seewhy.values import ConfigError


def whole(name: str, value: object, lowest: int) -> int:
    """A setting that counts; raises ``ConfigError`` SW-F252 unless it is a whole number from ``lowest`` on."""
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise ConfigError(
            "SW-F252", f"{name} must be a whole number from {lowest} on, got {value!r}", fix=f"give {lowest} or more"
        )
    return value


def real(name: str, value: object, *, above_zero: bool = False) -> float:
    """A setting that measures; raises ``ConfigError`` SW-F253 unless it is finite and at least 0 (above 0)."""
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not math.isfinite(number) or number < 0 or (above_zero and number == 0):
        least = "above 0" if above_zero else "of 0 or more"
        raise ConfigError("SW-F253", f"{name} must be a finite number {least}, got {value!r}", fix="give such a number")
    return number


def side(value: object) -> int:
    """The side of a patch; raises ``ConfigError`` SW-F250 unless it is a whole number of places from 1 on."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(
            "SW-F250",
            f"patch must be a whole number of places from 1 on, got {value!r}",
            fix="leave it out, or give a number of places",
        )
    return value
