"""What may be asked of a traced model, as plain values for a form: methods with their settings, layers, metrics."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import Parameter
from typing import Any

from seewhy.capture.probe import Probe
from seewhy.explain.head import head_of
from seewhy.explain.suitable import why_not
from seewhy.methods.ask import Asked
from seewhy.metrics.rehearsal import why_no_metric
from seewhy.metrics.usual import usual_metrics
from seewhy.models.adapter import Adapter
from seewhy.models.layers import Layer, candidates
from seewhy.registry import METHODS, METRICS, Method
from seewhy.values import Json, LayerError, SeewhyError

TRIED = ("deeplift", "fullgrad", "guided_backprop", "guided_gradcam")
"""Methods that refuse what their rules do not cover, which is known once they were asked."""
LIBRARIES = ("external",)
"""Methods that stand for a library, whose own methods a form cannot know."""


def methods_of(adapter: Adapter) -> list[Json]:
    """Every method: ``name``, ``purpose``, ``layer`` (whether it explains through one), ``settings``, ``why_not``."""
    return [
        {
            "name": name, "purpose": method.purpose, "layer": method.needs_layer, "cite": method.cite,
            "settings": list(_settings(method.settings)),
            "why_not": why_not(adapter, method) or _tried(adapter, method),
        }
        for name, method in METHODS.items()
        if name not in LIBRARIES
    ]  # fmt: skip


def _tried(adapter: Adapter, method: Method) -> str:
    """Why a method that only its answer can tell of refuses this model, found by asking it about one record."""
    if method.name not in TRIED:
        return ""
    one = {name: tensor[:1] for name, tensor in adapter.example.items()}
    target = head_of(adapter).question([None])
    try:
        Asked(method.name)(Probe(adapter, [target]), one)
    except SeewhyError as error:
        return error.message
    return ""


def _settings(known: dict[str, Any]) -> Iterator[Json]:
    """The settings that a form can show: those that are a number, a word, or true or false."""
    for name, default in known.items():
        if default is Parameter.empty or name == "of":
            continue
        if isinstance(default, bool | int | float | str):
            kind = next(word for kind, word in _KINDS if isinstance(default, kind))
            yield {"name": name, "default": default, "kind": kind}


_KINDS = ((bool, "truth"), (int, "whole"), (float, "number"), (str, "word"))


def layers_of(adapter: Adapter) -> list[Json]:
    """The layers a map can be made from, the deepest first: ``name``, ``inputs`` it lies on, ``grid``, ``default``."""
    try:
        defaults = {choice.layer for choice in adapter.target_layers.values()}
    except LayerError:
        defaults = set()
    return [
        {
            "name": name, "inputs": list(call.lies_on), "grid": list(call.grid.size if call.grid else ()),
            "kind": call.kind, "default": name in defaults,
        }
        for call in reversed(candidates(adapter.trace))
        for name in (str(Layer(call.name, call.call)),)
    ]  # fmt: skip


def metrics_of(adapter: Adapter) -> list[Json]:
    """Every metric of one map: ``name``, ``purpose``, ``family``, ``better``, ``usual``, ``why_not``."""
    usual = usual_metrics(has_mask=True)
    return [
        {
            "name": name, "purpose": metric.purpose, "family": metric.family, "better": metric.better,
            "usual": name in usual, "needs_mask": metric.needs_mask, "why_not": _why_not_graded(adapter, name),
        }
        for name, metric in METRICS.items()
        if "rivals" not in metric.reads
    ]  # fmt: skip


def _why_not_graded(adapter: Adapter, metric: str) -> str:
    if adapter.headless:
        return "the outputs are features, and grades are about the evidence for a class"
    try:
        return why_no_metric(adapter, adapter.spatial_inputs[0], metric, {})
    except SeewhyError as error:
        return error.message
