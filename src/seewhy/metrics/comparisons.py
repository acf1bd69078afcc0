"""Methods compared on the same records: with the best control and with one another, and metrics by their orders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from seewhy.metrics.gradebook import Gradebook
from seewhy.metrics.intervals import Interval, bootstrap, chances, holm, paired

Array = NDArray[np.float64]
UNKNOWN = Interval(math.nan, math.nan, math.nan, 0, 0)


@dataclass(frozen=True)
class Above:
    """How far a method is above the best control by one metric; ``difference`` is positive where it is better.

    ``control`` is the one it is least sure to beat, None where none was graded: that of the largest ``p`` (all must be
    beaten), which is corrected for every other method and metric compared. ``value`` is the method's own. ``worse``:
    the interval lies below 0, and so would chance alone hardly have it.
    """

    metric: str
    control: str | None
    value: Interval
    difference: Interval
    p: float
    better: bool
    worse: bool

    @property
    def ruled_out(self) -> bool:
        """Whether the whole interval lies at or below 0."""
        return self.difference.high <= 0


@dataclass(frozen=True)
class Duel:
    """Two methods compared by one metric; ``winner`` is None where the interval of the difference holds 0."""

    first: str
    second: str
    metric: str
    difference: Interval
    p: float
    winner: str | None


def above_controls(
    book: Gradebook, metrics: Sequence[str], *, level: float = 0.95, seed: int = 0
) -> dict[str, dict[str, Above]]:
    """Every method against its best control by every metric: ``found[method][metric]``.

    A method is better where the interval of the difference lies above 0 and ``p``, corrected after Holm over all of
    these comparisons, is below 1 - ``level``.
    """
    found = {
        (method, metric): _above(book, method, metric, level, seed)
        for method in book.methods
        for metric in metrics
        if metric in book.values[method]
    }
    corrected = holm([one.p for one in found.values()])
    rows: dict[str, dict[str, Above]] = {method: {} for method in book.methods}
    for ((method, metric), one), p in zip(found.items(), corrected, strict=True):
        rows[method][metric] = replace(one, p=p, better=one.difference.low > 0 and p < 1 - level)
    return rows


def duels(
    book: Gradebook, methods: Sequence[str], metrics: Sequence[str], *, level: float = 0.95, seed: int = 0
) -> tuple[Duel, ...]:
    """Every two methods by every metric, in both directions; corrected after Holm over the pairs of one metric."""
    return tuple(duel for metric in metrics for duel in _duels(book, methods, metric, level, seed))


def balance(duels: Sequence[Duel], one: str, other: str) -> int:
    """By how many metrics ``one`` beats ``other``, less those by which it is beaten."""
    between = [duel for duel in duels if {duel.first, duel.second} == {one, other}]
    return sum(duel.winner == one for duel in between) - sum(duel.winner == other for duel in between)


def copeland(duels: Sequence[Duel], methods: Sequence[str]) -> dict[str, int]:
    """How many of the others each method beats by a majority of metrics, less those that beat it (Copeland 1951).

    Example:
        >>> win = Duel("a", "b", "deletion", UNKNOWN, 0.01, "a")
        >>> copeland([win, replace(win, metric="road"), replace(win, metric="irof", winner="b")], ["a", "b", "c"])
        {'a': 1, 'b': -1, 'c': 0}
    """
    signs = {(one, other): np.sign(balance(duels, one, other)) for one in methods for other in methods if one != other}
    return {one: int(sum(sign for (first, _), sign in signs.items() if first == one)) for one in methods}


def order_correlations(book: Gradebook, metrics: Sequence[str]) -> dict[str, dict[str, float]]:
    """How alike two metrics order methods and controls: Spearman's correlation of their means, the better first.

    1 where they agree, -1 where one reverses the other; NaN where fewer than 3 were graded by both.
    """
    who = (*book.methods, *book.present_controls)
    means = {metric: np.array([_oriented_mean(book, one, metric) for one in who]) for metric in metrics}
    return {one: {other: _rank_correlation(means[one], means[other]) for other in metrics} for one in metrics}


def _above(book: Gradebook, method: str, metric: str, level: float, seed: int) -> Above:
    value = book.interval(method, metric, seed=seed)
    against = {
        control: paired(
            book.grades(method, metric),
            book.grades(control, metric),
            better=book.better(metric),
            level=level,
            seed=seed,
        )
        for control in book.present_controls
        if metric in book.values[control]
    }
    against = {control: one for control, one in against.items() if one.n}
    if not against:
        return Above(metric, None, value, replace(UNKNOWN, of=len(book.records)), math.nan, False, False)
    closest = max(against, key=lambda control: (against[control].p, -against[control].difference.mean))
    difference, p = against[closest].difference, against[closest].p
    return Above(metric, closest, value, difference, p, False, difference.high < 0 and p > level)


def _duels(book: Gradebook, methods: Sequence[str], metric: str, level: float, seed: int) -> list[Duel]:
    pairs = [pair for pair in combinations(methods, 2) if all(metric in book.values[one] for one in pair)]
    if not pairs:
        return []
    sign = 1.0 if book.better(metric) == "higher" else -1.0
    gains = (
        np.stack([sign * (book.grades(a, metric) - book.grades(b, metric)) for a, b in pairs], axis=1) + 0.0
    )  # no -0
    both = chances(np.concatenate([gains, -gains], axis=1), seed=seed).reshape(2, len(pairs))
    corrected = holm(np.minimum(1.0, 2 * both.min(axis=0)).tolist())
    found = []
    for (a, b), gain, p in zip(pairs, gains.T, corrected, strict=True):
        difference = bootstrap(gain, level=level, seed=seed)
        sure = p < 1 - level
        winner = a if sure and difference.low > 0 else b if sure and difference.high < 0 else None
        found.append(Duel(a, b, metric, difference, p, winner))
    return found


def _oriented_mean(book: Gradebook, who: str, metric: str) -> float:
    known = book.grades(who, metric)
    known = known[np.isfinite(known)]
    if not len(known):
        return math.nan
    return float(known.mean()) * (1 if book.better(metric) == "higher" else -1)


def _rank_correlation(first: Array, second: Array) -> float:
    known = np.isfinite(first) & np.isfinite(second)
    if known.sum() < 3:
        return math.nan
    ranks = [_ranks(values[known]) for values in (first, second)]
    if any(np.ptp(one) == 0 for one in ranks):
        return math.nan
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: Array) -> Array:
    """Equal values share the mean of their ranks."""
    below, upto = (values[:, None] > values).sum(axis=1), (values[:, None] >= values).sum(axis=1)
    return np.asarray((below + upto + 1) / 2, dtype=np.float64)
