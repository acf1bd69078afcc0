"""What every metric says of every method and control, and the verdict which method to trust."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from seewhy.explain.grade_facts import plain
from seewhy.metrics.case import Case
from seewhy.metrics.grade import Grade
from seewhy.metrics.gradebook import Gradebook
from seewhy.metrics.grading import grade
from seewhy.metrics.verdict import Verdict, verdict
from seewhy.registry import METRICS
from seewhy.render.plots_grades import Mark, grades_figure
from seewhy.values import Json, SeewhyError

if TYPE_CHECKING:
    from seewhy.render.plots import Figure


@dataclass
class Evaluation:
    """What every metric says of every method and control; made by :func:`seewhy.explain.evaluate.evaluate_methods`.

    ``gradebook`` holds a value per method, metric and picture; ``why[method, metric, row]`` is the reason where there
    is none. ``failures[method]`` is why a method, ``not_applicable[metric]`` why a metric could not be asked.
    """

    gradebook: Gradebook
    why: Mapping[tuple[str, str, int], str] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    not_applicable: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def verdict(self) -> Verdict:
        """Which method to use, which not, and why."""
        return verdict(self.gradebook)

    def of_record(self, row: int) -> dict[str, dict[str, Json]]:
        """What is said of one picture: by method and metric its ``value``, the ``controls`` beside it, the ``reason``
        where there is no value."""
        book = self.gradebook
        methods = [who for who in book.values if who not in book.controls]
        return {who: {name: self._told(who, name, row) for name in book.values[who]} for who in methods}

    def _told(self, who: str, metric: str, row: int) -> dict[str, Json]:
        values = self.gradebook.values
        controls = {one: plain(float(values[one][metric][row])) for one in self.gradebook.controls}
        return {
            "value": plain(float(values[who][metric][row])),
            "controls": controls,
            "reason": self.why.get((who, metric, row)),
        }

    def to_json(self) -> dict[str, Json]:
        """Everything as plain values."""
        return {
            "gradebook": self.gradebook.to_json(),
            "verdict": self.verdict.to_json(),
            "missing": [
                {"method": who, "metric": metric, "record": self.gradebook.records[row], "reason": reason}
                for (who, metric, row), reason in self.why.items()
            ],
            "failures": dict(self.failures),
            "not_applicable": dict(self.not_applicable),
        }

    def figure(self, title: str = "") -> Figure:
        """A panel for each metric with every method and control, as a matplotlib figure that belongs to the caller."""
        book = self.gradebook
        everyone = (*book.methods, *book.present_controls)
        panels = {metric: {who: _mark(book, who, metric) for who in everyone} for metric in book.metrics}
        better: dict[str, str] = {metric: book.better(metric) for metric in book.metrics}
        return grades_figure(panels, better, title=title or f"{len(book.records)} records")

    def __str__(self) -> str:
        """The table, what is missing from it and why, and the verdict."""
        missing = [*self.failures.items(), *self.not_applicable.items()]
        told = "".join(f"\nnot graded: {name}: {why}" for name, why in missing)
        return f"{self.gradebook}{told}\n\n{self.verdict.text()}"


NO_REGION = "no mask or box was given for this picture"


class GradeSheet:
    """Grades as they come in, picture by picture; ``known`` tells of which pictures the object's place is known."""

    def __init__(
        self,
        records: int,
        metrics: Mapping[str, Mapping[str, Any]],
        known: Sequence[bool],
        not_applicable: Mapping[str, str],
    ) -> None:
        self.metrics = metrics
        self.failures: dict[str, SeewhyError] = {}
        self.not_applicable = dict(not_applicable)
        self.passes: dict[str, list[float]] = defaultdict(list)
        self._records, self._known = records, known
        self._values: dict[str, dict[str, NDArray[np.float64]]] = defaultdict(dict)
        self._why: dict[tuple[str, str, int], str] = {}

    def grade(self, who: str, case: Case, rows: Sequence[int]) -> None:
        """Every metric of one method or control."""
        for metric, settings in self.metrics.items():
            try:
                found = grade(metric, case, **settings)
            except SeewhyError as error:  # of these maps alone: what cannot be at all was refused before
                found = Grade(torch.full((len(rows),), math.nan).double(), (error.message,) * len(rows))
            values = self._values[who].setdefault(metric, np.full(self._records, np.nan))
            values[list(rows)] = found.values.numpy()
            for row, reason in zip(rows, found.reasons, strict=True):
                if reason is not None:
                    unknown = METRICS[metric].needs_mask and not self._known[row]
                    self._why[who, metric, row] = NO_REGION if unknown else reason

    def evaluation(self, records: Sequence[str]) -> Evaluation:
        """All of it, without methods and metrics that could not be asked."""
        kept = {who: dict(each) for who, each in self._values.items() if who not in self.failures}
        costs = {who: float(np.mean(passes)) for who, passes in self.passes.items() if who in kept}
        return Evaluation(
            Gradebook(_unique(records), kept, costs),
            {key: why for key, why in self._why.items() if key[0] in kept and key[1] in kept[key[0]]},
            {who: str(error) for who, error in self.failures.items()},
            self.not_applicable,
        )


def _mark(book: Gradebook, who: str, metric: str) -> Mark:
    found = book.interval(who, metric)
    return Mark(found.mean, found.low, found.high, control=who in book.controls)


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """Names made different by a number where they are not."""
    return tuple(_told(names))


def _told(names: Sequence[str]) -> Iterator[str]:
    many, taken = Counter(names), set(names)
    for name in names:
        if many[name] == 1:
            yield name
            continue
        number = 1
        while (numbered := f"{name}_{number}") in taken:
            number += 1
        taken.add(numbered)
        yield numbered
