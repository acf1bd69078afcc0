"""Several methods of one model, by the names they were asked by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from torch import nn

from seewhy.explain.explainer import Explainer
from seewhy.explain.explainers import make_explainer
from seewhy.explain.named import named_settings
from seewhy.explain.reading import Reading
from seewhy.registry import METHODS
from seewhy.values import ConfigError

if TYPE_CHECKING:
    from seewhy.explain.cache import ExplanationCache


def several_explainers(
    methods: Any,
    model: nn.Module,
    layer: str | nn.Module | None,
    reading: Reading,
    settings: Mapping[str, Mapping[str, Any]] | None,
    *calls: Callable[..., Any],
    cache: ExplanationCache | None = None,
) -> dict[str, Explainer]:
    """An explainer for each of these methods; the layer is for those that explain through one.

    Raises ``ConfigError``: ``SW-F78`` no methods or one twice, ``SW-F10`` an unknown one, ``SW-F79`` settings of one
    that is not asked, ``SW-F281`` what are no settings by name, and what
    :func:`seewhy.explain.explainers.make_explainer` raises, which is told of ``calls``.
    """
    names = [methods] if isinstance(methods, str) else list(methods) if isinstance(methods, Iterable) else []
    if not names or len({METHODS[name].name for name in names}) < len(names):
        raise ConfigError(
            "SW-F78", f"methods are one or more different names, got {names or methods!r}", fix="write each method once"
        )
    given = {METHODS[name].name: values for name, values in named_settings("settings", settings).items()}
    unknown = [name for name in given if name not in [METHODS[asked].name for asked in names]]
    if unknown:
        raise ConfigError(
            "SW-F79",
            f"settings were given for {unknown[0]!r}, which is not among the methods {names}",
            fix="name a method that is asked",
        )
    layers = {name: layer if METHODS[name].needs_layer else None for name in names}
    return {
        name: make_explainer(name, model, layers[name], reading, given.get(METHODS[name].name, {}), *calls, cache=cache)
        for name in names
    }
