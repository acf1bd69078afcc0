"""What a verdict says, as values, as plain text, as Markdown and as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from seewhy.metrics.comparisons import Above
from seewhy.metrics.intervals import Interval
from seewhy.metrics.verdict_evidence import Evidence
from seewhy.values import Json

Standing = Literal["first", "tied", "behind", "not shown", "not above the controls", "rejected", "unknown"]


@dataclass(frozen=True)
class Row:
    """A method's place: its standing, the others it beats by faithfulness less those that beat it, and the evidence.

    ``wins`` is None for a method that is not ranked.
    """

    standing: Standing
    wins: int | None
    evidence: Evidence

    @property
    def method(self) -> str:
        """Who is judged."""
        return self.evidence.method

    def to_json(self) -> dict[str, Json]:
        """Everything as plain values."""
        one = self.evidence
        return {
            "method": one.method,
            "standing": self.standing,
            "wins": self.wins,
            "cost": None if one.cost is None else _number(one.cost),
            "sanity": [
                {
                    "metric": each.rule.metric,
                    "state": each.state,
                    "measure": each.rule.measure,
                    "value": _interval(each.value),
                    "control": each.control,
                    "control_value": each.reached,
                    "limit": each.rule.share * each.reached,
                    "source": each.rule.source,
                }
                for each in one.sanity
            ],
            "above_controls": {metric: _above(each) for metric, each in one.above.items()},
            "values": {metric: _interval(value) for metric, value in one.values.items()},
        }


@dataclass(frozen=True)
class Disagreement:
    """Two metrics that order methods differently, in words.

    ``correlation`` is that of their orders over methods and controls. Of each pair of ``reversed`` the first metric
    surely has the first method ahead and the second metric the second.
    """

    metrics: tuple[str, str]
    correlation: float
    reversed: tuple[tuple[str, str], ...]
    words: str


@dataclass(frozen=True)
class Verdict:
    """What a sample of records says about methods on a model; made by :func:`seewhy.metrics.verdict.verdict`.

    ``outcome`` is the first sentence. ``use`` is the method to use, None where none can be trusted or too little is
    known; ``because`` are the reasons. ``ties`` are methods that cannot be told apart from it by faithfulness, in
    ``tied`` in words; ``avoid[method]`` is why not to use one, ``unproven[method]`` why nothing was shown of it that
    would be a reason to use it or not. ``ranking`` has all methods, the best first.
    ``correlations[metric][metric]`` tell how alike the metrics that rank order methods and controls,
    ``disagreements`` where they contradict one another. ``notes`` are what was not checked, what is unclear, and what
    speaks against the choice.
    """

    outcome: str
    use: str | None = None
    because: tuple[str, ...] = ()
    ties: tuple[str, ...] = ()
    tied: tuple[str, ...] = ()
    avoid: Mapping[str, str] = field(default_factory=dict)
    unproven: Mapping[str, str] = field(default_factory=dict)
    ranking: tuple[Row, ...] = ()
    correlations: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    disagreements: tuple[Disagreement, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def behind(self) -> tuple[str, ...]:
        """Methods that can be trusted, but are beaten by the one to use."""
        return tuple(row.method for row in self.ranking if row.standing == "behind")

    def text(self) -> str:
        """The verdict in plain words."""
        lines = [f"{self.outcome[0].upper()}{self.outcome[1:]}{',' if self.because else '.'}"]
        lines += [f"  - {'because ' if not place else ''}{one}" for place, one in enumerate(self.because)]
        lines += [f"  - {one}" for one in self.tied]
        lines += [f"Above the controls, but behind: {', '.join(self.behind)}."] if self.behind else []
        lines += [f"Unproven, {method}: {why}." for method, why in self.unproven.items()]
        lines += [f"Do not use {method}: {why}." for method, why in self.avoid.items()]
        lines += [f"The metrics disagree: {one.words}." for one in self.disagreements]
        lines += [f"Note: {one}." for one in self.notes]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text()

    def markdown(self) -> str:
        """The verdict in words, the ranking and how the metrics agree as tables."""
        lines = [f"**{self.outcome[0].upper()}{self.outcome[1:]}{':' if self.because else '.'}**", ""]
        lines += [f"- {one}" for one in (*self.because, *self.tied)]
        lines += [f"- unproven, **{method}**: {why}" for method, why in self.unproven.items()]
        lines += [f"- do not use **{method}**: {why}" for method, why in self.avoid.items()]
        lines += [f"- the metrics disagree: {one.words}" for one in self.disagreements]
        lines += [f"- {one}" for one in self.notes]
        ranked = list(dict.fromkeys(metric for row in self.ranking for metric in row.evidence.above))
        head = ["method", "standing", *(f"{metric}, above the best control" for metric in ranked), "passes"]
        body = [[row.method, row.standing, *_compared(row.evidence, ranked), _cost(row)] for row in self.ranking]
        lines += ["", *_table(head, body)]
        if len(self.correlations) > 1:
            rows = [[one, *(_told(value) for value in each.values())] for one, each in self.correlations.items()]
            lines += ["", "How alike two metrics order methods and controls (rank correlation):", ""]
            lines += _table(["", *self.correlations], rows)
        return "\n".join(lines) + "\n"

    def to_json(self) -> dict[str, Json]:
        """Everything as plain values, None for a number that is not known."""
        return {
            "outcome": self.outcome,
            "use": self.use,
            "because": list(self.because),
            "ties": list(self.ties),
            "tied": list(self.tied),
            "avoid": dict(self.avoid),
            "unproven": dict(self.unproven),
            "ranking": [row.to_json() for row in self.ranking],
            "correlations": {
                one: {other: _number(value) for other, value in each.items()} for one, each in self.correlations.items()
            },
            "disagreements": [
                {
                    "metrics": list(one.metrics),
                    "correlation": _number(one.correlation),
                    "reversed": [list(pair) for pair in one.reversed],
                    "words": one.words,
                }
                for one in self.disagreements
            ],
            "notes": list(self.notes),
            "text": self.text(),
        }


def _compared(one: Evidence, metrics: list[str]) -> list[str]:
    found = (one.above.get(metric) for metric in metrics)
    return ["–" if each is None or each.control is None else f"{each.difference} ({each.control})" for each in found]


def _cost(row: Row) -> str:
    return "–" if row.evidence.cost is None else f"{row.evidence.cost:.3g}"


def _told(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    cells = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return [f"| {' | '.join(row)} |" for row in cells]


def _above(one: Above) -> dict[str, Json]:
    return {
        "control": one.control,
        "value": _interval(one.value),
        "difference": _interval(one.difference),
        "p": _number(one.p),
        "better": one.better,
        "worse": one.worse,
    }


def _interval(one: Interval) -> dict[str, Json]:
    return {"mean": _number(one.mean), "low": _number(one.low), "high": _number(one.high), "n": one.n, "of": one.of}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
