"""Keywords a caller wrote that nothing knows: the error names those of the call as well as those of the method."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from seewhy.registry import Method
from seewhy.values import ConfigError, nearest


def require_settings(method: Method, given: Iterable[str], *calls: Callable[..., Any]) -> None:
    """Raise ``ConfigError`` SW-F12 for what is no setting of the method.

    The nearest names are sought among the method's settings and the parameters of ``calls``, the functions that the
    caller may have had in mind.
    """
    known = [name for name in method.settings if name != "layer"]
    for name in given:
        if name not in method.settings:
            raise ConfigError(
                "SW-F12",
                f"the method {method.name!r} has no setting {name!r}; its settings: {', '.join(known) or 'none'}",
                near=nearest(name, [one for one in (*known, *parameters_of(*calls)) if one != name]),
                fix="use one of these" if known else "leave it out, or correct its spelling",
            )


def parameters_of(*calls: Callable[..., Any]) -> list[str]:
    """The names of what functions take by keyword, each once.

    >>> parameters_of(lambda self, image, *, alpha=1, **others: None)
    ['image', 'alpha']
    """
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = (parameter for call in calls for parameter in inspect.signature(call).parameters.values())
    return list(dict.fromkeys(one.name for one in found if one.kind in by_name and one.name != "self"))
