"""Which methods a run grades by which metrics, checked by name before any record is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

import seewhy.methods
import seewhy.metrics  # noqa: F401  (importing the room registers every metric)
from seewhy.metrics.controls import CONTROLS
from seewhy.metrics.usual import usual_metrics
from seewhy.registry import METHODS, METRICS
from seewhy.values import ConfigError, nearest

About = Literal["predicted", "label"]
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Grading:
    """The group ``metrics`` of a run's settings.

    ``methods`` are those graded, those that suit the model if None; ``names`` the metrics, the usual ones if None.
    ``settings`` are by name of a method or a metric: ``{"deletion": {"steps": 20}, "ig": {"steps": 20}}``. ``target``
    is the class that is asked about: the predicted one of each record, or its label.

    Raises ``ConfigError``: SW-F10 and SW-F223 an unknown method or metric, SW-F12 and SW-F222 a setting it does not
    have, SW-F280 an unknown key, SW-F281 a value of another type, SW-F282 settings of something not asked, SW-F283 a
    method that is graded anyway, as a control, SW-F284 a metric that compares methods, SW-F23 another target.

    Example:
        >>> Grading(methods=("GradCAM",), settings={"deletion": {"steps": 20}}).settings_of("deletion")
        {'steps': 20}
    """

    methods: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    settings: Mapping[str, Values] = field(default_factory=dict)
    target: About = "predicted"

    @classmethod
    def of(cls, given: Any) -> Grading:
        """From plain values; one name stands for a list of one, None for what is usual."""
        if isinstance(given, Grading):
            return given
        if given is not None and not isinstance(given, Mapping):
            raise _wrong_type("metrics", "a group of settings", given)
        known = [one.name for one in fields(cls)]
        found = {key: value for key, value in (given or {}).items() if value is not None}
        for key in found:
            if key not in known:
                raise ConfigError(
                    "SW-F280", f"there is no setting metrics.{key}", near=nearest(str(key), known),
                    fix=f"known are {', '.join(known)}",
                )  # fmt: skip
        for key in ("methods", "names"):
            if key in found:
                found[key] = _list(f"metrics.{key}", found[key])
        return cls(**found)

    def __post_init__(self) -> None:
        if self.target not in get_args(About):
            raise ConfigError(
                "SW-F23", f"metrics.target must be one of {', '.join(get_args(About))}, got {self.target!r}",
                near=nearest(str(self.target), get_args(About)), fix="set metrics.target to one of these",
            )  # fmt: skip
        self._set("methods", None if self.methods is None else _unique(METHODS[name].name for name in self.methods))
        self._set("names", None if self.names is None else _unique(METRICS[name].name for name in self.names))
        for name in self.methods or ():
            if name in CONTROLS:
                raise ConfigError(
                    "SW-F283", f"{name!r} is graded beside every method anyway, as a control", fix="leave it out"
                )
        for name in self.names or ():
            if "rivals" in METRICS[name].reads:
                raise ConfigError(
                    "SW-F284", f"{name!r} compares methods with one another: it grades no method by itself",
                    fix="leave it out; seewhy.evaluate_methods compares methods on some pictures",
                )  # fmt: skip
        self._set("settings", self._checked_settings())

    def _checked_settings(self) -> dict[str, Values]:
        if not isinstance(self.settings, Mapping):
            raise _wrong_type("metrics.settings", "settings by method or metric", self.settings)
        found: dict[str, Values] = {}
        for name, values in self.settings.items():
            entry = METRICS[name] if name in METRICS else METHODS[name]
            if not isinstance(values, Mapping):
                raise _wrong_type(f"metrics.settings.{name}", "settings by name", values)
            asked = self.metrics if name in METRICS else self.methods
            if asked is not None and entry.name not in asked:
                raise ConfigError(
                    "SW-F282", f"settings were given for {name!r}, which is not graded or asked",
                    fix="name it in metrics.names or metrics.methods, too",
                )  # fmt: skip
            entry.check(values)
            found[entry.name] = {**found.get(entry.name, {}), **{key: _plain(key, values[key]) for key in values}}
        return found

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics asked for; those that need to know where the object is say so of records that do not tell."""
        return tuple(usual_metrics(has_mask=True)) if self.names is None else self.names

    def settings_of(self, name: str) -> Values:
        """What was given for a method or a metric."""
        return self.settings.get(name, {})

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _list(key: str, value: Any) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) for name in names):
        raise _wrong_type(key, "one or more names", value)
    return tuple(names)


def _plain(key: str, value: Any) -> Any:
    """A value that a run can remember: tuples as lists."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(key, one) for one in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(key, one) for name, one in value.items()}
    raise _wrong_type(f"the setting {key}", "text, a number, true, false, null or a list of these", value)


def _wrong_type(key: str, expected: str, value: Any) -> ConfigError:
    return ConfigError("SW-F281", f"{key} must be {expected}, got {value!r}", fix=f"correct {key}")
