"""What the class of a method says of itself, from the registry: its signature and its documentation."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from seewhy.registry import Method


def signature_of(method: Method, constructor: Callable[..., Any]) -> inspect.Signature:
    """The constructor's parameters with the method's settings spelt out in place of ``**settings``."""
    common = list(inspect.signature(constructor).parameters.values())[1:-1]
    own = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
        for name, default in method.settings.items()
        if name != "layer"
    ]
    return inspect.Signature([*common, *own])


def documentation_of(method: Method) -> str:
    """A class's documentation: what the method does, its source and its settings."""
    settings = [f"{name}={default!r}" for name, default in method.settings.items() if name != "layer"]
    lines = [method.purpose, "", f"Source: {method.cite}."]
    return "\n".join([*lines, "", f"Settings: {', '.join(settings)}."] if settings else lines)
