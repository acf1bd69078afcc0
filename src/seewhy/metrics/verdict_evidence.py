"""What a verdict weighs of each method: sanity, the distance from the controls, all its grades and what it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from seewhy.metrics.comparisons import Above, above_controls
from seewhy.metrics.gradebook import Gradebook, Grades
from seewhy.metrics.intervals import EXACT, Interval, bootstrap
from seewhy.metrics.verdict_rules import Caution, Rules, SanityRule
from seewhy.registry.metrics import Family

State = Literal["passed", "failed", "unclear", "unchecked"]


@dataclass(frozen=True)
class Sanity:
    """How a method does by one rule; ``reached`` is what ``control`` has, 1 and None where no control was graded.

    ``value`` and ``reached`` are of magnitudes where the rule says so.
    """

    rule: SanityRule
    state: State
    value: Interval
    control: str | None
    reached: float


@dataclass(frozen=True)
class Evidence:
    """Everything known of one method.

    ``above[metric]`` compares with the controls, by metrics of faithfulness and of localization; ``values`` are all its
    grades, ``cost`` its passes through the model per record.
    """

    method: str
    sanity: tuple[Sanity, ...]
    above: Mapping[str, Above]
    values: Mapping[str, Interval]
    cost: float | None
    cautions: tuple[Caution, ...]

    @property
    def failed(self) -> tuple[Sanity, ...]:
        """The rules it breaks."""
        return tuple(one for one in self.sanity if one.state == "failed")

    @property
    def doubts(self) -> tuple[Sanity, ...]:
        """The rules it is not known to keep, nor to break."""
        return tuple(one for one in self.sanity if one.state in ("unclear", "unchecked"))

    def better(self, metrics: Sequence[str]) -> list[Above]:
        """The metrics by which it is above every control."""
        return [self.above[metric] for metric in metrics if metric in self.above and self.above[metric].better]

    def beats_controls(self, metrics: Sequence[str], majority: float) -> bool:
        """Whether it does by more than this share of those it was compared by."""
        compared = self._compared(metrics)
        return bool(compared) and len(self.better(metrics)) > majority * len(compared)

    def ruled_out(self, metrics: Sequence[str], majority: float) -> bool:
        """Whether it would not even if all comparisons that are open turned out well."""
        compared = self._compared(metrics)
        open_or_better = [one for one in compared if not one.ruled_out]
        return bool(compared) and len(open_or_better) <= majority * len(compared)

    def _compared(self, metrics: Sequence[str]) -> list[Above]:
        found = (self.above[metric] for metric in metrics if metric in self.above)
        return [one for one in found if one.control is not None]


def ranking_metrics(book: Gradebook, rules: Rules, family: Family) -> tuple[str, ...]:
    """The graded metrics of a family by which maps can be compared."""
    return tuple(metric for metric in book.of(family) if metric not in rules.unranked)


def gather(book: Gradebook, rules: Rules, seed: int) -> dict[str, Evidence]:
    """The evidence on every method."""
    above: dict[str, dict[str, Above]] = {method: {} for method in book.methods}
    for family in rules.order:
        if family == "robustness":
            continue  # a control that never changes is as stable as can be
        metrics = ranking_metrics(book, rules, family)
        for method, row in above_controls(book, metrics, level=rules.level, seed=seed).items():
            above[method].update(row)
    return {
        method: Evidence(
            method,
            tuple(_sanity(book, rule, method, seed) for rule in rules.sanity),
            above[method],
            {metric: book.interval(method, metric, seed=seed) for metric in book.values[method]},
            _cost(book, method),
            tuple(one for one in rules.cautions if _mean(book.grades(method, one.metric)) >= one.above),
        )
        for method in book.methods
    }


def records_needed(evidence: Mapping[str, Evidence], metrics: Sequence[str], rules: Rules) -> tuple[int, int]:
    """How many records the comparisons with controls have at most, and how many any of them needs to be sure of one.

    A swap test of n records is never below ``2 ** -n``, which is corrected for all the comparisons made.
    """
    compared = [one.above[m] for one in evidence.values() for m in metrics if m in one.above]
    sizes = [above.difference.n for above in compared if not math.isnan(above.p)]
    if not sizes:
        return 0, 2
    least = next((n for n in range(2, EXACT + 1) if 2.0**-n * len(sizes) < 1 - rules.level), EXACT + 1)
    return max(sizes), least


def _sanity(book: Gradebook, rule: SanityRule, method: str, seed: int) -> Sanity:
    value = bootstrap(_similarities(book, method, rule), seed=seed)
    control, reached = _reached(book, rule)
    return Sanity(rule, _state(value, rule.share * reached), value, control, reached)


def _state(value: Interval, limit: float) -> State:
    if not value.n:
        return "unchecked"
    return "failed" if value.low >= limit else "passed" if value.high < limit else "unclear"  # one has no bounds


def _similarities(book: Gradebook, who: str, rule: SanityRule) -> Grades:
    grades = book.grades(who, rule.metric)
    return np.abs(grades) if rule.magnitude else grades


def _reached(book: Gradebook, rule: SanityRule) -> tuple[str | None, float]:
    """The control that stands for a map which ignores the model, and the similarity it has."""
    known = {control: _mean(_similarities(book, control, rule)) for control in book.present_controls}
    known = {control: mean for control, mean in known.items() if not math.isnan(mean)}
    if not known:
        return None, 1.0
    control = "edges" if "edges" in known else max(known, key=lambda one: known[one])
    return control, known[control]


def _cost(book: Gradebook, method: str) -> float | None:
    cost = book.costs.get(method)
    return None if cost is None or math.isnan(cost) else cost


def _mean(grades: Grades) -> float:
    known = grades[np.isfinite(grades)]
    return float(known.mean()) if len(known) else math.nan
