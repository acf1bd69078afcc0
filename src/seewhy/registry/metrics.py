"""The only list of metrics in the project: one decorator lifts a pure function that grades maps into it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from seewhy.registry.names import Names
from seewhy.values import ConfigError, nearest

Family = Literal["faithfulness", "robustness", "localization", "randomization", "complexity", "axioms"]
Better = Literal["higher", "lower", "neither"]
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Metric:
    """A registered metric and the facts everything else is derived from.

    ``function`` takes what it ``reads`` (its positional parameters, attributes of
    :class:`seewhy.metrics.case.Case`) and its ``settings`` (its keyword-only parameters), and returns a
    :class:`seewhy.metrics.grade.Grade`. ``better`` says which end of the closed ``range`` is the good one; ``neither``
    for a description such as complexity. ``cite`` tells where the formula stands. ``also`` are other names.
    """

    name: str
    function: Callable[..., Any]
    family: Family
    better: Better
    range: tuple[float, float]
    cite: str
    also: tuple[str, ...] = ()

    @property
    def purpose(self) -> str:
        """The first line of the function's documentation."""
        return (self.function.__doc__ or "").strip().partition("\n")[0]

    @property
    def reads(self) -> tuple[str, ...]:
        """What of a case the function is given, by the names of its positional parameters."""
        parameters = inspect.signature(self.function).parameters.values()
        return tuple(one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings a user may give and their defaults."""
        parameters = inspect.signature(self.function).parameters.values()
        return {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY}

    @property
    def needs_mask(self) -> bool:
        """Whether it needs to know where the object is."""
        return "mask" in self.reads

    def check(self, settings: Mapping[str, Any]) -> None:
        """Raise ``ConfigError`` SW-F222 for a setting the metric does not have."""
        for name in settings:
            if name not in self.settings:
                known = ", ".join(self.settings) or "none"
                raise ConfigError(
                    "SW-F222",
                    f"the metric {self.name!r} has no setting {name!r}; its settings: {known}",
                    near=nearest(name, self.settings),
                    fix="use one of these",
                )


METRICS: Names[Metric] = Names("metric", unknown="SW-F223", taken="SW-F224")


def metric(
    name: str, *, family: Family, better: Better, range: tuple[float, float], cite: str, also: tuple[str, ...] = ()
) -> Callable[[Function], Function]:
    """Register the decorated function as a metric and return it unchanged."""

    def register(function: Function) -> Function:
        METRICS.add(Metric(name, function, family, better, range, cite, also))
        return function

    return register
