"""``KEY=VALUE`` words of the command line as plain values."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from seewhy.values import ConfigError


def assignments(words: Iterable[str], option: str) -> dict[str, Any]:
    """Words such as ``steps=20`` as a dictionary; a value is read as JSON where it is JSON, else it is text.

    ``option`` is what the user wrote them after, for the error: ``ConfigError`` SW-F82.

    Example:
        >>> assignments(["steps=20", "baseline=black", "size=[8,8]"], "--set")
        {'steps': 20, 'baseline': 'black', 'size': [8, 8]}
    """
    found: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not key or not equals:
            raise ConfigError("SW-F82", f"{option} {word!r} is no KEY=VALUE", fix=f"write {option} steps=20")
        found[key] = _value(text)
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
