"""``render``: whose pictures are drawn while a run goes on. Imports no torch, so that it is checked first."""

from __future__ import annotations

from typing import Literal, get_args

from seewhy.values import ConfigError, nearest

Render = Literal["all", "sample", "none"]


def require_render(value: object) -> None:
    """Raise ``ConfigError`` SW-F330 for what is none of the choices.

    Example:
        >>> require_render("sample")
    """
    choices = get_args(Render)
    if value not in choices:
        raise ConfigError(
            "SW-F330",
            f"render must be one of {', '.join(choices)}, got {value!r}",
            near=nearest(str(value), choices),
            fix="set render to one of these",
        )
