"""A table of grades: what every metric says of every method and of every control, record by record."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seewhy.metrics.intervals import Interval, bootstrap
from seewhy.registry.metrics import METRICS, Better, Family
from seewhy.values import ConfigError, Json, nearest

Grades = NDArray[np.float64]
CONTROLS: tuple[str, ...] = ("random", "centre", "edges")
"""Maps that know nothing of the model: noise, a Gaussian in the middle, the picture's edges."""


class Facts(NamedTuple):
    """What must be known of a metric to read its values."""

    better: Better
    family: Family


@dataclass(frozen=True)
class Gradebook:
    """Grades of ``N`` records: ``values[method or control][metric]`` ``(N,)``, NaN where there is none.

    ``costs[method]`` is what one record's explanation costs, in passes through the model. ``controls`` name those of
    ``values`` that are no methods. ``labels`` ``(N,)`` tell the records' classes, for :meth:`of_class`; ``inputs`` of
    which input the maps are. ``facts`` tell how metrics are read that the registry does not hold.

    Raises ``ConfigError`` SW-F303 for values that do not fit the records, SW-F304 for a book without records or
    methods, or with a record twice, SW-F223 for a metric nobody knows.

    Example:
        >>> grades = {"gradcam": {"mine": np.array([0.5, 0.7])}}
        >>> book = Gradebook(("a", "b"), grades, facts={"mine": ("higher", "axioms")})
        >>> str(book.interval("gradcam", "mine")), book.methods
        ('0.60 [0.50, 0.70]', ('gradcam',))
    """

    records: tuple[str, ...]
    values: Mapping[str, Mapping[str, Grades]]
    costs: Mapping[str, float] = field(default_factory=dict)
    controls: tuple[str, ...] = CONTROLS
    labels: tuple[Any, ...] = ()
    input: str = "image"
    facts: Mapping[str, tuple[Better, Family]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.records or len(set(self.records)) < len(self.records) or not self.methods:
            raise ConfigError(
                "SW-F304",
                f"a gradebook needs records of different names and a method or more; got {len(self.records)} records "
                f"and {', '.join(self.values) or 'nothing'}",
                fix="name each record once, and give the values of a method",
            )
        if self.labels and len(self.labels) != len(self.records):
            raise _misfit(f"{len(self.labels)} labels", self.records)
        kept = {
            who: {m: _grades(one, who, m, self.records) for m, one in row.items()} for who, row in self.values.items()
        }
        object.__setattr__(self, "values", kept)
        object.__setattr__(self, "facts", {metric: self._facts(metric) for metric in self.metrics})

    @property
    def methods(self) -> tuple[str, ...]:
        """Who is judged."""
        return tuple(who for who in self.values if who not in self.controls)

    @property
    def present_controls(self) -> tuple[str, ...]:
        """The controls that were graded."""
        return tuple(who for who in self.controls if who in self.values)

    @property
    def metrics(self) -> tuple[str, ...]:
        """What anyone was graded by, in the order met."""
        return tuple(dict.fromkeys(metric for row in self.values.values() for metric in row))

    def of(self, family: Family) -> tuple[str, ...]:
        """The metrics of a family that can be compared: those with a better direction."""
        return tuple(m for m in self.metrics if self.family(m) == family and self.better(m) != "neither")

    def better(self, metric: str) -> Better:
        """Which end of a metric is the good one."""
        return self.facts[metric][0]

    def family(self, metric: str) -> Family:
        """What a metric is about."""
        return self.facts[metric][1]

    def grades(self, who: str, metric: str) -> Grades:
        """One value per record; NaN for all where it was not graded."""
        found = self.values.get(who, {}).get(metric)
        return np.full(len(self.records), math.nan) if found is None else found

    def interval(self, who: str, metric: str, *, seed: int = 0) -> Interval:
        """The mean and its interval."""
        return bootstrap(self.grades(who, metric), seed=seed)

    def of_class(self, label: Any) -> Gradebook:
        """The same of the records of one class; raises ``ConfigError`` SW-F305 for a class that no record has."""
        chosen = [row for row, one in enumerate(self.labels) if one == label]
        if not chosen:
            known = [str(one) for one in dict.fromkeys(self.labels)]
            raise ConfigError(
                "SW-F305",
                f"no graded record is of class {label!r}; there are {', '.join(known) or 'no labels'}",
                near=nearest(str(label), known),
                fix="use one of these",
            )
        return self.take(chosen)

    def take(self, rows: Sequence[int]) -> Gradebook:
        """The same of some records."""
        chosen = list(rows)
        return replace(
            self,
            records=tuple(self.records[row] for row in chosen),
            values={who: {m: one[chosen] for m, one in row.items()} for who, row in self.values.items()},
            labels=tuple(self.labels[row] for row in chosen) if self.labels else (),
        )

    def to_json(self) -> dict[str, Json]:
        """Everything as plain values, None for what there is not."""
        return {
            "records": list(self.records),
            "labels": list(self.labels),
            "input": self.input,
            "controls": list(self.controls),
            "costs": {method: _plain(cost) for method, cost in self.costs.items()},
            "metrics": {
                metric: {"better": better, "family": family} for metric, (better, family) in self.facts.items()
            },
            "values": {
                who: {metric: [_plain(value) for value in one] for metric, one in row.items()}
                for who, row in self.values.items()
            },
        }

    @classmethod
    def from_json(cls, cell: Mapping[str, Json]) -> Gradebook:
        """The inverse of :meth:`to_json`."""
        return cls(
            tuple(cell["records"]),
            {
                who: {metric: np.array([math.nan if v is None else v for v in one]) for metric, one in row.items()}
                for who, row in cell["values"].items()
            },
            {method: math.nan if cost is None else cost for method, cost in cell["costs"].items()},
            tuple(cell["controls"]),
            tuple(cell["labels"]),
            cell["input"],
            {metric: (one["better"], one["family"]) for metric, one in cell["metrics"].items()},
        )

    def __str__(self) -> str:
        """A table: methods, then controls, by metrics; the mean, its interval, and of how many records if not all."""
        marks = {"higher": "↑", "lower": "↓", "neither": ""}
        head = ["", *(f"{metric} {marks[self.better(metric)]}".rstrip() for metric in self.metrics)]
        rows = [[who, *(self._cell(who, m) for m in self.metrics)] for who in (*self.methods, *self.present_controls)]
        widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in (head, *rows)
        )

    def _cell(self, who: str, metric: str) -> str:
        found = self.interval(who, metric)
        if not found.n:
            return "–"
        return str(found) if found.n == found.of else f"{found} ({found.n}/{found.of})"

    def _facts(self, metric: str) -> Facts:
        if metric in self.facts:
            return Facts(*self.facts[metric])
        entry = METRICS[metric]
        return Facts(entry.better, entry.family)


def _grades(values: Any, who: str, metric: str, records: Sequence[str]) -> Grades:
    try:
        found = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise _misfit(f"{metric} of {who} holds what is no number", records) from error
    if found.shape != (len(records),):
        raise _misfit(f"{metric} of {who} has the shape {found.shape}", records)
    found.setflags(write=False)
    return found


def _misfit(what: str, records: Sequence[str]) -> ConfigError:
    return ConfigError(
        "SW-F303",
        f"{what}, but there are {len(records)} records",
        fix="give one number for each record, NaN where there is none",
    )


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
