"""What a caller may ask of a layer: a channel that it has, a number from one on, one of several words."""

from __future__ import annotations

from collections.abc import Sequence

from seewhy.values import ConfigError, nearest


def require_channel(channel: object, count: int, layer: object) -> int:
    """The channel's number; ``ConfigError`` SW-F202 for one that a layer of ``count`` channels does not have."""
    if isinstance(channel, bool) or not hasattr(channel, "__index__") or not 0 <= channel.__index__() < count:
        raise ConfigError(
            "SW-F202", f"layer {layer} has channels 0 to {count - 1}, got {channel!r}", fix="give one of these numbers"
        )
    return int(channel.__index__())


def require_count(name: str, number: object) -> int:
    """A whole number from 1 on; raises ``ConfigError`` SW-F201."""
    if isinstance(number, bool) or not hasattr(number, "__index__") or number.__index__() < 1:
        raise ConfigError("SW-F201", f"{name} must be a whole number from 1 on, got {number!r}", fix=f"{name}=10")
    return int(number.__index__())


def require_choice(name: str, given: object, known: Sequence[str]) -> None:
    """Raise ``ConfigError`` SW-F208 unless the word is one of those known."""
    if given not in known:
        raise ConfigError(
            "SW-F208",
            f"{name} is one of {', '.join(known)}, got {given!r}",
            near=nearest(str(given), known),
            fix=f"{name}={known[0]!r}",
        )
