"""What is graded: the maps of a method, or of a control that knows nothing of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seewhy.methods.ask import Asked
from seewhy.registry import METRICS, Metric
from seewhy.values import Json


@dataclass(frozen=True)
class MetricAsked:
    """A metric with the settings a user gave."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def metric(self) -> Metric:
        """The registered metric."""
        return METRICS[self.name]

    @property
    def spec(self) -> dict[str, Json]:
        """What decides its values: all settings, those that nobody gave as well."""
        return {"metric": self.name, "metric settings": plain_settings({**self.metric.settings, **self.settings})}


@dataclass(frozen=True)
class Subject:
    """A method to be graded, through ``layers`` by input where it has any; or a control, whose name it is."""

    name: str
    asked: Asked | None = None
    layers: Mapping[str, str] = field(default_factory=dict)

    @property
    def spec(self) -> dict[str, Json]:
        """What decides its maps."""
        if self.asked is None:
            return {"control": self.name}
        every = {**self.asked.method.settings, **self.asked.settings}
        return {"method": self.name, "method settings": plain_settings(every)}

    def called(self, input_name: str) -> str:
        """Its name with the layer that explains an input: ``gradcam@layer4``."""
        layer = self.layers.get(input_name)
        return self.name if layer is None else f"{self.name}@{layer}"


def key_of(metric: str, subject: Subject, input_name: str, *, several: bool) -> str:
    """The key of a grade: ``deletion(gradcam@layer4)``, with the input where a model has several.

    >>> key_of("deletion", Subject("random"), "image", several=True)
    'deletion(random):image'
    """
    return f"{metric}({subject.called(input_name)})" + (f":{input_name}" if several else "")


def plain_settings(settings: Mapping[str, Any]) -> dict[str, Json]:
    """Settings as JSON; what JSON does not know, such as a function, is left out: it is a default, not a choice."""
    found = {name: _plain(value) for name, value in settings.items()}
    return {name: value for name, value in sorted(found.items()) if value is not _UNKNOWN}


_UNKNOWN = object()


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if abs(value) < float("inf") else str(value)
    if isinstance(value, list | tuple):
        each = [_plain(one) for one in value]
        return _UNKNOWN if _UNKNOWN in each else each
    if isinstance(value, Mapping):
        return plain_settings(value)
    return _UNKNOWN
