"""Names and settings by name as a person gives them, checked before anything is done with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from seewhy.values import ConfigError


def named_list(what: str, given: Any) -> list[str]:
    """One name or several as a list; raises ``ConfigError`` SW-F231 for none, or for what are no names.

    >>> named_list("methods", "gradcam"), named_list("methods", ("ig", "gradcam"))
    (['gradcam'], ['ig', 'gradcam'])
    """
    names = [given] if isinstance(given, str) else list(given) if isinstance(given, Iterable) else []
    if not names or not all(isinstance(name, str) for name in names):
        raise ConfigError("SW-F231", f"{what} are one or more names, got {given!r}", fix=f"name some {what}")
    return names


def named_settings(what: str, given: Any) -> dict[str, Mapping[str, Any]]:
    """Settings by name; none for None. Raises ``ConfigError`` SW-F281 for what are no settings by name.

    >>> named_settings("settings", {"ig": {"steps": 20}})
    {'ig': {'steps': 20}}
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(values, Mapping) for values in given.values()):
        raise ConfigError(
            "SW-F281",
            f"{what} are settings by name, got {given!r}",
            fix=f"write {what}={{'deletion': {{'steps': 20}}}}",
        )
    return dict(given)
