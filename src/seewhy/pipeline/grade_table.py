"""The grades of a run directory, read back: a gradebook for each split and input, and why values are missing."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from seewhy.data.records import RecordRef
from seewhy.metrics.controls import CONTROLS
from seewhy.metrics.gradebook import Gradebook
from seewhy.metrics.verdict import Verdict, verdict
from seewhy.pipeline.grading_question import PASSES, GradingQuestion
from seewhy.pipeline.questions import UNDEFINED
from seewhy.registry import METRICS
from seewhy.registry.metrics import Family
from seewhy.store.run_reader import RunReader
from seewhy.values import Json, RecordRow


class Column(NamedTuple):
    """One kind of grade: its key, and in words what was graded by what. ``cost`` is where its passes are noted."""

    key: str
    input_name: str
    who: str
    metric: str
    control: bool
    cost: str


class Line(NamedTuple):
    """A record as its grades see it: the class asked about is None where no grade has one."""

    record_id: str
    label: int | None
    predicted: int | None
    asked: int | None


@dataclass(frozen=True)
class GradedInput:
    """All grades of one input of a split: ``values`` ``(records, columns)``, NaN where there is none, and the reasons.

    ``class_names`` are the model's, where they are known.
    """

    split: str
    input_name: str
    lines: tuple[Line, ...]
    columns: tuple[Column, ...]
    values: NDArray[np.float32]
    reasons: Mapping[tuple[int, int], str]
    costs: Mapping[str, float] = field(default_factory=dict)
    class_names: Sequence[str] | None = None

    @cached_property
    def book(self) -> Gradebook | None:
        """The grades as a gradebook; without the metrics that nobody has a value of, None where nothing is left."""
        values: dict[str, dict[str, NDArray[np.float64]]] = defaultdict(dict)
        empty = {metric for metric in {one.metric for one in self.columns} if not self._known(metric)}
        for place, one in enumerate(self.columns):
            if one.metric not in empty:
                values[one.who][one.metric] = self.values[:, place].astype(np.float64)
        if not any(who not in CONTROLS for who in values):
            return None
        return Gradebook(
            tuple(line.record_id for line in self.lines),
            values,
            self.costs,
            tuple(CONTROLS),
            tuple(self.class_of(line) for line in self.lines),
            self.input_name,
        )

    @cached_property
    def verdict(self) -> Verdict | None:
        """What follows from the grades."""
        return None if self.book is None else verdict(self.book)

    @property
    def missing(self) -> dict[str, dict[str, int]]:
        """Why values of each metric are missing, and of how many records."""
        found: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
        for (row, place), why in sorted(self.reasons.items()):
            found[self.columns[place].metric][why].add(row)
        return {metric: {why: len(rows) for why, rows in whys.items()} for metric, whys in found.items()}

    def class_of(self, line: Line) -> str:
        """The class a record's grades are about, by its name where it has one."""
        if line.asked is None:
            return ""
        return str(line.asked) if self.class_names is None else self.class_names[line.asked]

    def _known(self, metric: str) -> bool:
        places = [place for place, one in enumerate(self.columns) if one.metric == metric]
        return bool(np.isfinite(self.values[:, places]).any())


def read_grades(
    reader: RunReader,
    questions: Mapping[str, Json],
    index: Sequence[RecordRef],
    target_layers: Mapping[str, str],
    class_names: Sequence[str] | None,
) -> list[GradedInput]:
    """Everything a directory holds that was graded, in the order of the data set's index.

    ``questions`` are the directory's. ``target_layers`` are the layers that names of methods leave out.
    """
    columns = sorted(
        (_column(key, spec, target_layers) for key, spec in questions.items() if spec["kind"] == GradingQuestion.kind),
        key=_order,
    )
    if not columns:
        return []
    place = {ref.record_id: number for number, ref in enumerate(index)}
    found = []
    for split in reader.splits:
        rows = [row for row in map(_Slim.of, reader.rows(split, [one.key for one in columns])) if row.answers]
        rows.sort(key=lambda row: place.get(row.line.record_id, len(place)))
        for name in dict.fromkeys(one.input_name for one in columns):
            mine = tuple(one for one in columns if one.input_name == name)
            graded = [row for row in rows if any(one.key in row.answers for one in mine)]
            if graded:
                found.append(_graded(split, name, mine, graded, class_names))
    return found


@dataclass(frozen=True)
class _Slim:
    """What is kept of a row."""

    line: Line
    answers: Mapping[str, float]
    facts: Mapping[str, Json]

    @classmethod
    def of(cls, row: RecordRow) -> _Slim:
        asked = next((answer.classes[0] for answer in row.answers.values() if answer.classes), None)
        values = {key: float(answer.values[0]) for key, answer in row.answers.items()}
        return cls(Line(row.record_id, row.label, row.predicted, asked), values, row.facts)


def _graded(
    split: str, name: str, columns: tuple[Column, ...], rows: Sequence[_Slim], class_names: Sequence[str] | None
) -> GradedInput:
    values = np.full((len(rows), len(columns)), math.nan, np.float32)
    reasons: dict[tuple[int, int], str] = {}
    for number, row in enumerate(rows):
        for place, one in enumerate(columns):
            values[number, place] = row.answers.get(one.key, math.nan)
            if (why := row.facts.get(f"{UNDEFINED}{one.key}")) is not None and one.key in row.answers:
                reasons[number, place] = str(why)
    lines = tuple(row.line for row in rows)
    return GradedInput(split, name, lines, columns, values, reasons, _costs(columns, rows), class_names)


def _costs(columns: Iterable[Column], rows: Sequence[_Slim]) -> dict[str, float]:
    """How many passes through the model a method's map takes, on average over the records."""
    found = {}
    for who, cost in {one.who: one.cost for one in columns if not one.control}.items():
        counted = [float(row.facts[cost]) for row in rows if cost in row.facts]
        if counted:
            found[who] = sum(counted) / len(counted)
    return found


def _column(key: str, spec: Mapping[str, Json], target_layers: Mapping[str, str]) -> Column:
    name, layer = spec["input"], spec["layer"]
    if "control" in spec:
        return Column(key, name, spec["control"], spec["metric"], True, "")
    full = spec["method"] if layer is None else f"{spec['method']}@{layer}"
    who = spec["method"] if layer in (None, target_layers.get(name)) else full
    return Column(key, name, who, spec["metric"], False, f"{PASSES}{full}")


def _order(one: Column) -> tuple[object, ...]:
    """Inputs, then methods, then the controls in their order; metrics by what they are about."""
    families, controls = get_args(Family), tuple(CONTROLS)
    family = families.index(METRICS[one.metric].family) if one.metric in METRICS else len(families)
    rank = controls.index(one.who) if one.control and one.who in controls else len(controls)
    return (one.input_name, one.control, rank if one.control else 0, one.who, family, one.metric)
