"""Which methods a traced model can answer, told from what each method reads."""

from __future__ import annotations

from seewhy.capture.tokens import NoAttention, attention_of
from seewhy.models.adapter import Adapter
from seewhy.models.layers import default_layer
from seewhy.registry import METHODS, Method
from seewhy.values import LayerError


def why_not(adapter: Adapter, method: Method) -> str:
    """Why a method cannot explain this model, in words; empty where it can.

    A method may still refuse a model for reasons of its own when it is asked; ``seewhy selftest`` asks.
    """
    if method.needs_attention:
        found = attention_of(adapter)
        if isinstance(found, NoAttention):
            return f"needs attention over all tokens: {found.reason}"
    if method.needs_layer and (why := _without_layer(adapter)):
        return f"needs a layer with a grid: {why}"
    return ""


def _without_layer(adapter: Adapter) -> str:
    try:
        default_layer(adapter.trace)
    except LayerError as error:
        return error.message
    return ""


def suitability(adapter: Adapter) -> dict[str, str]:
    """Every registered method with what :func:`why_not` says of it."""
    import seewhy.methods  # noqa: F401  (importing the room registers every method)

    return {name: why_not(adapter, method) for name, method in METHODS.items()}
