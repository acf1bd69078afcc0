"""What an untrusted file may cost, so that a few bytes cannot ask for all the memory there is."""

from __future__ import annotations

from typing import Any, Final

from seewhy.values import ConfigError

MAX_BYTES: Final = 2 * 1024**3
DEFLATE_RATIO: Final = 1032  # deflate packs no byte into less than 1/1032 of its size


def check_limit(name: str, limit: Any) -> int:
    """``limit`` as a whole number of 1 or more; ConfigError SW-F101 otherwise."""
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ConfigError(
            "SW-F101",
            f"{name} must be a whole number of 1 or more; got {limit!r}",
            fix=f"set {name} to a whole number, or leave it out",
        )
    return limit
